"""Measure of tokenizers: their reconstructions, with PCA of as many bits as a baseline."""

from typing import Any

import numpy as np

from pixelprior.data import to_pixels
from pixelprior.evaluation.likelihood import standard_error
from pixelprior.evaluation.pca import MAX_IMAGES, fit_pca_code
from pixelprior.evaluation.perception import perception
from pixelprior.evaluation.read import read_symbols
from pixelprior.evaluation.reconstruction import NO_BITS
from pixelprior.runs.evaluate.measure import Held, Measured
from pixelprior.runs.run import Run
from pixelprior.tokenizers.code_maps import level_names

MEASURED_AT_ONCE = 1000  # number of images, for the baselines


def measure_tokenizer(run: Run, held: Held, *, baselines: bool) -> Measured:
    """Measure reconstructions by squared error and perceptual measures, and the use of codes."""
    tokenizer = run.model
    found = held.reconstruction(tokenizer, variance=run.data["pixel_variance"])
    levels = {
        name: {
            "shape": list(grid.shape),
            "codes": grid.levels,
            "used": use.used,
            "perplexity": use.perplexity,
            "entropy_bits": use.entropy_bits,
            "counts": counts.tolist(),
        }
        for name, grid, use, counts in zip(
            level_names(tokenizer.num_levels),
            tokenizer.code_grids,
            found.use,
            found.counts,
            strict=True,
        )
    }
    looks = perception(tokenizer, held.images, held.symbols, batch_size=held.batch_size)
    per_image = {"squared_error": found.squared_errors}
    result: dict[str, Any] = {
        "model": run.config["tokenizer"]["name"],
        "quantizer": run.config["quantizer"]["name"],
        "num_images": found.num_images,
        "code_bits": found.code_bits,
        "squared_error": found.squared_error,
        "squared_error_error": found.squared_error_error,
        "psnr": found.psnr,
        "levels": levels,
    }
    for measure_name, values in looks._asdict().items():
        if values is not None:
            result[measure_name] = float(values.mean())
            result[f"{measure_name}_error"] = standard_error(values)
            per_image[measure_name] = values
    if found.decoder_nats is None:
        result["no_bits_per_dim"] = NO_BITS
    else:
        result["bits_per_dim"] = found.bits_per_dim
        result["decoder_bits_per_dim"] = found.decoder_bits_per_dim
        per_image["decoder_nats"] = found.decoder_nats
    if baselines:
        result["baselines"] = tokenizer_baselines(held, int(found.code_bits))
    return Measured(result, per_image)


def tokenizer_baselines(held: Held, bits: int) -> dict[str, Any]:
    """Measure two baselines: the mean image, and PCA with ``bits`` bits."""
    symbols = held.symbols
    train, _ = read_symbols(held.dataset.splits["train"], symbols, limit=MAX_IMAGES)
    train = to_pixels(train, symbols.levels)
    test, _ = read_symbols(held.images, symbols)
    code = fit_pca_code(train, bits)
    mean = train.mean(axis=0, dtype=np.float64)
    errors: dict[str, list[float]] = {"mean": [], "pca": []}
    for start in range(0, len(test), MEASURED_AT_ONCE):
        images = to_pixels(test[start : start + MEASURED_AT_ONCE], symbols.levels)
        errors["mean"].append(float(np.square(images - mean).mean() * len(images)))
        errors["pca"].append(
            float(np.square(images - code.reconstruct(images)).mean() * len(images))
        )
    words = {
        "mean": f"the mean of {len(train):,} images",
        "pca": f"PCA of {code.images:,} images, {code.total_bits} bits",
    }
    return {
        key: {"description": words[key], "squared_error": sum(values) / len(test)}
        for key, values in errors.items()
    }

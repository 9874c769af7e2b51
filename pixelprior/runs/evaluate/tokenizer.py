"""A tokenizer measured: what it keeps of images, beside PCA with as many bits."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from pixelprior.data import Dataset, Symbols, to_pixels
from pixelprior.evaluation.likelihood import standard_error
from pixelprior.evaluation.pca import MAX_IMAGES, fit_pca_code
from pixelprior.evaluation.perception import perception
from pixelprior.evaluation.read import read_symbols
from pixelprior.evaluation.reconstruction import NO_BITS, evaluate_reconstruction
from pixelprior.runs.run import Run
from pixelprior.tokenizers.vqvae import level_names

MEASURED_AT_ONCE = 1000  # images, for the yardsticks


def measure(
    trained: Run,
    dataset: Dataset,
    symbols: Symbols,
    split: str,
    *,
    with_baselines: bool,
    batch_size: int,
    mesh: jax.sharding.Mesh,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Measures reconstructions in squared error of pixels in [0, 1] and by how alike they look.

    And how the codes are used.

    Returns:
        What the JSON file holds of it, and the values of each image.
    """
    tokenizer = trained.model
    found = evaluate_reconstruction(
        tokenizer,
        dataset.splits[split],
        symbols,
        variance=trained.data["pixel_variance"],
        batch_size=batch_size,
        mesh=mesh,
    )
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
    looks = perception(tokenizer, dataset.splits[split], symbols, batch_size=batch_size)
    per_image = {"squared_error": found.squared_errors}
    result: dict[str, Any] = {
        "model": trained.config["tokenizer"]["name"],
        "quantizer": trained.config["quantizer"]["name"],
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
    if with_baselines:
        result["baselines"] = _baselines(dataset, symbols, split, int(found.code_bits))
    return result, per_image


def _baselines(dataset: Dataset, symbols: Symbols, split: str, bits: int) -> dict[str, Any]:
    """The mean image, and PCA."""
    train, _ = read_symbols(dataset.splits["train"], symbols, limit=MAX_IMAGES)
    train = to_pixels(train, symbols.levels)
    test, _ = read_symbols(dataset.splits[split], symbols)
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


def table(result: Mapping[str, Any]) -> list[str]:
    """The lines for people, of what `measure` returns."""
    rows = [
        (row["description"], row["squared_error"]) for row in result.get("baselines", {}).values()
    ]
    own = f"{result['model']}, {result['code_bits']:g} bits, {result['weights']}"
    rows.append((own, result["squared_error"]))
    width = max(len(name) for name, _ in rows)
    lines = [
        f"{'':<{width}} {'MSE':>9}",
        *(f"{name:<{width}} {error:>9.6f}" for name, error in rows),
        f"{'  standard error over images':<{width}} {result['squared_error_error']:>9.6f}",
        f"{'  peak signal-to-noise ratio':<{width}} {result['psnr']:>6.2f} dB",
    ]
    if "ssim" in result:
        lines.append(f"{'  structural similarity':<{width}} {result['ssim']:>9.4f}")
    if "lpips" in result:
        lines.append(f"{'  LPIPS (AlexNet)':<{width}} {result['lpips']:>9.4f}")
    if "bits_per_dim" in result:
        lines += [
            "",
            f"{result['bits_per_dim']:.4f} bits/dim at most, with codes that are all as dear "
            f"({result['decoder_bits_per_dim']:.4f} for the decoder)",
        ]
    else:
        lines += ["", result["no_bits_per_dim"]]
    lines += ["", f"{'level':<10} {'codes':>14} {'used':>6} {'perplexity':>11} {'entropy':>14}"]
    for name, level in result["levels"].items():
        shape = "x".join(map(str, level["shape"]))
        lines.append(
            f"{name:<10} {shape + ' of ' + str(level['codes']):>14} {level['used']:>6.1%} "
            f"{level['perplexity']:>11.1f} {level['entropy_bits']:>9.3f} bits"
        )
    return lines

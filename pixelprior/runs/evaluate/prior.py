"""Measure of priors: the likelihood of codes, and of images if the decoder has one."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pixelprior import jitted
from pixelprior.data import evaluation_batches
from pixelprior.evaluation.code_likelihood import evaluate_codes
from pixelprior.evaluation.code_use import code_counts, code_use, unigram_cross_entropy_bits
from pixelprior.evaluation.likelihood import standard_error
from pixelprior.evaluation.reconstruction import NO_BITS
from pixelprior.runs.evaluate.measure import ORDER_SEEDS, SCORING, Held, Measured
from pixelprior.runs.run import Run
from pixelprior.system.devices import put_batch
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.code_maps import level_names
from pixelprior.tokenizers.likelihoods import as_pixels


def measure_prior(run: Run, held: Held, *, baselines: bool) -> Measured:
    """Measure the likelihood of the codes of a split, level by level, in nats and bits per code.

    If the decoder gives symbols a probability, codes and decoder together bound the bits of an
    image. The baseline is the frequencies of codes. It is always measured.
    """
    prior, tokenizer = run.model, run.tokenizer
    assert tokenizer is not None
    counts = [np.zeros((grid.channels, grid.levels), np.int64) for grid in prior.grids]
    found = evaluate_codes(
        prior,
        _encoded(tokenizer, held, counts),
        held.images.description,
        mesh=held.mesh,
        order_seeds=ORDER_SEEDS,
        check=held.progress(SCORING),
    )
    result: dict[str, Any] = {
        "model": "prior",
        "class_conditional": run.config["class_conditional"],
        "attribute_conditional": run.config["attribute_conditional"],
        "num_images": found.num_images,
        "nats": found.nats,
        "nats_error": found.nats_error,
        "bits_per_code": found.nats / prior.num_codes / math.log(2.0),
        "code_bits_per_image": found.nats / math.log(2.0),
        "levels": {},
    }
    for number, (name, level) in enumerate(
        zip(level_names(len(prior.grids)), found.levels, strict=True)
    ):
        train_counts = np.asarray(run.data["code_counts"][number])
        result["levels"][name] = {
            "model": run.config["models"][name]["name"],
            "learned": name in run.data["learned_levels"],
            "nats": level.nats,
            "nats_error": level.nats_error,
            "bits_per_code": level.bits_per_code,
            "uniform_bits": math.log2(prior.grids[number].levels),
            "unigram_bits": unigram_cross_entropy_bits(train_counts, counts[number]),
            "unigram_entropy_bits": code_use(counts[number]).entropy_bits,
        }
        if prior.levels[number].context_shape.any_order:
            orders = {"num_orders": len(ORDER_SEEDS), "order_spread": level.order_spread}
            result["levels"][name] |= orders
    reconstruction = held.reconstruction(tokenizer, variance=run.data["pixel_variance"])
    per_image = {"nats": found.per_image.sum(axis=0)}
    for name, nats in zip(result["levels"], found.per_image, strict=True):
        per_image[f"{name}_nats"] = nats
    if reconstruction.decoder_nats is None:
        result["no_bits_per_dim"] = NO_BITS
    else:
        # Add image by image, because costly codes and costly pixels often belong to the same image.
        bound = (per_image["nats"] + reconstruction.decoder_nats) / math.log(2.0)
        result["bits_per_image"] = float(bound.mean())
        result["bits_per_image_error"] = standard_error(bound)
        result["bits_per_dim"] = float(bound.mean()) / reconstruction.num_dims
        per_image["decoder_nats"] = reconstruction.decoder_nats
    return Measured(result, per_image)


def _encoded(tokenizer: VQVAE, held: Held, counts: list[np.ndarray]) -> Iterator[Mapping[str, Any]]:
    """Encode a split batch by batch, and add the codes of each level to ``counts``."""
    for batch in evaluation_batches(held.images, held.symbols, batch_size=held.batch_size):
        pixels = as_pixels(put_batch(batch["image"], held.mesh), tokenizer.grid)
        codes = [np.asarray(level) for level in jitted.encode(tokenizer, pixels)]
        for total, level in zip(counts, codes, strict=True):
            total += code_counts(level[batch["mask"]], total.shape[1])
        others = {key: values for key, values in batch.items() if key != "image"}
        yield {**others, "codes": codes}

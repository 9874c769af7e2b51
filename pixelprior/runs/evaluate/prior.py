"""A prior measured: what codes cost, and what a classifier sees in its samples."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from pixelprior.data import Dataset, Split, Symbols, evaluation_batches
from pixelprior.evaluation.code_likelihood import evaluate_codes
from pixelprior.evaluation.code_use import code_counts, code_use, unigram_cross_entropy_bits
from pixelprior.evaluation.likelihood import standard_error
from pixelprior.evaluation.reconstruction import NO_BITS, evaluate_reconstruction
from pixelprior.runs.run import Run
from pixelprior.runs.tokenizer import get_code_indices
from pixelprior.system.devices import put_batch
from pixelprior.tokenizers.vqvae import level_names


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
    """Measures the likelihood of a split's codes, level by level, in nats and bits per code.

    With a decoder that gives symbols a probability, codes and decoder together bound what an image
    takes.

    Returns:
        What the JSON file holds of it, and the values of each image.
    """
    prior, tokenizer = trained.model, trained.tokenizer
    assert tokenizer is not None
    images = dataset.splits[split]
    counts = [np.zeros((grid.channels, grid.levels), np.int64) for grid in prior.grids]
    found = evaluate_codes(
        prior,
        _encoded(tokenizer, images, symbols, counts, batch_size=batch_size, mesh=mesh),
        images.description,
        mesh=mesh,
    )
    result: dict[str, Any] = {
        "model": "prior",
        "class_conditional": trained.config["class_conditional"],
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
        train_counts = np.asarray(trained.data["code_counts"][number])
        result["levels"][name] = {
            "model": trained.config["models"][name]["name"],
            "learned": name in trained.data["learned_levels"],
            "nats": level.nats,
            "nats_error": level.nats_error,
            "bits_per_code": level.bits_per_code,
            "uniform_bits": math.log2(prior.grids[number].levels),
            "unigram_bits": unigram_cross_entropy_bits(train_counts, counts[number]),
            "unigram_entropy_bits": code_use(counts[number]).entropy_bits,
        }
    reconstruction = evaluate_reconstruction(
        tokenizer,
        images,
        symbols,
        variance=trained.data["pixel_variance"],
        batch_size=batch_size,
        mesh=mesh,
    )
    per_image = {"nats": found.per_image.sum(axis=0)}
    for name, nats in zip(result["levels"], found.per_image, strict=True):
        per_image[f"{name}_nats"] = nats
    if reconstruction.decoder_nats is None:
        result["no_bits_per_dim"] = NO_BITS
    else:
        # Image by image: dear codes and dear pixels are often those of the same image.
        bound = (per_image["nats"] + reconstruction.decoder_nats) / math.log(2.0)
        result["bits_per_image"] = float(bound.mean())
        result["bits_per_image_error"] = standard_error(bound)
        result["bits_per_dim"] = float(bound.mean()) / reconstruction.num_dims
        per_image["decoder_nats"] = reconstruction.decoder_nats
    return result, per_image


def _encoded(
    tokenizer: Any,
    split: Split,
    symbols: Symbols,
    counts: list[np.ndarray],
    *,
    batch_size: int,
    mesh: jax.sharding.Mesh,
) -> Iterator[Mapping[str, Any]]:
    """The codes of a split, batch by batch; on the way each level's are counted."""
    graph, weights = nnx.split(tokenizer)
    for batch in evaluation_batches(split, symbols, batch_size=batch_size):
        indices = get_code_indices(graph, weights, put_batch(batch["image"], mesh))
        codes = [np.asarray(level) for level in indices]
        for total, level in zip(counts, codes, strict=True):
            total += code_counts(level[batch["mask"]], total.shape[1])
        yield {"codes": codes, "label": batch["label"], "mask": batch["mask"]}


def table(result: Mapping[str, Any]) -> list[str]:
    """The lines for people, of what `measure` returns."""
    lines = [
        f"prior over codes, {result['weights']}: {result['nats']:.3f} nats/image (standard error "
        f"{result['nats_error']:.3f}), {result['bits_per_code']:.4f} bits/code",
        "",
        f"{'':<10} {'':<16} {'':>11} {'bits/code':>10} {'unigram':>8} {'entropy':>8} "
        f"{'uniform':>8}",
    ]
    for name, level in result["levels"].items():
        lines.append(
            f"{name:<10} {level['model']:<16} {level['nats']:>6.2f} nats "
            f"{level['bits_per_code']:>10.4f} {level['unigram_bits']:>8.4f} "
            f"{level['unigram_entropy_bits']:>8.4f} {level['uniform_bits']:>8.4f}"
            + ("" if level["learned"] else "  (not learned in this run)")
        )
    lines += [
        "unigram: the codes' frequencies in training; entropy: their frequencies on this split",
    ]
    lines += ["", f"{result['code_bits_per_image']:.2f} bits/image for the codes"]
    if "bits_per_dim" in result:
        lines.append(
            f"{result['bits_per_image']:.2f} bits/image at most (standard error "
            f"{result['bits_per_image_error']:.2f}), {result['bits_per_dim']:.4f} bits/dim, codes "
            "and decoder together"
        )
    else:
        lines.append(result["no_bits_per_dim"])
    return lines

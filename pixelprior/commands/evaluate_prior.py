"""A prior measured: what codes cost, and what a classifier sees in its samples."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from pixelprior.data import Dataset, Split, Symbols, evaluation_batches
from pixelprior.devices import put_batch
from pixelprior.evaluation.code_likelihood import evaluate_codes
from pixelprior.evaluation.code_use import code_counts, code_use, unigram_cross_entropy_bits
from pixelprior.evaluation.reconstruction import evaluate_reconstruction
from pixelprior.evaluation.sample_classes import judge_samples
from pixelprior.loading import Trained
from pixelprior.tokenizer_run import get_code_indices
from pixelprior.tokenizers.vqvae import level_names


def measure(
    trained: Trained,
    dataset: Dataset,
    symbols: Symbols,
    split: str,
    *,
    with_baselines: bool,
    batch_size: int,
    mesh: jax.sharding.Mesh,
    num_samples: int,
) -> dict[str, Any]:
    """Measures the likelihood of the codes of a split, level by level, in nats and bits per code.

    With ``num_samples`` a classifier judges so many samples, see `judge_samples`.
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
    if reconstruction.decoder_bits_per_dim is not None:
        codes = found.nats / math.log(2.0) / reconstruction.num_dims
        result["bits_per_dim"] = codes + reconstruction.decoder_bits_per_dim
    if num_samples:
        result["samples"] = judge_samples(
            prior, tokenizer, dataset, symbols, num=num_samples, seed=trained.config["seed"]
        )._asdict()
    return result


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
    if "bits_per_dim" in result:
        lines += ["", f"{result['bits_per_dim']:.4f} bits/dim at most, codes and decoder together"]
    if "samples" in result:
        samples = result["samples"]
        lines += [
            "",
            f"a small CNN, trained on {samples['num_real']:,} training images, is right on",
            f"  {samples['real_accuracy']:7.2%} of the test images",
            f"  {samples['reconstruction_accuracy']:7.2%} of their reconstructions",
            f"  {samples['sample_accuracy']:7.2%} of {samples['num_samples']:,} samples, by the "
            "class asked for",
            f"  {samples['random_accuracy']:7.2%} of as many images of random codes, by a class "
            "in turn",
            f"trained on the {samples['num_samples']:,} samples, it is right on",
            f"  {samples['classification_accuracy_score']:7.2%} of the test images "
            "(classification accuracy score)",
        ]
    return lines

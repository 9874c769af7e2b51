"""Use of a tokenizer's codebooks, over a whole pass.

A codebook with few used codes carries few bits: "codebook collapse". A prior trained on it has a
good likelihood, because there is nothing to predict, and gives poor images. Counts are added up
over all images. An average of batch perplexities would be too low, since a batch is too small to
use many codes.

Legend: n images, h height, w width, g codebooks (or channels) of one level, k codes of each.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Int, Int64

from pixelprior.errors import InputError
from pixelprior.tokenizers.code_maps import level_names

COLLAPSED_SHARE = 0.05
"""Share of a codebook's size, large or small: a perplexity below it is a collapse."""

COLLAPSED_PERPLEXITY = 2.0
"""Perplexity below which a codebook has collapsed too: a code then carries less than one bit."""

Counts = Int[Array, "g k"] | Int[np.ndarray, "g k"]


class CodeUse(NamedTuple):
    """Use of the codes of one level; each value is a mean over the level's codebooks.

    Attributes:
        perplexity: exp of the entropy of a codebook's code frequencies, from 1 to the codebook's
            size. It is the number of equally used codes that would be as hard to guess.
        used: share of a codebook's codes that occur at all, in ``[0, 1]``.
        entropy_bits: entropy of the code frequencies, in bits per code: the cost of a code if only
            the frequencies are known.
    """

    perplexity: float
    used: float
    entropy_bits: float


def code_counts(
    indices: Int[Array, "n h w g"] | Int[np.ndarray, "n h w g"], codebook_size: int
) -> Int64[np.ndarray, "g k"]:
    """Count how often each code of each codebook occurs.

    Counts of batches add up to the counts of a pass.

    Args:
        indices: codes ``[n, h, w, g]`` in ``[0, codebook_size)``.
        codebook_size: number k of codes in each codebook.

    Raises:
        InputError: if the indices have another shape, are not integers, or are out of range.
    """
    if indices.ndim != 4:
        raise InputError(f"expected codes of shape [n, h, w, g], got {indices.shape}")
    if not np.issubdtype(indices.dtype, np.integer):
        raise InputError(f"expected integer codes, got {indices.dtype}")
    by_codebook = np.moveaxis(np.asarray(indices), -1, 0).reshape(indices.shape[-1], -1)
    if by_codebook.size and (by_codebook.min() < 0 or by_codebook.max() >= codebook_size):
        raise InputError(
            f"expected codes in [0, {codebook_size}), got codes from {by_codebook.min()} to "
            f"{by_codebook.max()}; give the size of the codebook that they came from"
        )
    # Empty batches are allowed, and bincount requires the right type for them.
    counts = [np.bincount(codes.astype(np.int64), minlength=codebook_size) for codes in by_codebook]
    return np.stack(counts).astype(np.int64)


def code_use(counts: Counts) -> CodeUse:
    """Measure the use of one level's codebooks.

    Means hide a single collapsed codebook among many; ``counts[i : i + 1]`` measures one alone.

    Args:
        counts: ``[g, k]``, from `code_counts`, added up over a whole pass.

    Raises:
        InputError: if a codebook has no counts, or a count is negative.
    """
    counts = _checked(counts)
    frequencies = counts / counts.sum(axis=1, keepdims=True)
    # A code that never occurs adds nothing: x log x goes to 0 with x.
    logs = np.log(frequencies, where=counts > 0, out=np.zeros_like(frequencies))
    # The sum for a single code is -0, which would be printed with its sign.
    nats = np.abs((frequencies * logs).sum(axis=1))
    return CodeUse(
        perplexity=float(np.exp(nats).mean()),
        used=float((counts > 0).mean()),
        entropy_bits=float(nats.mean() / math.log(2)),
    )


def metrics_of_levels(use: Sequence[CodeUse]) -> dict[str, float]:
    """Return the use of every level by name, for records. The coarsest level comes first."""
    metrics: dict[str, float] = {}
    for name, level in zip(level_names(len(use)), use, strict=True):
        metrics |= {f"{name}_perplexity": level.perplexity, f"{name}_codes_used": level.used}
    return metrics


def words_of_levels(use: Sequence[CodeUse]) -> str:
    """Return the use of every level as text for people. The coarsest level comes first."""
    return "; ".join(
        f"{name} perplexity {level.perplexity:.1f}, {level.used:.0%} of codes used"
        for name, level in zip(level_names(len(use)), use, strict=True)
    )


def is_collapsed(use: CodeUse, codebook_size: int) -> bool:
    """Return True if a level uses so few codes that a prior over it is hardly worthwhile.

    The perplexity is then below ``COLLAPSED_SHARE`` of the codebook, or below
    ``COLLAPSED_PERPLEXITY``, where a code carries less than one bit. A codebook of 2 or 3 codes can
    carry only one bit or little more. Its limit is ``sqrt(codebook_size)``: half of the bits that a
    code could carry. This is a rule of thumb for warnings. Learned codebooks in use are far above
    it.

    Raises:
        InputError: if the codebook has fewer than 2 codes, or fewer than are used.
    """
    if codebook_size < 2:
        raise InputError(f"expected a codebook of at least 2 codes, got {codebook_size}")
    # A mean of float64 perplexities may exceed the largest by rounding.
    if use.perplexity > codebook_size * (1 + 1e-9):
        raise InputError(
            f"expected a perplexity of at most the codebook's size, {codebook_size}, got "
            f"{use.perplexity}; give the size of the codebook that was counted"
        )
    least = min(COLLAPSED_PERPLEXITY, math.sqrt(codebook_size))
    return use.perplexity < max(least, COLLAPSED_SHARE * codebook_size)


def unigram_cross_entropy_bits(train_counts: Counts, test_counts: Counts) -> float:
    """Return the bits per code of test images under the code frequencies of training images.

    This is the baseline for a prior over codes. A prior below it has learned more than the
    frequency of each code. Every training count is raised by one (Laplace's rule of succession), so
    no code is impossible.

    Args:
        train_counts: ``[g, k]``, from `code_counts`, of the training images.
        test_counts: the same for the test images.

    Returns:
        Bits per code: the mean over a codebook's test codes, then over codebooks.

    Raises:
        InputError: if a codebook has no counts, a count is negative, or the shapes differ.
    """
    train, test = _checked(train_counts), _checked(test_counts)
    if train.shape != test.shape:
        raise InputError(
            f"expected counts of the same codebooks, got {train.shape} for training and "
            f"{test.shape} for test"
        )
    smoothed = train + 1
    bits = np.log2(smoothed.sum(axis=1, keepdims=True)) - np.log2(smoothed)
    return float(((test * bits).sum(axis=1) / test.sum(axis=1)).mean())


def _checked(counts: Counts) -> Int64[np.ndarray, "g k"]:
    if counts.ndim != 2 or not np.issubdtype(counts.dtype, np.integer):
        raise InputError(
            f"expected integer counts of shape [g, k], got {counts.dtype} of shape {counts.shape}"
        )
    values = np.asarray(counts, np.int64)
    if values.size and values.min() < 0:
        raise InputError(f"expected counts of at least 0, got {values.min()}")
    if values.size == 0 or not values.sum(axis=1).all():
        raise InputError(
            "expected every codebook to have been counted at least once, got none for at least "
            "one; add up code_counts over images first"
        )
    return values

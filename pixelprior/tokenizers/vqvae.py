"""VQ-VAE and VQ-VAE-2: one autoencoder whose bottlenecks are maps of discrete codes.

Legend: b batch, h height, w width, c channels, f features, l levels, g codebooks of a level, k
codes of a codebook, q features of a quantizer.

With one stride this is the VQ-VAE [1], with two the VQ-VAE-2 [2]. More strides work the same way.
The image passes down through one encoder per stride. Then codes are chosen from the coarsest level
to the finest, given all coarser codes. One decoder per level carries the information so far up to
the next level:

    known = nothing
    for each level, the coarsest first:
        z       = project(encoder features, known)
        vectors = quantize(z)
        known   = decode(vectors, known)          at the next finer grid
    pixels = known

Where we deviate:

- In [2] the decoder of the top codes only helps to choose the bottom codes. The image is decoded
  from the bottom codes and from top codes that another convolution enlarges. Here one network does
  both: features that helped to choose the codes also help to decode them.
- A stride is a chain of convolutions by its prime factors, so any stride works.

Lists over levels hold codes, vectors or grids. They always have the coarsest level first: the order
in which a prior factors the levels.

[1] van den Oord et al. 2017, Neural Discrete Representation Learning.

[2] Razavi et al. 2019, Generating Diverse High-Fidelity Images with VQ-VAE-2.
"""

import functools
import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.errors import InputError
from pixelprior.grid import Grid, check_grid
from pixelprior.nn.compiled import compiled
from pixelprior.nn.constructed import Constructed
from pixelprior.nn.image_keys import fold_keys, image_keys
from pixelprior.sizes import check_sizes, check_weights
from pixelprior.tokenizers.level import Level
from pixelprior.tokenizers.likelihoods import LIKELIHOODS, as_pixels
from pixelprior.tokenizers.quantizer import CodeStatistics, Quantized, Quantizer
from pixelprior.tokenizers.vector_quantizer import VectorQuantizer

Distance = Callable[[Float[Array, "b h w c"], Float[Array, "b h w c"]], Float[Array, " b"]]


class TokenizerLoss(NamedTuple):
    """Training loss of a batch, and its parts; means over the batch.

    Attributes:
        total: sum of the four losses below, with their training weights.
        reconstruction: see `Likelihood.loss`.
        commitment: distance of the encoder's vectors from their codes, times its weight.
        codebook: distance of the codes from the vectors; 0 if codes follow by moving averages.
        perceptual: perceptual distance of the expected pixels, times its weight; 0 without it.
        squared_error: squared error of the expected pixels, in squared units of [0, 1].
        statistics: input of `VQVAE.update_codebooks`, one entry for each level.
    """

    total: Float[Array, ""]
    reconstruction: Float[Array, ""]
    commitment: Float[Array, ""]
    codebook: Float[Array, ""]
    perceptual: Float[Array, ""]
    squared_error: Float[Array, ""]
    statistics: list[CodeStatistics]


def _check_codes(tokenizer: "VQVAE", codes: Sequence[Int[Array, "b _ _ g"]]) -> None:
    """Raise an InputError unless there is one map of codes for each level, on its grid."""
    if isinstance(codes, list | tuple) and any(
        jnp.issubdtype(getattr(level, "dtype", jnp.int32), jnp.floating) for level in codes
    ):
        raise InputError(
            "expected integer codes, got floating-point numbers; decode takes codes, and "
            "decode_vectors takes vectors"
        )
    Grid.check_maps(codes, tokenizer.code_grids)


class VQVAE(Constructed, nnx.Module):
    """Autoencoder with one map of discrete codes for each of its strides.

    Args:
        grid: grid of the images, as symbols; pixels are their brightness in [0, 1].
        strides: factors by which each level is coarser than the one before it, the finest level
            first. (4,) maps 28 x 28 images to 7 x 7 codes. (4, 2) maps 64 x 64 images to 16 x 16
            and 8 x 8 codes.
        quantizer: constructor of each level's quantizer, called with ``rngs``, for example
            ``functools.partial(VectorQuantizer, 64, codebook_size=512)``. By default a
            `VectorQuantizer` of ``features`` with 256 codes.
        features: width of encoders and decoders.
        residual_features: number of hidden units of their residual blocks.
        num_residual_blocks: number of residual blocks in each encoder and each decoder.
        likelihood: "gaussian", trained by squared error, or "discretized_logistic". The latter
            gives every symbol a probability, so bits per dimension are defined.
        perceptual_weight: weight of a perceptual distance in the training loss, see `loss`; 0 for
            none. It needs images with 1 or 3 channels.
        rngs: source of the initial weights.

    Attributes:
        code_grids: grids of the codes, the coarsest first. A level has one channel per codebook.

    Raises:
        InputError: if the strides do not divide the images, or a setting is out of range.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        strides: Sequence[int] = (4,),
        quantizer: Callable[..., Quantizer] | None = None,
        features: int = 64,
        residual_features: int = 32,
        num_residual_blocks: int = 2,
        likelihood: str = "gaussian",
        perceptual_weight: float = 0.0,
        rngs: nnx.Rngs,
    ):
        if likelihood not in LIKELIHOODS:
            raise InputError(
                f"likelihood must be one of {', '.join(LIKELIHOODS)}, got {likelihood!r}"
            )
        check_grid(grid)
        check_sizes(features=features, residual_features=residual_features)
        check_sizes(0, num_residual_blocks=num_residual_blocks)
        check_weights(perceptual_weight=perceptual_weight)
        if perceptual_weight and grid.channels not in (1, 3):
            raise InputError(
                "perceptual_weight must be 0 unless images have 1 or 3 channels, got "
                f"{perceptual_weight} with {grid.channels} channels"
            )
        make_quantizer = _quantizer_maker(quantizer, features)
        sizes = _sizes(grid, strides)
        strides = tuple(strides)
        self.grid = grid
        self.likelihood = LIKELIHOODS[likelihood](grid)
        self.perceptual_weight = perceptual_weight
        levels, code_grids = [], []
        for number, (stride, (height, width)) in enumerate(zip(strides, sizes, strict=True)):
            level = Level(
                features if number else grid.channels,
                # Features decoded by the coarser levels.
                features if number < len(strides) - 1 else 0,
                features if number else self.likelihood.num_parameters,
                stride=stride,
                features=features,
                residual_features=residual_features,
                num_residual_blocks=num_residual_blocks,
                quantizer=make_quantizer(rngs=rngs),
                rngs=rngs,
            )
            levels.append(level)
            q = level.quantizer
            code_grids.append(Grid(height, width, q.codes_per_vector, q.codebook_size))
        # The finest first: the order in which an image passes them.
        self._levels = nnx.List(levels)
        self.code_grids = tuple(reversed(code_grids))

    @property
    def num_levels(self) -> int:
        """Number of maps of codes of an image."""
        return len(self.code_grids)

    @property
    def codebook(self) -> list[Float[Array, "g k q/g"]]:
        """Vectors of the codes, for each level."""
        return [level.quantizer.codebook for level in reversed(self._levels)]

    @compiled()
    def encode(self, pixels: Float[Array, "b h w c"]) -> list[Int[Array, "b _ _ g"]]:
        """Turn images into codes: int32 maps on `code_grids`.

        Args:
            pixels: brightness in [0, 1].

        Raises:
            InputError: if these are not images of the tokenizer's shape.
        """
        return [quantized.indices for quantized in self.quantize(pixels)]

    get_code_indices = encode

    @compiled()
    def quantize(
        self, pixels: Float[Array, "b h w c"], key: Array | None = None
    ) -> list[Quantized]:
        """Quantize images: codes, vectors, losses and statistics for each level.

        Args:
            pixels: brightness in [0, 1].
            key: in training, key for drawing the vectors of the batch from which dead codes may
                restart, or one key for each image, ``[b]``.

        Raises:
            InputError: if these are not images of the tokenizer's shape.
        """
        return self._forward(pixels, key)[0]

    @compiled(_check_codes)
    def decode(self, codes: Sequence[Int[Array, "b _ _ g"]]) -> Float[Array, "b h w c"]:
        """Turn codes into pixels in [0, 1]. Raises as `lookup` does."""
        return self.decode_vectors(self.lookup(codes))

    @compiled()
    def decode_vectors(self, vectors: Sequence[Float[Array, "b _ _ q"]]) -> Float[Array, "b h w c"]:
        """Turn vectors of every level into pixels in [0, 1].

        The vectors need not be codes. Interpolation decodes vectors between two codes.
        """
        return jnp.clip(self.likelihood.mean(self.decode_parameters(vectors)), 0.0, 1.0)

    @compiled()
    def decode_parameters(
        self, vectors: Sequence[Float[Array, "b _ _ q"]]
    ) -> Float[Array, "b h w p"]:
        """Compute the parameters of the likelihood from the vectors of every level."""
        top, *finer = reversed(self._levels)
        known = top.decode(vectors[0], None)
        for level, here in zip(finer, vectors[1:], strict=True):
            known = level.decode(here, known)
        return known

    def lookup(self, codes: Sequence[Int[Array, "b _ _ g"]]) -> list[Float[Array, "b _ _ q"]]:
        """Return the vectors of codes.

        Raises:
            InputError: unless there is one map for each level, on its grid, with codes in range.
        """
        Grid.check_maps(codes, self.code_grids)
        return [
            level.quantizer.lookup(values)
            for level, values in zip(reversed(self._levels), codes, strict=True)
        ]

    @compiled()
    def reconstruct(self, pixels: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Encode images, and decode their codes. Raises as `quantize` does."""
        return self.decode_vectors([quantized.vectors for quantized in self.quantize(pixels)])

    def loss(
        self,
        x: Int[Array, "b h w c"],
        *,
        variance: float,
        key: Array | None = None,
        distance: Distance | None = None,
    ) -> TokenizerLoss:
        """Compute the training loss of a batch, and its parts.

        Args:
            x: images as symbols.
            variance: variance of the training images' pixels, see `Likelihood.loss`.
            key: see `quantize`.
            distance: perceptual distance of pairs of images in [0, 1], for instance LPIPS. A
                ``perceptual_weight`` above 0 needs it.

        Raises:
            InputError: if ``x`` is not a batch of the tokenizer's images, or the distance is
                missing.
        """
        if self.perceptual_weight and distance is None:
            raise InputError(
                f"perceptual_weight={self.perceptual_weight} needs a distance of images; give "
                "distance, or set the weight to 0"
            )
        self.grid.check(x)
        pixels = as_pixels(x, self.grid)
        levels, parameters = self._forward(pixels, key)
        reconstruction = self.likelihood.loss(parameters, x, variance)
        none = jnp.zeros(())
        commitment = sum((level.commitment_loss for level in levels), start=none)
        codebook = sum((level.codebook_loss for level in levels), start=none)
        mean = jnp.clip(self.likelihood.mean(parameters), 0.0, 1.0)
        perceptual = none
        if self.perceptual_weight and distance is not None:
            perceptual = self.perceptual_weight * distance(mean, pixels).mean()
        return TokenizerLoss(
            total=reconstruction + commitment + codebook + perceptual,
            reconstruction=reconstruction,
            commitment=commitment,
            codebook=codebook,
            perceptual=perceptual,
            squared_error=jnp.mean((mean - pixels) ** 2),
            statistics=[level.statistics for level in levels],
        )

    def update_codebooks(self, statistics: Sequence[CodeStatistics]) -> None:
        """Update the codebooks after a step, outside its gradient; see `Quantizer.update`."""
        for level, here in zip(reversed(self._levels), statistics, strict=True):
            level.quantizer.update(here)

    def start_codebooks(
        self, pixels: Float[Array, "b h w c"], key: Array, *, kept: Collection[int] = ()
    ) -> None:
        """Set fresh codebooks from the vectors of a batch, level by level; see `Quantizer.start`.

        A level's vectors depend on the codes of all coarser levels, so those come first.

        Args:
            pixels: brightness in [0, 1].
            key: key for drawing the first codes.
            kept: numbers of the levels whose codebooks stay, 0 for the coarsest.
        """
        encoded = self._encoders(pixels)
        known = None
        for number, level in enumerate(reversed(self._levels)):
            here = encoded[number]
            if number not in kept:
                level.quantizer.start(level.vectors(here, known), jax.random.fold_in(key, number))
            known = level.decode(level.quantize(here, known, None).vectors, known)

    def _encoders(self, pixels: Float[Array, "b h w c"]) -> list[Float[Array, "b _ _ f"]]:
        """Compute the features of every encoder, the coarsest first."""
        if pixels.ndim != 4 or pixels.shape[1:] != self.grid.shape:
            raise InputError(
                f"expected pixels of shape [batch, {', '.join(map(str, self.grid.shape))}], "
                f"got {pixels.shape}"
            )
        if not jnp.issubdtype(pixels.dtype, jnp.floating):
            raise InputError(
                f"expected pixels as floating-point numbers in [0, 1], got {pixels.dtype}; "
                "pixelprior.data.to_pixels turns symbols into pixels"
            )
        features = []
        # Centred, so that the input of a fresh network has both signs.
        x = pixels - 0.5
        for level in self._levels:
            x = level.encode(x)
            features.append(x)
        return features[::-1]

    def _forward(
        self, pixels: Float[Array, "b h w c"], key: Array | None
    ) -> tuple[list[Quantized], Float[Array, "b h w p"]]:
        """Compute the codes of every level, and the parameters of the likelihood."""
        levels: list[Quantized] = []
        known: Any = None
        keys = image_keys(key, len(pixels))
        for number, (level, here) in enumerate(
            zip(reversed(self._levels), self._encoders(pixels), strict=True)
        ):
            levels.append(level.quantize(here, known, fold_keys(keys, number)))
            known = level.decode(levels[-1].vectors, known)
        return levels, known


class VQVAE2(VQVAE):
    """`VQVAE` with at least two levels, by default with strides (4, 2)."""

    def __init__(self, grid: Grid, *, strides: Sequence[int] = (4, 2), **settings: Any):
        if len(strides) < 2:
            raise InputError(
                f"VQ-VAE-2 has at least two levels, got strides={tuple(strides)}; give two "
                "strides, or use the VQ-VAE"
            )
        super().__init__(grid, strides=strides, **settings)


def _quantizer_maker(
    quantizer: Callable[..., Quantizer] | None, features: int
) -> Callable[..., Quantizer]:
    """Return the constructor of a level's quantizer, a function of ``rngs``."""
    if quantizer is None:
        return functools.partial(VectorQuantizer, features)
    # Modules are callable, and so are classes.
    if callable(quantizer) and not isinstance(quantizer, Quantizer | type):
        return quantizer
    came = type(quantizer).__name__ if isinstance(quantizer, Quantizer) else repr(quantizer)
    raise InputError(
        f"quantizer must make a quantizer for each level, called with rngs, got {came}; give "
        "functools.partial(VectorQuantizer, 64, codebook_size=512), for example"
    )


def _sizes(grid: Grid, strides: Sequence[int]) -> list[tuple[int, int]]:
    """Compute the height and width of every level, the finest first."""
    if (
        not isinstance(strides, Sequence)
        or not strides
        or not all(isinstance(s, int) and not isinstance(s, bool) and s >= 1 for s in strides)
    ):
        raise InputError(f"strides must be one or more integers of at least 1, got {strides!r}")
    total = math.prod(strides)
    if grid.height % total or grid.width % total:
        fitting = " or ".join(_fitting(grid, factor=total))
        raise InputError(
            f"the strides {tuple(strides)} divide sides that are multiples of {total}, but the "
            f"images are {grid.height} x {grid.width}; {fitting} would fit (set image_size), or "
            "choose other strides"
        )
    sizes, stride = [], 1
    for factor in strides:
        stride *= factor
        sizes.append((grid.height // stride, grid.width // stride))
    return sizes


def _fitting(grid: Grid, *, factor: int) -> list[str]:
    """List the nearest sizes that fit: one below, if there is one, and one above."""
    below = [side // factor * factor for side in (grid.height, grid.width)]
    above = [-(-side // factor) * factor for side in (grid.height, grid.width)]
    return [f"{h} x {w}" for h, w in (below, above) if min(h, w) > 0]

"""Train a tokenizer: images to codes, and back."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Key

from pixelprior.data import START, Dataset, Position, Symbols, evaluation_batches, to_pixels
from pixelprior.data.manifest import Manifest
from pixelprior.evaluation.code_use import code_use, metrics_of_levels, words_of_levels
from pixelprior.evaluation.lpips import load_lpips
from pixelprior.evaluation.reconstruction import evaluate_reconstruction
from pixelprior.experiment import build_tokenizer
from pixelprior.figures.sheets import above
from pixelprior.progress import Check, go_on
from pixelprior.system.prng import named_key
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.quantizer import merge_statistics
from pixelprior.tokenizers.vqvae import Distance
from pixelprior.training.task import Counted, Evaluation, Loss, Task
from pixelprior.training.tasks.images import Images

VARIANCE_IMAGES = 2048
"""Number of training images, the first ones, on which the variance of the pixels is measured."""


class TokenizerTask(Task):
    """Reconstruction and commitment losses, and codebooks that follow.

    Args:
        config: config of the experiment.
        mesh: the devices.
        opened: see `Images`.
        model: tokenizer with the initial weights; by default a fresh tokenizer from the config.

    Raises:
        InputError: if the data and the config do not fit each other, or a perceptual loss lacks its
            network.
    """

    headline, unit = "squared_error", "MSE"

    def __init__(
        self,
        config: Mapping[str, Any],
        mesh: jax.sharding.Mesh,
        *,
        opened: tuple[Dataset, Symbols] | None = None,
        model: VQVAE | None = None,
    ):
        self.config = config
        # Constants of the step. They are no part of the model, so no checkpoint has them.
        self._distance = _perceptual_distance(config["tokenizer"])
        self.images = Images(config, mesh, opened)
        self._model = model
        self.variance = self._variance()

    @property
    def title(self) -> str:
        """See `Task.title`."""
        return self.images.title

    def describe(self) -> Mapping[str, Any]:
        """See `Task.describe`."""
        return self.images.describe() | {"pixel_variance": self.variance}

    @property
    def manifest(self) -> Manifest | None:
        """See `Task.manifest`."""
        return self.images.dataset.manifest

    def build(self) -> VQVAE:
        """See `Task.build`."""
        config = self.config
        return self._model or build_tokenizer(
            config["tokenizer"], config["quantizer"], self.images.grid, seed=config["seed"]
        )

    def make(self) -> VQVAE:
        """See `Task.make`: fresh codebooks start from the first batch."""
        batch = self.images.first_batch()
        graph, weights = nnx.split(super().make())
        kept = frozenset() if self.initial is None else self.initial.kept_codebooks

        @jax.jit
        def start(weights: Any, pixels: Array, key: Array) -> Any:
            tokenizer = nnx.merge(graph, weights)
            tokenizer.start_codebooks(pixels, key, kept=kept)
            return nnx.state(tokenizer)

        pixels = to_pixels(batch["image"], self.images.grid.levels)
        return nnx.merge(graph, start(weights, pixels, named_key(self.config["seed"], "codebooks")))

    def batches(self, start: Position = START) -> Iterator[Mapping[str, Any]]:
        """See `Task.batches`."""
        for batch in self.images.batches(start):
            yield {"image": batch["image"]}

    def loss(self, model: VQVAE, batch: Mapping[str, Any], keys: Key[Array, " b"]) -> Loss:
        """See `Task.loss`."""
        losses = model.loss(
            batch["image"], variance=self.variance, key=keys, distance=self._distance
        )
        metrics = {
            "loss": losses.total,
            "reconstruction_loss": losses.reconstruction,
            "commitment_loss": losses.commitment,
            "codebook_loss": losses.codebook,
            "squared_error": losses.squared_error,
        }
        if self._distance is not None:
            metrics["perceptual_loss"] = losses.perceptual
        counts = [level.counts for level in losses.statistics]
        return Loss(losses.total, metrics, losses.statistics, counts)

    def counted(self, counts: Sequence[Float[np.ndarray, "g k"]]) -> Counted:
        """See `Task.counted`: the use of the codebooks."""
        use = [code_use(level.astype(np.int64)) for level in counts]
        return Counted(metrics_of_levels(use), words_of_levels(use))

    def after_step(self, model: VQVAE, statistics: Any) -> None:
        """See `Task.after_step`: the codebooks move."""
        model.update_codebooks([merge_statistics(level) for level in statistics])

    def evaluate(self, model: VQVAE, split: str, check: Check = go_on) -> Evaluation:
        """See `Task.evaluate`: the cost of reconstruction, and the use of the codebooks."""
        result = evaluate_reconstruction(
            model,
            self.images.dataset.splits[split],
            self.images.symbols,
            variance=self.variance,
            batch_size=self.config["batch_size"],
            mesh=self.images.mesh,
            check=check,
        )
        return Evaluation(result.loss, result.metrics(), result.words())

    def picture(self, model: VQVAE, check: Check = go_on) -> Float[np.ndarray, "n h w c"] | None:
        """See `Task.picture`: validation images above their reconstructions."""
        if model.grid.channels not in (1, 3):
            return None
        num = self.config["num_samples"]
        split = self.images.dataset.splits["validation"]
        batch = next(evaluation_batches(split, self.images.symbols, batch_size=num))
        originals = to_pixels(batch["image"][batch["mask"]], model.grid.levels)
        reconstructions = np.asarray(model.reconstruct(jnp.asarray(originals)))
        return above(originals, reconstructions)

    def _variance(self) -> float:
        """Measure the variance of the pixels around the mean at each position.

        It is in squared units of [0, 1].
        """
        split = self.images.dataset.splits["train"]
        num = min(VARIANCE_IMAGES, len(split))
        batch = next(evaluation_batches(split, self.images.symbols, batch_size=num))
        pixels = to_pixels(batch["image"], self.images.grid.levels).astype(np.float64)
        # Identical images have no variance. The minimum avoids a division by zero.
        return max(float(pixels.var(axis=0).mean()), 1e-6)


def _perceptual_distance(tokenizer: Mapping[str, Any]) -> Distance | None:
    """Return the distance of a tokenizer's perceptual loss, or None if it has no such loss."""
    if not tokenizer.get("perceptual_weight"):
        return None
    weights, distance = load_lpips()
    return functools.partial(distance, weights)

"""Train a model of the images themselves."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from pixelprior.context import Context, hide_condition
from pixelprior.data import START, Dataset, Position, Symbols, to_pixels
from pixelprior.data.manifest import Manifest
from pixelprior.errors import InputError
from pixelprior.evaluation.conditions import conditions_of
from pixelprior.evaluation.likelihood import check_labels, evaluate_likelihood
from pixelprior.experiment import build_model, count_attributes, count_classes
from pixelprior.models.base import GridModel
from pixelprior.nn.image_keys import split_keys
from pixelprior.progress import Check, go_on, last_of
from pixelprior.sampling import sample_rows
from pixelprior.sampling.labels import label_context
from pixelprior.system.prng import named_key
from pixelprior.training.task import Evaluation, Loss, Task
from pixelprior.training.tasks.images import Images
from pixelprior.turns import draw_turns, turned


class PixelTask(Task):
    """Maximum likelihood of images as grids of symbols.

    Args:
        config: config of the experiment.
        mesh: the devices.
        opened: see `Images`.
        model: model with the initial weights; by default a fresh model from the config.

    Raises:
        InputError: if the data, the config and the model do not fit each other.
    """

    headline, unit = "bits_per_dim", "b/d"

    def __init__(
        self,
        config: Mapping[str, Any],
        mesh: jax.sharding.Mesh,
        *,
        opened: tuple[Dataset, Symbols] | None = None,
        model: GridModel | None = None,
    ):
        self.config = config
        self.images = Images(config, mesh, opened)
        self._model = model
        self.turned_share = config["distribution_augmentation"]
        if model is not None and model.context_shape.turns != (self.turned_share > 0):
            raise InputError(
                f"distribution_augmentation={self.turned_share} does not fit the model; build it "
                f"with turns={self.turned_share > 0}"
            )
        dataset = self.images.dataset
        self.num_classes = count_classes(config, dataset.class_names, dataset.name)
        self.num_attributes = count_attributes(config, dataset.attribute_names, dataset.name)
        conditional = self.num_classes or self.num_attributes
        self.label_dropout = config["label_dropout"] if conditional else 0.0

    @property
    def title(self) -> str:
        """See `Task.title`."""
        return self.images.title

    def describe(self) -> Mapping[str, Any]:
        """See `Task.describe`."""
        return self.images.describe()

    @property
    def manifest(self) -> Manifest | None:
        """See `Task.manifest`."""
        return self.images.dataset.manifest

    def build(self) -> GridModel:
        """See `Task.build`."""
        if self._model is not None:
            return self._model
        return build_model(
            self.config["model"],
            self.images.grid,
            num_classes=self.num_classes,
            vector_features=self.num_attributes,
            null_class=self.label_dropout > 0,
            turns=self.turned_share > 0,
            seed=self.config["seed"],
        )

    def batches(self, start: Position = START) -> Iterator[Mapping[str, Any]]:
        """See `Task.batches`."""
        split = self.images.dataset.splits["train"]
        for batch in self.images.batches(start):
            check_labels(self.num_classes, batch["label"], split.description)
            yield batch

    def loss(self, model: GridModel, batch: Mapping[str, Any], keys: Key[Array, " b"]) -> Loss:
        """See `Task.loss`."""
        return pixel_loss(
            model,
            batch,
            keys,
            label_dropout=self.label_dropout,
            turned_share=self.turned_share,
        )

    def evaluate(self, model: GridModel, split: str, check: Check = go_on) -> Evaluation:
        """See `Task.evaluate`: the negative log-likelihood."""
        likelihood = evaluate_likelihood(
            model,
            self.images.dataset.splits[split],
            self.images.symbols,
            batch_size=self.config["batch_size"],
            mesh=self.images.mesh,
            check=check,
        )
        orders = " in random orders" if model.context_shape.any_order else ""
        return Evaluation(
            likelihood.nats,
            {"nats": likelihood.nats, "bits_per_dim": likelihood.bits_per_dim},
            f"NLL {likelihood.nats:.3f} nats, {likelihood.bits_per_dim:.4f} bits/dim{orders}",
        )

    def picture(
        self, model: GridModel, check: Check = go_on
    ) -> Float[np.ndarray, "n h w c"] | None:
        """See `Task.picture`: samples."""
        num = self.config["num_samples"]
        if model.grid.channels not in (1, 3):
            return None
        key = named_key(self.config["seed"], "samples")
        # By rows, so that a signal need not wait for the whole picture.
        if self.num_attributes:
            validation = self.images.dataset.splits["validation"]
            context = conditions_of(model.context_shape, validation, np.arange(num))
        else:
            context = label_context(model, None, num)
        rows = sample_rows(model, key, num, context=context)
        symbols = last_of(rows, check)
        return to_pixels(np.asarray(symbols), model.grid.levels)


def pixel_loss(
    model: GridModel,
    batch: Mapping[str, Any],
    keys: Key[Array, " b"],
    *,
    label_dropout: float = 0.0,
    turned_share: float = 0.0,
) -> Loss:
    """Compute the bits per dimension of a batch, given the conditions that the model takes.

    Args:
        model: the model.
        batch: images and their conditions.
        keys: one key for each image.
        label_dropout: share of the images whose label and vector are hidden.
        turned_share: share of the images that are turned or mirrored, see `pixelprior.turns`.
            With ``label_dropout`` they are shown without label and vector.
    """
    images = batch["image"]
    context = model.context_shape.of_batch(batch)
    if label_dropout:
        hiding_keys, keys = split_keys(keys, 2)
        context = hide_condition(context, label_dropout, hiding_keys)
    if turned_share:
        turning_keys, keys = split_keys(keys, 2)
        turn = draw_turns(turning_keys, turned_share, model.grid)
        images = turned(images, turn, model.grid)
        context = dataclasses.replace(context or Context(), turn=turn)
        if context.hidden is not None:
            # A condition that also fits turned images would make guidance draw them.
            context = dataclasses.replace(context, hidden=context.hidden | (turn > 0))
    log_prob = model.log_prob(images, context, dropout_key=keys)
    bits = -log_prob.mean() / (model.grid.size * jnp.log(2.0))
    return Loss(bits, {"bits_per_dim": bits})

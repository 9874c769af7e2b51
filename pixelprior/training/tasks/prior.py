"""Train a prior on the codes of a tokenizer."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Key

from pixelprior.context import Context
from pixelprior.data import (
    START,
    CodeSet,
    Position,
    evaluation_code_batches,
    training_code_batches,
)
from pixelprior.errors import InputError
from pixelprior.evaluation.code_likelihood import evaluate_codes
from pixelprior.evaluation.likelihood import check_labels
from pixelprior.experiment import build_prior, count_attributes, count_classes
from pixelprior.prior import Prior
from pixelprior.progress import Check, go_on, last_of
from pixelprior.sampling.labels import label_context
from pixelprior.system.devices import check_batch_size, rows_here
from pixelprior.system.prng import named_key
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.code_maps import level_names
from pixelprior.training.task import Evaluation, Loss, Task


class PriorTask(Task):
    """Maximum likelihood of codes, of all levels or of some.

    Args:
        config: config of the experiment.
        tokenizer: tokenizer of the codes.
        codes: codes of the images that the tokenizer was trained on.
        described: facts about those images and their attributes, for the run folder.
        others: a prior that supplies the weights of the untrained levels, and the names of its
            learned levels; None for no such prior.
        mesh: the devices.
        model: prior with the initial weights; by default a fresh prior from the config.

    Raises:
        InputError: if the config does not fit the codes.
    """

    headline, unit = "bits_per_code", "bits/code"

    def __init__(
        self,
        config: Mapping[str, Any],
        tokenizer: VQVAE,
        codes: CodeSet,
        described: Mapping[str, Any],
        others: tuple[Prior, Sequence[str]] | None,
        mesh: jax.sharding.Mesh,
        *,
        model: Prior | None = None,
    ):
        check_batch_size(config["batch_size"], mesh, parts=max(1, config["accumulate_steps"]))
        self.config = config
        self.tokenizer = tokenizer
        self._model = model
        self.codes = codes
        self.mesh = mesh
        facts = codes.facts
        self.num_classes = count_classes(config, facts.class_names, facts.name)
        self.num_attributes = count_attributes(config, facts.attribute_names, facts.name)
        if model is not None and model.vector_features != self.num_attributes:
            raise InputError(
                f"the model takes vectors of {model.vector_features} numbers, got "
                f"{self.num_attributes} attributes"
            )
        self._described = described
        self._others = None if others is None else others[0]
        learned = () if others is None else others[1]
        self.names = level_names(len(facts.grids))
        trained = tuple(config["trained_levels"])
        if not trained or not set(trained) <= set(self.names):
            raise InputError(
                f"config.trained_levels must be some of {', '.join(self.names)}, got {trained!r}"
            )
        self.trained = [n for n, name in enumerate(self.names) if name in trained]
        self.learned = [name for name in self.names if name in {*trained, *learned}]
        self.trainable = nnx.All(nnx.Param, self._is_trained)

    def _is_trained(self, path: tuple[Any, ...], _: Any) -> bool:
        """Return True for a weight of a level that is trained."""
        kind, number = path[0], path[1]
        # The top level has no context network, so the first one belongs to the second level.
        return (number if kind == "levels" else number + 1) in self.trained

    @property
    def title(self) -> str:
        """See `Task.title`."""
        maps = ", ".join(
            f"{name} {grid.height}x{grid.width}x{grid.channels} of {grid.levels}"
            for name, grid in zip(self.names, self.codes.facts.grids, strict=True)
        )
        return f"codes of {self.codes.facts.name} ({maps})"

    def describe(self) -> Mapping[str, Any]:
        """See `Task.describe`: facts about the images and their codes."""
        return {
            **self._described,
            "tokenizer": self.codes.facts.fingerprint,
            "code_grids": [[*grid.shape, grid.levels] for grid in self.codes.facts.grids],
            "learned_levels": self.learned,
            "code_counts": [counts.tolist() for counts in self.codes.counts],
        }

    def build(self) -> Prior:
        """See `Task.build`."""
        config = self.config
        return self._model or build_prior(
            config["models"],
            config["context"],
            self.codes.facts.grids,
            num_classes=self.num_classes,
            vector_features=self.num_attributes,
            label_dropout=config["label_dropout"],
            seed=config["seed"],
        )

    def make(self) -> Prior:
        """See `Task.make`. The untrained levels have the weights of the other prior."""
        prior = super().make()
        if self._others is None:
            return prior
        graph, fresh = nnx.split(prior)
        trained, _ = nnx.split_state(fresh, self.trainable, ...)
        _, rest = nnx.split_state(nnx.state(self._others), self.trainable, ...)
        return nnx.merge(graph, trained, rest)

    def batches(self, start: Position = START) -> Iterator[Mapping[str, Any]]:
        """See `Task.batches`."""
        split = self.codes.splits["train"]
        for batch in training_code_batches(
            split,
            batch_size=self.config["batch_size"],
            seed=self.config["seed"],
            start=start,
            rows=rows_here(self.config["batch_size"], self.mesh),
        ):
            check_labels(self.num_classes, batch["label"], split.description)
            yield batch

    def loss(self, model: Prior, batch: Mapping[str, Any], keys: Key[Array, " b"]) -> Loss:
        """See `Task.loss`: bits per code of the trained levels."""
        context = model.context_shape.of_batch(batch)
        nats, num_codes, metrics = jnp.zeros(()), 0, {}
        for number in self.trained:
            log_prob = model.level_log_prob(number, batch["codes"], context, dropout_key=keys)
            level = -log_prob.mean()
            size = self.codes.facts.grids[number].size
            metrics[f"{self.names[number]}_nats"] = level
            metrics[f"{self.names[number]}_bits_per_code"] = level / (size * math.log(2.0))
            nats, num_codes = nats + level, num_codes + size
        bits = nats / (num_codes * math.log(2.0))
        return Loss(bits, {"bits_per_code": bits, **metrics})

    def evaluate(self, model: Prior, split: str, check: Check = go_on) -> Evaluation:
        """See `Task.evaluate`: the negative log-likelihood, level by level."""
        source, batch_size = self.codes.splits[split], self.config["batch_size"]
        rows = rows_here(batch_size, self.mesh)
        result = evaluate_codes(
            model,
            evaluation_code_batches(source, batch_size=batch_size, rows=rows),
            source.description,
            mesh=self.mesh,
            check=check,
        )
        trained = [result.levels[number] for number in self.trained]
        nats = sum(level.nats for level in trained)
        num_codes = sum(self.codes.facts.grids[number].size for number in self.trained)
        bits = nats / (num_codes * math.log(2.0))
        metrics = {"nats": nats, "bits_per_code": bits}
        for number in self.trained:
            metrics[f"{self.names[number]}_nats"] = result.levels[number].nats
            metrics[f"{self.names[number]}_bits_per_code"] = result.levels[number].bits_per_code
        levels = ", ".join(
            f"{self.names[n]} {result.levels[n].bits_per_code:.4f} bits/code" for n in self.trained
        )
        return Evaluation(bits, metrics, f"NLL {nats:.3f} nats, {levels}")

    def picture(self, model: Prior, check: Check = go_on) -> Float[np.ndarray, "n h w c"] | None:
        """See `Task.picture`: images of sampled codes, once all levels have been learned."""
        if self.tokenizer.grid.channels not in (1, 3):
            return None
        if len(self.learned) < len(self.names):
            return None
        num = self.config["num_samples"]
        context = (
            self._conditions(model, num) if self.num_attributes else label_context(model, None, num)
        )
        # By rows, so that a signal need not wait for the whole picture.
        rows = model.sample_rows(named_key(self.config["seed"], "samples"), num, context=context)
        codes = last_of(rows, check)
        return np.asarray(self.tokenizer.decode(codes))

    def _conditions(self, model: Prior, num: int) -> Context | None:
        """Return the conditions of the first validation images, in turn if there are fewer."""
        images = self.codes.splits["validation"]
        _, labels, attributes = images.read(np.arange(num) % len(images))
        return model.context_shape.of_batch(
            {"label": jnp.asarray(labels), "attributes": jnp.asarray(attributes)}
        )

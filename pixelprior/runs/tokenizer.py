"""What a prior needs of a tokenizer's run: its fingerprint, its codes, and a copy to carry."""

import functools
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from tqdm import tqdm

from pixelprior.data import CodeSet, Split, Symbols, codes_of, evaluation_batches
from pixelprior.errors import InputError
from pixelprior.runs.load import load_trained
from pixelprior.system.console import say
from pixelprior.system.devices import data_mesh, put_batch
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.likelihoods import as_pixels
from pixelprior.training.metrics import read_metrics
from pixelprior.training.run_folder import RunFolder
from pixelprior.training.tasks.images import Images

ENCODED_AT_ONCE = 128  # images, on each device


class TokenizerRun(NamedTuple):
    """A finished run of a tokenizer.

    Attributes:
        folder: where it is.
        tokenizer: with the averaged weights of the best checkpoint.
        config: the experiment.
        data: what it was trained on.
        step: the step that the weights are of.
        fingerprint: of all that its codes depend on: settings, weights and data.
    """

    folder: RunFolder
    tokenizer: VQVAE
    config: Mapping[str, Any]
    data: Mapping[str, Any]
    step: int
    fingerprint: str


def open_tokenizer_run(path: str | Path) -> TokenizerRun:
    """Opens the run of a tokenizer that is to be used.

    Raises:
        InputError: if there is none, it is of something else, or it was never finished.
    """
    folder = RunFolder(path)
    task = folder.config().get("task")
    if task != "tokenizer":
        raise InputError(
            f"{path} is a run of the task {task!r}, but a tokenizer's is needed: train one with a "
            "config like configs/digits_vqvae.py"
        )
    if not any("best_step" in record for record in read_metrics(folder.metrics)):
        raise InputError(
            f"the tokenizer in {path} was never trained to its end; run the command that trains "
            "it again, and it goes on from its last checkpoint"
        )
    trained = load_trained(path)
    return TokenizerRun(
        folder,
        trained.model,
        trained.config,
        trained.data,
        trained.step,
        _fingerprint(trained.model, trained.config, trained.data),
    )


def make_codes(run: TokenizerRun, *, data_dir: str) -> CodeSet:
    """The codes of all images that a tokenizer was trained on, read or made, in its run folder.

    They are made on the devices of this process.

    Args:
        run: the tokenizer's.
        data_dir: where TFDS looks, if not where it looked for the tokenizer.

    Raises:
        InputError: if the images are not those that it was trained on, or the codes cannot be
            written.
    """
    grids, mesh = run.tokenizer.code_grids, data_mesh(jax.local_devices())

    def make() -> Mapping[str, tuple[str, Iterable[Any]]]:
        config = {**run.config, "batch_size": mesh.size * ENCODED_AT_ONCE}
        images = Images(config | ({"data_dir": data_dir} if data_dir else {}), mesh)
        now = json.loads(json.dumps(images.describe()))
        if any(run.data[key] != value for key, value in now.items()):
            raise InputError(
                f"the data set {images.dataset.name} is not what the tokenizer in "
                f"{run.folder.path} was trained on; find that data, or train a tokenizer on this"
            )
        say(f"encoding {images.dataset.name} with the tokenizer in {run.folder.path}")
        return {
            name: (split.description, _encode(run.tokenizer, split, images.symbols, mesh))
            for name, split in images.dataset.splits.items()
        }

    codes, _ = codes_of(
        run.folder.path / "codes",
        fingerprint=run.fingerprint,
        grids=grids,
        name=run.data["name"],
        note=run.data["note"],
        class_names=tuple(run.data["class_names"]),
        make_splits=make,
    )
    return codes


def carry(run: TokenizerRun, into: Path) -> None:
    """Copies of a tokenizer's run what is needed to use it, all of it or nothing."""
    from pixelprior.training.checkpoints import copy_averaged

    if into.exists():
        return
    unfinished = into.with_name(f".{into.name}.{os.getpid()}.unfinished")
    for left_over in into.parent.glob(f".{into.name}.*.unfinished"):
        shutil.rmtree(left_over)
    unfinished.mkdir(parents=True)
    for name in ("config.json", "data.json", "metrics.jsonl"):
        shutil.copyfile(run.folder.path / name, unfinished / name)
    copy_averaged(run.folder.checkpoints, run.step, unfinished / "checkpoints")
    os.replace(unfinished, into)


def _fingerprint(tokenizer: VQVAE, config: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    about = {
        "tokenizer": config["tokenizer"],
        "quantizer": config["quantizer"],
        "data": data,
    }
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for path, leaf in jax.tree_util.tree_leaves_with_path(nnx.to_pure_dict(nnx.state(tokenizer))):
        values = np.asarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)}{values.dtype}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


@functools.partial(jax.jit, static_argnames="graph")
def get_code_indices(graph: nnx.GraphDef, weights: Any, x: Any) -> Any:
    """The codes of images that come as symbols, jitted."""
    tokenizer = nnx.merge(graph, weights)
    return tokenizer.get_code_indices(as_pixels(jnp.asarray(x), tokenizer.grid))


def _encode(
    tokenizer: VQVAE, split: Split, symbols: Symbols, mesh: jax.sharding.Mesh
) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
    """The codes and labels of a split, batch by batch."""
    graph, weights = nnx.split(tokenizer)
    with tqdm(total=len(split), unit="image", desc=split.name) as bar:
        for batch in evaluation_batches(split, symbols, batch_size=mesh.size * ENCODED_AT_ONCE):
            codes = get_code_indices(graph, weights, put_batch(batch["image"], mesh))
            mask = batch["mask"]
            yield [np.asarray(level)[mask] for level in codes], batch["label"][mask]
            bar.update(int(mask.sum()))

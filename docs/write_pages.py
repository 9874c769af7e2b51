"""Write the pages that are generated from the source: ``python docs/write_pages.py``."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
from flax import nnx

from pixelprior.experiment import build_model, build_prior, build_tokenizer, describe_augmentation
from pixelprior.experiment.recipes import Variant, all_variants, load_recipe, recipes
from pixelprior.grid import Grid

DOCS = Path(__file__).parent
SOURCE = DOCS.parent / "pixelprior"
ERRORS = ("InputError", "DataError", "NonFiniteLossError", "CheckpointError")

SUBJECTS = {
    "Configs": (
        "experiment/",
        "`pixelprior/experiment/schema.py` explains every key. Every recipe has all keys.",
    ),
    "Run folders, checkpoints and training": (
        "training/ runs/load.py runs/run.py runs/tokenizer.py system/json_file.py",
        "A refused command changes nothing in a run folder. A failed run keeps its last good "
        "checkpoint.",
    ),
    "Exported files": (
        "runs/one_file/ runs/source.py runs/hub.py",
        "See [one file, bundled models](export.md).",
    ),
    "Compressed files": (
        "coding/ runs/compression/ cli/compress cli/decompress",
        "See [lossless compression](compression.md). Images before the damage are kept.",
    ),
    "Commands and flags": (
        "cli/ runs/ figures/outputs.py",
        "No file was overwritten. `--help` lists the flags, and `pixelprior configs` the recipes.",
    ),
    "Several devices and processes": (
        "system/",
        "If one process fails, all processes end, each with a message.",
    ),
    "Images and symbols": (
        "data/ grid.py sizes.py figures/sheets.py",
        "Messages name the file or the folder. Deleted codes are made again.",
    ),
    "Sampling": (
        "sampling/ models/guided.py",
        "[Sampling](sampling.md) explains strategies and samplers.",
    ),
    "Models, tokenizers and priors": (
        "models/ nn/ tokenizers/ prior.py context.py",
        "Constructors check the settings of a config again.",
    ),
    "Evaluation": (
        "evaluation/",
        "These messages are about arrays that a Python caller gave.",
    ),
    "The verbs of Python": (
        "verbs/",
        "Each message names the argument, and the values that the verb accepts.",
    ),
    "The demo": ("demo/", "See [the demo](demo.md)."),
}

SHAPES = {
    "digits": (8, 8, 1),
    "mnist": (28, 28, 1),
    "fashion_mnist": (28, 28, 1),
    "cifar10": (32, 32, 3),
}
"""Image shapes of data sets with a fixed size; the others use ``image_size``."""
CLASSES = 10
"""Number of classes of each data set."""

LICENCES = {
    "digits": "comes with scikit-learn (BSD); from the UCI repository's Optical Recognition of "
    "Handwritten Digits, CC BY 4.0",
    "mnist": "no licence is stated by its authors; see the source",
    "fashion_mnist": "MIT",
    "cifar10": "no licence is stated by its authors; see the source",
    "celeb_a": "non-commercial research alone; see the source",
    "folder": "yours",
}


def messages() -> Iterator[tuple[str, str]]:
    """Yield the file and the message of every error that a user can correct, in order."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            if isinstance(node.func, ast.Name) and node.func.id in ERRORS:
                text = " ".join(_text(node.args[0]).split())
                # A message that is only passed on is listed where it is made.
                if re.search(r"[a-z]{3}", text.replace("...", "")):
                    yield path.relative_to(SOURCE).as_posix(), text


def _text(node: ast.expr) -> str:
    """Text of a message, with an ellipsis for each inserted value."""
    match node:
        case ast.Constant():
            return str(node.value)
        case ast.JoinedStr():
            return "".join(map(_text, node.values))
        case ast.BinOp():
            return _text(node.left) + _text(node.right)
    return "..."


def messages_page() -> str:
    """Page of all messages, by subject."""
    lines = [
        "# Every message",
        "",
        "On this page you can look up a message. `python docs/write_pages.py` writes it from the "
        "source. An ellipsis stands for a value. [Troubleshooting](troubleshooting.md) explains "
        "the problems that need more than one sentence.",
    ]
    found, seen = list(messages()), set()
    for subject, (places, advice) in SUBJECTS.items():
        lines += ["", f"## {subject}", "", advice, ""]
        for file, text in found:
            if file.startswith(tuple(places.split())) and (file, text) not in seen:
                seen.add((file, text))
                lines.append(f"- `{text.replace('`', chr(39))}`")
    missing = set(found) - seen
    assert not missing, f"of no subject: {missing}"
    return "\n".join(lines) + "\n"


def cards_page() -> str:
    """Page of model cards, one for each variant of each recipe."""
    lines = [
        "# Model cards",
        "",
        "On this page you can look up what each config trains, and its measured result. `python "
        "docs/write_pages.py` writes it from the configs. For all of them:",
        "",
        "- **Use**: research and teaching. A model draws images like its training images and "
        "measures their probability. [Bundled models](export.md#bundled-models) are the ones with "
        "weights. Whoever trains a model is responsible for its data.",
        "- **Limits**: a model covers one data set, at one size and number of values per symbol. "
        "It repeats the biases of its data, also for pictures of faces. It may repeat training "
        "images: `evaluate.py --num_samples=1000` counts copies.",
        "- **Measured** values are from the test split, with averaged weights of the best "
        "checkpoint. Other values were not measured. `evaluate.py --workdir=RUN` measures your "
        "run.",
        "",
        "A card of your own run: `pixelprior export RUN -o model.safetensors --card` writes it.",
    ]
    for recipe, module in recipes().items():
        title, *about = _paragraphs(module.__doc__ or "")
        lines += ["", f"## {recipe}", "", title, ""]
        if recipe in LICENCES:
            lines += [f"Licence of the data: {LICENCES[recipe]}.", ""]
        lines += about
        for name, variant in all_variants().items():
            if name.partition(":")[0] == recipe:
                lines += ["", f"### {name}", "", f"{variant.title}.", "", *_facts(name, variant)]
    return "\n".join(lines) + "\n"


def _paragraphs(text: str) -> list[str]:
    """Paragraphs of a docstring, without its commands."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    return [paragraph for paragraph in paragraphs if not paragraph.startswith("python ")]


def _tokenizer_config(name: str) -> Mapping[str, Any]:
    """Config of the tokenizer whose codes the recipe of a prior models."""
    recipe, _, variant = name.partition(":")
    return load_recipe(f"{recipe}:vqvae2" if "prior2" in variant else f"{recipe}:vqvae")


def _facts(name: str, variant: Variant) -> list[str]:
    config = load_recipe(name)
    sentences = [variant.result, f"Source: {variant.source}." if variant.source else ""]
    claims = " ".join(filter(None, sentences))
    if config["task"] == "compare":
        return [f"Runs: {', '.join(config['runs'])}.", "", claims]
    changes = describe_augmentation(config)
    return [
        f"- Parameters: {_num_parameters(name, config):,}",
        f"- Training: {config['num_steps']:,} steps of {config['batch_size']} images, "
        f"{config['optimizer']}, learning rate {config['learning_rate']:g}",
        *([f"- Augmentation: {changes}"] if changes else []),
        "",
        claims,
    ]


def _num_parameters(name: str, config: Mapping[str, Any]) -> int:
    shapes = jax.eval_shape(lambda: nnx.state(_build(name, config), nnx.Param))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def _build(name: str, config: Mapping[str, Any]) -> Any:
    if config["task"] == "prior":
        tokenizer = _tokenizer_config(name)
        return build_prior(
            config["models"],
            config["context"],
            _build(name, tokenizer).code_grids,
            num_classes=CLASSES if config["class_conditional"] else 0,
            label_dropout=config["label_dropout"],
            seed=0,
        )
    data = config["dataset"].partition(":")[0]
    grid = Grid(*SHAPES.get(data, (*config["image_size"], 3)), config["levels"])
    if config["task"] == "tokenizer":
        return build_tokenizer(config["tokenizer"], config["quantizer"], grid, seed=0)
    num_classes = CLASSES if config["class_conditional"] else 0
    null_class = bool(num_classes and config["label_dropout"])
    return build_model(
        config["model"],
        grid,
        num_classes=num_classes,
        null_class=null_class,
        turns=config["distribution_augmentation"] > 0,
        seed=0,
    )


PAGES = {"messages.md": messages_page, "model_cards.md": cards_page}


if __name__ == "__main__":
    for page, write in PAGES.items():
        (DOCS / page).write_text(write())

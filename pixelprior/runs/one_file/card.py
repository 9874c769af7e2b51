"""Model card of an exported file: Markdown with the front matter that model hubs read."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pixelprior.data.place import kind_of
from pixelprior.experiment import describe_augmentation
from pixelprior.experiment.conditioning import conditioning_in_words
from pixelprior.experiment.recipe_of import recipe_of
from pixelprior.runs.one_file.figures import RESULTS, cost_in_words, cost_of_type

_USES = {
    "pixels": "It draws images like those of its data set, and computes their probability.",
    "tokenizer": "It turns images into codes, and codes into images.",
    "prior": "It draws the codes of images like those of its data set, and decodes them. It also "
    "computes the probability of codes.",
}

_WORDS = {
    "nats": "NLL, nats per image",
    "bits_per_dim": "bits/dim",
    "bits_per_code": "bits per code",
    "squared_error": "squared error of a pixel in [0, 1]",
    "psnr": "PSNR, dB",
}


def card_of(
    about: Mapping[str, Any], *, name: str, loaded_as: str, num_bytes: int, num_parameters: int
) -> str:
    """Write the model card of a file, from its metadata.

    Args:
        about: the metadata of the file.
        name: the title of the card.
        loaded_as: the name by which the example of the card loads the file.
        num_bytes: the size of the file.
        num_parameters: the number of trained weights.
    """
    data, task = about["data"], about["config"]["task"]
    height, width, channels = data["shape"]
    lines = [
        *_front_matter(about),
        f"# {name}",
        "",
        f"{_kind(about)} of {data['name']}: {height} x {width} x {channels} pixels of "
        f"{data['levels']} values. {_USES[task]} It covers one data set, at one size.",
        "",
        "```python",
        "import jax",
        "import pixelprior as pp",
        "",
        f'run = pp.load_trained("{loaded_as}")',
        *_example(about),
        "```",
        "",
        "## Data",
        "",
        *(
            f"- {split}: {facts['description']}, {facts['images']:,} images as "
            f"{data['symbols'][split]}"
            for split, facts in data["splits"].items()
        ),
        *([f"- {data['note']}"] if data["note"] else []),
        *([f"- classes: {', '.join(data['class_names'])}"] if data["class_names"] else []),
        *_attributes(data["attribute_names"]),
        "",
        "## Training",
        "",
        *_training(about),
        "",
        "## Results",
        "",
        *_results(about),
        "",
        "## File",
        "",
        f"- {num_parameters:,} parameters in {num_bytes:,} bytes, kernels as {about['dtype']}",
        f"- weights: {about['provenance']}",
        f"- fingerprint: `{about['fingerprint']}`",
        f"- versions: {', '.join(f'{key} {value}' for key, value in about['versions'].items())}",
    ]
    return "\n".join(lines) + "\n"


def _front_matter(about: Mapping[str, Any]) -> list[str]:
    """Front matter in YAML, of which JSON is a part."""
    task, dataset = about["config"]["task"], about["data"]["name"]
    facts: dict[str, Any] = {
        "library_name": "pixelprior",
        "tags": ["pixelprior", "jax", "flax", "autoregressive", task],
    }
    if task != "tokenizer":
        facts["pipeline_tag"] = "unconditional-image-generation"
    if not kind_of(dataset) and ":" not in dataset:
        facts["datasets"] = [dataset]
    return ["---", *(f"{key}: {json.dumps(value)}" for key, value in facts.items()), "---", ""]


def _kind(about: Mapping[str, Any]) -> str:
    config = about["config"]
    given = f"{conditioning_in_words(config)} ".lstrip()
    article = "An" if given.startswith("a") else "A"
    match config["task"]:
        case "pixels":
            return f"{article} {given}{config['model']['name']} model"
        case "tokenizer":
            return f"A {config['tokenizer']['name']} tokenizer"
        case _:
            names = " and ".join(model["name"] for model in config["models"].values())
            return f"{article} {given}{names} prior with its tokenizer"


def _attributes(names: Sequence[str]) -> list[str]:
    return [f"- attributes, in the order of a vector: {', '.join(names)}"] if names else []


def _example(about: Mapping[str, Any]) -> list[str]:
    config = about["config"]
    if config["task"] == "tokenizer":
        return ["codes = pp.encode(run, images)  # pixels in [0, 1], [n, height, width, channels]"]
    given = ", label=0" if config["class_conditional"] else ""
    if config.get("attribute_conditional"):
        given += f", vector=[0.0] * {len(about['data']['attribute_names'])}"
    return [f"pp.show(pp.sample(run, jax.random.key(0), 16{given}), run)"]


def _training(about: Mapping[str, Any]) -> list[str]:
    config, of_tokenizer = about["config"], about["tokenizer_config"]
    recipe = recipe_of(config)
    lines = []
    if recipe and of_tokenizer is None:
        lines = ["```bash", f"pixelprior train --config={recipe} --workdir=RUN", "```", ""]
    elif recipe and (first := recipe_of(of_tokenizer)):
        lines = [
            "```bash",
            f"pixelprior train --config={first} --workdir=TOKENIZER",
            f"pixelprior train --config={recipe} --workdir=RUN --tokenizer=TOKENIZER",
            "```",
            "",
        ]
    kept = [("Config", config)] + (
        [("Config of the tokenizer", of_tokenizer)] if of_tokenizer else []
    )
    for title, settings in kept:
        if changes := describe_augmentation(settings):
            lines += [f"Augmentation of the training images: {changes}.", ""]
        lines += [f"{title}: `{json.dumps(settings, sort_keys=True)}`", ""]
    return lines[:-1]


def _results(about: Mapping[str, Any]) -> list[str]:
    task, dtype, figures = about["config"]["task"], about["dtype"], about["figures"]
    if cost_of_type(task, figures, dtype) is not None:
        return [
            f"On the {figures['images']:,} {figures['split']} images as {figures['symbols']}:",
            "",
            f"| result | float32 | {dtype}, this file |",
            "|---|---|---|",
            *(
                f"| {_WORDS[key]} | {before:.6g} | {figures['results'][dtype][key]:.6g} |"
                for key, before in figures["results"]["float32"].items()
            ),
            "",
            f"{cost_in_words(task, figures, dtype)}.",
        ]
    rows = [
        f"| {split} | {_WORDS[key]} | {record[f'{split}_{key}']:.6g} |"
        for record in about["metrics"]
        for split in ("validation", "test")
        for key in RESULTS[task]
        if f"{split}_{key}" in record
    ]
    if not rows:
        return ["No results were recorded."]
    table = [
        "As training recorded them, in float32:",
        "",
        "| split | result | value |",
        "|---|---|---|",
    ]
    return [*table, *rows]

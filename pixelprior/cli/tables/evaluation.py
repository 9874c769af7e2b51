"""Tables of an evaluation: one for the split, by the task of the run, and one for samples."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pixelprior.evaluation.neighbours import NEAREST
from pixelprior.evaluation.sample_quality import Quality

HEADINGS = ("Fréchet", "kernel", "IS", "precision", "recall", "density", "coverage")
"""Headings of the columns of sample quality, in the order of `Quality`."""

_COLUMNS = ((9, ".4g"), (9, ".4g"), (7, ".3f"), (9, ".4f"), (7, ".4f"), (7, ".4f"), (8, ".4f"))
"""Width and format of each of these columns. A row fits into 80 characters."""

_ERROR = "  standard error over images"
_MARGINAL = "without classes (mean probability)"

_OLD_RULES = "note: files read by the rules of version 0.1.0, their contents not checked"


def evaluation_table(result: Mapping[str, Any]) -> list[str]:
    """Format the results of a run on a split."""
    return [*_heading(result), *_TABLES[result["task"]](result)]


def _heading(result: Mapping[str, Any]) -> list[str]:
    """Name the data, the split and the number of images."""
    shape = "x".join(map(str, result["shape"]))
    conditions = [
        what
        for what, key in (("class", "class_conditional"), ("attributes", "attribute_conditional"))
        if result.get(key)
    ]
    given = f", given each image's {' and '.join(conditions)}" if conditions else ""
    return [
        f"{result['dataset']} {shape}, {result['symbols']}",
        f"{result['split']} split ({result['split_description']}), "
        f"{result['num_images']:,} images{given}",
        *([f"note: {result['note']}"] if "note" in result else []),
        *([_OLD_RULES] if result.get("reading") == 1 else []),
    ]


def _pixels(result: Mapping[str, Any]) -> list[str]:
    rows = [
        (row["description"], row["nats"], row["bits_per_dim"])
        for row in result.get("baselines", {}).values()
    ]
    rows.append((result["model"], result["nats"], result["bits_per_dim"]))
    error = "  standard error over images"
    names = [
        error,
        *(name for name, _, _ in rows),
        *([_MARGINAL] if "marginal_nats" in result else []),
    ]
    width = max(map(len, names))
    return [
        f"{result['model']}, {result['weights']}",
        "",
        f"{'':<{width}} {'nats/image':>12} {'bits/dim':>9}",
        *(f"{name:<{width}} {nats:>12.3f} {bits:>9.4f}" for name, nats, bits in rows),
        f"{_ERROR:<{width}} {result['nats_error']:>12.3f}",
        *_classes(result, width),
        *_orders(result),
    ]


def _orders(result: Mapping[str, Any]) -> list[str]:
    """Results of an any-order model that other models do not have."""
    if "num_orders" not in result:
        return []
    return [
        f"average over {result['num_orders']} random orders of each image, which differ by "
        f"{result['order_spread']:.3f} nats",
        f"(standard deviation); in raster order {result['raster_nats']:.3f} nats",
    ]


def _classes(result: Mapping[str, Any], width: int) -> list[str]:
    """Results of a class-conditional model without classes."""
    if "marginal_nats" not in result:
        return []
    nats, bits = result["marginal_nats"], result["marginal_bits_per_dim"]
    return [
        f"{_MARGINAL:<{width}} {nats:>12.3f} {bits:>9.4f}",
        f"{_ERROR:<{width}} {result['marginal_nats_error']:>12.3f}",
        f"the true class is the most probable one for {result['class_accuracy']:.1%} of the images",
    ]


def _tokenizer(result: Mapping[str, Any]) -> list[str]:
    rows = [
        (row["description"], row["squared_error"]) for row in result.get("baselines", {}).values()
    ]
    own = f"{result['model']}, {result['code_bits']:g} bits"
    rows.append((own, result["squared_error"]))
    ratio = "  peak signal-to-noise ratio"
    width = max(len(ratio), *(len(name) for name, _ in rows))
    lines = [
        f"{own}, {result['weights']}",
        "",
        f"{'':<{width}} {'MSE':>9}",
        *(f"{name:<{width}} {error:>9.6f}" for name, error in rows),
        f"{_ERROR:<{width}} {result['squared_error_error']:>9.6f}",
        f"{ratio:<{width}} {result['psnr']:>6.2f} dB",
    ]
    if "ssim" in result:
        lines.append(f"{'  structural similarity':<{width}} {result['ssim']:>9.4f}")
    if "lpips" in result:
        lines.append(f"{'  LPIPS (AlexNet)':<{width}} {result['lpips']:>9.4f}")
    if "bits_per_dim" in result:
        lines += [
            "",
            f"{result['bits_per_dim']:.4f} bits/dim at most, with codes that are all as dear "
            f"({result['decoder_bits_per_dim']:.4f} for the decoder)",
        ]
    else:
        lines += ["", result["no_bits_per_dim"]]
    lines += ["", f"{'level':<10} {'codes':>14} {'used':>6} {'perplexity':>11} {'entropy':>14}"]
    for name, level in result["levels"].items():
        shape = "x".join(map(str, level["shape"]))
        lines.append(
            f"{name:<10} {shape + ' of ' + str(level['codes']):>14} {level['used']:>6.1%} "
            f"{level['perplexity']:>11.1f} {level['entropy_bits']:>9.3f} bits"
        )
    return lines


def _prior(result: Mapping[str, Any]) -> list[str]:
    lines = [
        f"prior over codes, {result['weights']}",
        "",
        f"{result['nats']:.3f} nats/image (standard error {result['nats_error']:.3f}), "
        f"{result['bits_per_code']:.4f} bits/code",
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
        if "num_orders" in level:
            lines.append(
                f"{'':<10} average over {level['num_orders']} random orders of each image, which "
                f"differ by {level['order_spread']:.3f} nats"
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


_TABLES = {"pixels": _pixels, "tokenizer": _tokenizer, "prior": _prior}


def samples_table(result: Mapping[str, Any], split: str) -> list[str]:
    """Format the results of samples."""
    statistics = result["statistics"]
    shown = quality_rows(result, split)
    rows = {f"{result['num_samples']:,} samples": "samples", f"the {split} images": "real"}
    lines = [
        measured_by(result),
        f"samples: {settings_in_words(result['made_by'])}",
        "",
        *quality_table(shown),
        "",
        *_statistics_table(rows, statistics),
        *(f"attention: {words}" for words in statistics["flags"]),
        "",
        *remarks(result, split),
    ]
    if "classes" in result:
        lines += ["", *_classes_table(result)]
    return lines


def remarks(result: Mapping[str, Any], split: str) -> list[str]:
    """Results of samples that fit into no table, one sentence each."""
    lines = []
    if "lpips_diversity" in result:
        found = result["lpips_diversity"]
        lines.append(
            f"random pairs of samples are {found['samples']:.4f} apart by LPIPS (AlexNet), those "
            f"of real images {found['real']:.4f}"
        )
    memory = result["memorisation"]
    for name in ("pixels", "features"):
        if name in memory:
            lines.append(
                f"by {name}, {memory[name]['copies']:.1%} of the samples are nearer to one of "
                f"{memory['training_images']:,} training images than all but 1% of the {split} "
                f"images; a sample is the nearer one in {memory[name]['nearer']:.1%} of pairs"
            )
    return lines


def measured_by(result: Mapping[str, Any]) -> str:
    """Describe the features and the reference. Results are comparable only if these agree."""
    features = result["features"]
    return (
        f"by {features['num_features']} features of {features['description']} "
        f"({features['extractor']} {features['fingerprint'][:16]}), against "
        f"{features['reference_images']:,} images of {features['reference']} "
        f"({features['reference_fingerprint'][:16]})"
    )


def quality_rows(result: Mapping[str, Any], split: str) -> list[tuple[str, Quality]]:
    """Quality of the samples and of real images. The sets that are compared have equal sizes."""
    features = result["features"]
    num, compared = result["num_samples"], features["num_compared"]
    rows = {f"{num:,} samples": "samples"}
    if compared < num:
        rows[f"{compared:,} of them"] = "samples_compared"
    rows[f"{compared:,} {split} images"] = "real"
    return [(name, Quality(**features[key])) for name, key in rows.items()]


def settings_in_words(made_by: Mapping[str, Any]) -> str:
    """Describe how samples were drawn, if that is known."""
    if not {"mode", "seed", "weights", "strategies"} <= made_by.keys():
        return "the file does not tell how they were made"
    words = [f"seed {made_by['seed']}", made_by["weights"]]
    if made_by["mode"] != "sample":
        words.append(f"--mode={made_by['mode']}")
    if made_by["strategies"] != "[()]":
        words.append(made_by["strategies"])
    if made_by.get("guidance") is not None:
        schedule = made_by.get("guidance_schedule", "constant")
        words.append(
            f"guidance {made_by['guidance']}" + (f", {schedule}" if schedule != "constant" else "")
        )
    words += [f"{name}={value}" for name, value in (made_by.get("attributes") or {}).items()]
    if made_by.get("label") is not None:
        words.append(f"class {made_by['label']} alone")
    return ", ".join(words)


def statistics_of(one: Mapping[str, Any]) -> dict[str, str]:
    """Statistics of a set of images, by name. The first two are correlations of neighbours."""
    return {
        "horizontal": f"{_mean(one['horizontal']):.4f}",
        "vertical": f"{_mean(one['vertical']):.4f}",
        "diversity": f"{one['diversity']:.4f}",
        "constant": f"{one['constant']:.2%}",
        "repeated": f"{one['repeated']:.2%}",
    }


def _statistics_table(rows: Mapping[str, str], statistics: Mapping[str, Any]) -> list[str]:
    found = {name: statistics_of(statistics[key]) for name, key in rows.items()}
    width = max(len(name) for name in rows)
    names = next(iter(found.values()))
    return [
        f"{'':<{width}} " + " ".join(f"{name:>9}" for name in names),
        *(
            f"{name:<{width}} "
            + " ".join(f"{value:>{max(9, len(key))}}" for key, value in values.items())
            for name, values in found.items()
        ),
        f"correlations of neighbouring pixels; {shades_apart(statistics)}",
    ]


def shades_apart(statistics: Mapping[str, Any]) -> str:
    """Describe how much the shades of samples and real images differ."""
    return (
        f"the histograms of shades are {statistics['histogram_distance']:.4f} apart (total "
        "variation, 0 to 1)"
    )


def _mean(values: list[float | None]) -> float:
    """Mean over the channels that have a value; NaN if none has."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else math.nan


def class_accuracies(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Accuracies of a small CNN, trained on the training images, each with its test images."""
    classes, num = result["classes"], f"{result['num_samples']:,}"
    lines = [
        ("real_accuracy", "of the real images"),
        ("reconstruction_accuracy", "of their reconstructions"),
        ("sample_accuracy", f"of {num} samples, by the class asked for"),
        ("random_accuracy", "of as many images of random codes, by a class in turn"),
    ]
    return [(f"{classes[key]:.2%}", words) for key, words in lines if key in classes]


def _classes_table(result: Mapping[str, Any]) -> list[str]:
    return [
        "a small CNN, trained on the training images, is right on",
        *(f"  {value:>7} {words}" for value, words in class_accuracies(result)),
        f"trained on the {result['num_samples']:,} samples, it is right on",
        f"  {accuracy_score(result):>7} of the real images (classification accuracy score)",
    ]


def accuracy_score(result: Mapping[str, Any]) -> str:
    """Accuracy on real images of the same CNN, if it is trained on the samples."""
    return f"{result['classes']['classification_accuracy_score']:.2%}"


def quality_table(rows: Sequence[tuple[str, Quality]]) -> list[str]:
    """Format the quality of several sets of images, with their names."""
    width = max(len(name) for name, _ in rows)
    cells = [(word, *column) for word, column in zip(HEADINGS, _COLUMNS, strict=True)]
    heading = " ".join(f"{word:>{size}}" for word, size, _ in cells)
    lines = [f"{'':<{width}} {heading}"]
    for name, row in rows:
        values = [f"{x:>{size}{form}}" for x, (_, size, form) in zip(row, cells, strict=True)]
        lines.append(f"{name:<{width}} {' '.join(values)}")
    return [
        *lines,
        f"balls of precision, recall, density and coverage reach to neighbour {NEAREST}",
    ]

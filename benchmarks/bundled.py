r"""Export the bundled models from a folder of their runs, with their cards, and check their sizes.

python -m benchmarks.bundled --runs=runs [--only=digits,mnist] [--dtype=int8]

The runs have the names of the models. They were trained by these commands:

    pixelprior train --config=digits --workdir=runs/digits
    pixelprior train --config=mnist:best --workdir=runs/mnist
    pixelprior train --config=fashion_mnist --workdir=runs/fashion_mnist
    pixelprior train --config=fashion_mnist:vqvae --workdir=runs/fashion_mnist_vqvae
    pixelprior train --config=fashion_mnist:prior --workdir=runs/fashion_mnist_prior \
        --tokenizer=runs/fashion_mnist_vqvae
"""

import argparse
from pathlib import Path

import numpy as np

import pixelprior as pp
from pixelprior.data import to_pixels
from pixelprior.figures.sheets import png_bytes
from pixelprior.runs.bundled import FOLDER, bundled_models, picture_of
from pixelprior.runs.one_file.export import Exported, export_run
from pixelprior.runs.one_file.figures import COST
from pixelprior.runs.one_file.layout import SUFFIX
from pixelprior.runs.samples import Request, samples_of
from pixelprior.system.console import Terminal

NAMES = ("digits", "mnist", "fashion_mnist", "fashion_mnist_vqvae", "fashion_mnist_prior")
LARGEST, LARGEST_IN_ALL = 1_500_000, 5_000_000  # bytes
PICTURED, SIDE = 16, 640  # images in a picture, and its longer side in pixels
MOST_BITS = 0.01  # largest cost of the stored type, in bits per dimension


def main() -> None:
    """Export the models, and print their sizes and costs as a table in Markdown."""
    parser = argparse.ArgumentParser(description="Exports the bundled models.")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--only", default=",".join(NAMES))
    parser.add_argument("--dtype", default="int8", choices=["int8", "bfloat16"])
    arguments = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    rows = []
    for name in arguments.only.split(","):
        run = pp.load_trained(arguments.runs / name)
        exported = export_run(
            run,
            FOLDER / f"{name}{SUFFIX}",
            dtype=arguments.dtype,
            card=FOLDER / f"{name}.md",
            loaded_as=name,
            overwrite=True,
            report=Terminal(),
        )
        draw_picture(name)
        rows.append(_row(name, run.task, arguments.dtype, exported))
        assert exported.num_bytes <= LARGEST, f"{name} has {exported.num_bytes:,} bytes"
    total = sum(path.stat().st_size for path in bundled_models().values())
    assert total <= LARGEST_IN_ALL, f"the bundled models have {total:,} bytes"
    print("| model | parameters | bytes | result on the test split | float32 | stored | cost |")
    print("|---|---:|---:|---|---:|---:|---:|")
    print("\n".join(rows))
    print(f"\n{total:,} bytes in all.")


def draw_picture(name: str) -> None:
    """Draw samples with a bundled model, or reconstruct test images, for the first look at it."""
    path = bundled_models()[name]
    run = pp.load_trained(path)
    numbers = np.arange(PICTURED)
    if run.can_sample:
        samples = samples_of(run, Request(0, [()], None, None, "auto"))
        pixels = samples.pixels(samples.draw(numbers))
    else:
        images = to_pixels(run.read("test", limit=PICTURED)[0], run.data["levels"])
        pixels = np.asarray(pp.reconstruct(run, images))
    picture = picture_of(path)
    assert picture is not None
    picture.write_bytes(png_bytes(pixels, side=SIDE))


def _row(name: str, task: str, dtype: str, exported: Exported) -> str:
    if exported.cost is None:
        raise SystemExit(f"the data of {name} are not there, so its cost cannot be measured")
    key, unit = COST[task]
    before, after = (exported.figures["results"][kind][key] for kind in ("float32", dtype))
    assert task != "pixels" or exported.cost <= MOST_BITS, f"{name} costs {exported.cost} bits/dim"
    digits = 6 if task == "tokenizer" else 4
    return (
        f"| {name} | {exported.num_parameters:,} | {exported.num_bytes:,} | {unit} | "
        f"{before:.{digits}f} | {after:.{digits}f} | {exported.cost:+.{digits}f} |"
    )


if __name__ == "__main__":
    main()

"""Exact autoregressive models of images and of VQ-VAE codes.

  pixelprior configs    list the recipes, their variants and their results
  pixelprior train      train a model, a tokenizer or a prior, or resume one
  pixelprior sample     draw images from a run, or complete and reconstruct images
  pixelprior evaluate   measure a run, or compare several
  pixelprior export     write a run to one file
  pixelprior compress   compress images without loss
  pixelprior decompress restore compressed images
  pixelprior demo       open a page in the browser

For a first picture, from a model that comes with the package:

  pixelprior sample --workdir=mnist --out=samples.png

For a model of your own:

  pixelprior train --config=digits --workdir=runs/digits
  pixelprior sample --workdir=runs/digits --out=samples.png

Each command lists its flags: pixelprior train --help
"""

import difflib
import importlib
import sys

from pixelprior.experiment.recipes import all_variants, recipes

SCRIPTS = ("train", "sample", "evaluate", "export", "compress", "decompress", "demo")


def main() -> None:
    """Hands over to one of the scripts, or lists the configs."""
    match sys.argv[1:]:
        case [name, *_] if name in SCRIPTS:
            # Their usage is to be that of this command.
            sys.argv[:2] = [f"pixelprior {name}"]
            importlib.import_module(f"pixelprior.cli.{name}").run()
        case ["configs", *rest] if not rest or rest == ["--help"]:
            # In one write: whoever reads may stop after a few lines, as head does.
            sys.stdout.write(_listing())
        case [] | ["--help" | "-h" | "help"]:
            print((__doc__ or "").strip())
        case ["configs", *rest]:
            print(f"error: configs takes no arguments, got {' '.join(rest)!r}", file=sys.stderr)
            sys.exit(2)
        case [name, *_]:
            near = difflib.get_close_matches(name, (*SCRIPTS, "configs"), n=1)
            hint = f"did you mean {near[0]}?" if near else f"use {', '.join(SCRIPTS)} or configs"
            print(f"error: there is no command {name!r}; {hint}", file=sys.stderr)
            sys.exit(2)


def _listing() -> str:
    """The recipes, each above its variants with their results."""
    lines, variants = [], all_variants()
    for recipe, module in recipes().items():
        lines.append((module.__doc__ or recipe).partition("\n")[0])
        for name, variant in variants.items():
            if name.partition(":")[0] == recipe:
                lines.append(f"  {name:<32} {variant.title}: {variant.measured or 'not measured'}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

"""Commands of the installed package: ``pixelprior train``, ``sample``, ``evaluate``, ``configs``.

pixelprior configs
pixelprior train --config=digits --workdir=runs/digits
pixelprior sample --workdir=runs/digits --out=samples.png
pixelprior evaluate --workdir=runs/digits

The flags are those of train.py, sample.py and evaluate.py: ``pixelprior train --help``.
"""

import importlib
import sys

from pixelprior.experiment.recipes import all_variants, recipes

SCRIPTS = ("train", "sample", "evaluate")


def main() -> None:
    """Run one of the scripts, or list the configs."""
    match sys.argv[1:]:
        case [name, *_] if name in SCRIPTS:
            # The usage text of the script then names this command.
            sys.argv[:2] = [f"pixelprior {name}"]
            importlib.import_module(f"pixelprior.cli.{name}").run()
        case ["configs"]:
            # In one write: a reader such as head may stop after a few lines.
            sys.stdout.write(_listing())
        case ["--help" | "-h"]:
            print(__doc__)
        case other:
            asked = f"got {' '.join(other)!r}" if other else "got nothing"
            print(
                f"error: expected one of {', '.join(SCRIPTS)} or configs first, {asked}",
                file=sys.stderr,
            )
            sys.exit(2)


def _listing() -> str:
    """List the recipes, each above its variants with their results."""
    lines, variants = [], all_variants()
    for recipe, module in recipes().items():
        lines.append((module.__doc__ or recipe).partition("\n")[0])
        for name, variant in variants.items():
            if name.partition(":")[0] == recipe:
                lines.append(f"  {name:<32} {variant.title}: {variant.measured or 'not measured'}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

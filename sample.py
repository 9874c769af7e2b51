"""Draw pictures with a trained run: see `pixelprior/cli/sample.py`, or ``--help``."""

from pixelprior.cli.sample import run

if __name__ == "__main__":
    run()

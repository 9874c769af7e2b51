"""Measure a trained run: see `pixelprior/cli/evaluate.py`, or ``--help``."""

from pixelprior.cli.evaluate import run

if __name__ == "__main__":
    run()

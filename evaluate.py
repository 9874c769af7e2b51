"""Measures what was trained: see `pixelprior/scripts/evaluate.py`, or ``--help``."""

from pixelprior.scripts.evaluate import run

if __name__ == "__main__":
    run()

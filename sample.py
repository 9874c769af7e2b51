"""Draws pictures of what was trained: see `pixelprior/scripts/sample.py`, or ``--help``."""

from pixelprior.scripts.sample import run

if __name__ == "__main__":
    run()

"""Trains models, tokenizers and priors: see `pixelprior/scripts/train.py`, or ``--help``."""

from pixelprior.scripts.train import run

if __name__ == "__main__":
    run()

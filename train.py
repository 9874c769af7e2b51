"""Train models, tokenizers and priors: see `pixelprior/cli/train.py`, or ``--help``."""

from pixelprior.cli.train import run

if __name__ == "__main__":
    run()

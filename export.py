"""Write a trained run to one file: see `pixelprior/cli/export.py`, or ``--help``."""

from pixelprior.cli.export import run

if __name__ == "__main__":
    run()

"""Functions for one run: train, load, sample, evaluate."""

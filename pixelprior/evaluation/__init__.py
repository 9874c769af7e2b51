"""Evaluation: measures of a model, and baselines for them."""

"""Evaluation: how good a model is, and how good that is."""

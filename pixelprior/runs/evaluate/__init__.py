"""Evaluation of a run, with the measure of its task."""

from pixelprior.runs.evaluate.evaluation import evaluate

__all__ = ["evaluate"]

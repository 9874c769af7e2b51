"""The evaluation of a run, by the measure of its task."""

from pixelprior.runs.evaluate.evaluation import evaluate

__all__ = ["evaluate"]

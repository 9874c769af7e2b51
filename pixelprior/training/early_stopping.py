"""Early stopping of a run."""

from collections.abc import Sequence


def has_stalled(losses: Sequence[float], patience: int) -> bool:
    """Return True if none of the last ``patience`` losses is below the lowest one before them.

    Args:
        losses: losses of the validation split, in the order of the checkpoints.
        patience: number of losses to wait for an improvement; 0 for never stopping.
    """
    if patience == 0 or len(losses) <= patience:
        return False
    return min(losses[-patience:]) >= min(losses[:-patience])

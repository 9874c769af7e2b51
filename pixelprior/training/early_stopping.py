"""When to end a run early."""

from collections.abc import Sequence


def has_stalled(losses: Sequence[float], patience: int) -> bool:
    """Whether none of the last ``patience`` losses is below the lowest one before them.

    Args:
        losses: of the validation split, in the order of the checkpoints.
        patience: 0 for never.
    """
    if patience == 0 or len(losses) <= patience:
        return False
    return min(losses[-patience:]) >= min(losses[:-patience])

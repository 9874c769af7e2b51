"""Images for runs that are trained on arrays."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def stripes():
    """Images of 4x6 symbols in [0, 8), two classes, and their labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = np.where(labels[:, None, None], np.arange(6) % 2 * 7, np.arange(4)[:, None] % 2 * 7)
    return (images + rng.integers(0, 2, (60, 4, 6)) * (images == 0)).astype(np.uint8), labels

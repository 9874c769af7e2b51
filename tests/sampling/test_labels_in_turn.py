"""Which class each sample is asked to be."""

import numpy as np
import pytest

from pixelprior.errors import InputError
from pixelprior.sampling.labels import labels_in_turn


def test_all_classes_take_turns_in_whatever_batches():
    together = labels_in_turn(3, None, 8)
    np.testing.assert_array_equal(together, [0, 1, 2, 0, 1, 2, 0, 1])
    assert np.issubdtype(together.dtype, np.integer)
    for size in (1, 2, 3, 5):
        parts = [labels_in_turn(3, None, size, first_image=n) for n in range(0, 8, size)]
        np.testing.assert_array_equal(np.concatenate(parts)[:8], together)


def test_a_label_is_everyones():
    for label in range(3):
        ours = labels_in_turn(3, label, 4, first_image=7)
        np.testing.assert_array_equal(ours, [label] * 4)
        assert np.issubdtype(ours.dtype, np.integer)


def test_without_classes_there_are_no_labels():
    assert labels_in_turn(0, None, 4) is None
    with pytest.raises(InputError, match="label 0 was given, but this model has no classes"):
        labels_in_turn(0, 0, 4)


@pytest.mark.parametrize("label", [-1, 3])
def test_unknown_labels_are_refused(label):
    with pytest.raises(InputError, match=rf"label must be in \[0, 3\), got {label}"):
        labels_in_turn(3, label, 4)

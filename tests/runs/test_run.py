"""What a run says of itself."""

import pytest

from pixelprior.errors import InputError
from pixelprior.runs.run import Run


def test_a_class_is_looked_for_by_name_before_its_number():
    run = Run(None, {}, {"class_names": ["2", "cat", "0"]}, "weights", 0)
    labels = ("2", "cat", "0", "1", None)
    assert [run.class_index(label) for label in labels] == [0, 1, 2, 1, None]
    with pytest.raises(InputError, match=r"name of a class \(2, cat, 0\), got 'dog'"):
        run.class_index("dog")

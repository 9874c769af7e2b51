"""What a run says of itself."""

import pytest

from pixelprior.errors import InputError
from pixelprior.runs.run import Run


def test_a_class_is_looked_for_by_name_before_its_number():
    run = Run(None, {}, {"class_names": ["2", "cat", "0"]}, "weights", 0)
    labels = ("2", "cat", "0", "1", None)
    assert [run.class_index(label) for label in labels] == [0, 1, 2, 1, None]


ANIMALS = ["ant", "bee", "cat"]
DIGITS = [str(n) for n in range(10)]


@pytest.mark.parametrize(
    ("names", "label", "message"),
    [
        (ANIMALS, "Ant", "there is no class 'Ant'; did you mean ant?"),
        (ANIMALS, "beee", "there is no class 'beee'; did you mean bee?"),
        (ANIMALS, "tiger", "there is no class 'tiger'; the classes are ant, bee, cat"),
        (ANIMALS, "", "there is no class ''; the classes are ant, bee, cat"),
        (ANIMALS, "3", "there are 3 classes, numbered from 0 to 2, got the number 3"),
        (ANIMALS, "-1", "there are 3 classes, numbered from 0 to 2, got the number -1"),
        # Which one is meant: the name 10 or the number 10?
        (DIGITS[1:], "0", "there is no class '0'; the classes are 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        (DIGITS, "10", f"there is no class '10'; the classes are {', '.join(DIGITS)}"),
        (DIGITS, "-1", f"there is no class '-1'; the classes are {', '.join(DIGITS)}"),
        (
            [f"{n:03d}" for n in range(23)],
            "7",
            "there is no class '7'; the classes are 000, 001, 002, 003, 004, 005, 006, 007, 008, "
            "009, 010, 011, 012, 013, 014, 015, 016, 017, 018, 019 and 3 more",
        ),
        ([], "0", "this run has no classes; leave --label out"),
    ],
)
def test_classes_that_are_not_there(names, label, message):
    run = Run(None, {}, {"class_names": names}, "weights", 0)
    with pytest.raises(InputError) as error:
        run.class_index(label)
    assert str(error.value) == message

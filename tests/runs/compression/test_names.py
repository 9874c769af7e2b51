"""Names of images: portable, all different, and their own if possible."""

import pytest

from pixelprior.runs.compression.names import is_portable, portable_names


def test_names_that_stay():
    names = ["a.png", "b/a.jpg", "x_2.gif", "é.png", "no suffix", "a.b.png", "9.41\u202fAM.png"]
    assert portable_names(names) == [*("a", "b/a", "x_2", "é", "no suffix", "a.b", "9.41\u202fAM")]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("12:30.png", "12_30"),
        ("a\\b.png", "a_b"),
        ("a\nb.png", "a_b"),
        ("\udcff.png", "_"),
        ("con.png", "_con"),
        ("a./b.png", "a_/b"),
        ("x" * 300 + ".png", "x" * 200),
        ("é" * 150 + ".png", "é" * 100),
    ],
)
def test_names_that_no_system_or_not_every_one_takes(name, plain):
    assert portable_names([name]) == [plain]
    assert is_portable(plain) and not is_portable(name.removesuffix(".png"))


def test_equal_names_get_numbers_that_no_other_has():
    names = ["x.png", "X.gif", "x_2.png", "x.bmp", "a/x.png"]
    assert portable_names(names) == ["x", "X_3", "x_2", "x_4", "a/x"]
    long = portable_names(["l" * 240 + "a.png", "l" * 240 + "b.png"])
    assert len(set(long)) == 2 and all(map(is_portable, long))
    found = portable_names([f"{letter}.png" for letter in "aA" * 50] + ["a.gif"])
    assert len({name.lower() for name in found}) == 101


@pytest.mark.parametrize("name", ["", "/a", "..", "../a", "a/../b", "a//b", "a/", ".", 3, None])
def test_paths_that_lead_elsewhere(name):
    assert not is_portable(name)

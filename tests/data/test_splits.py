"""Splits by hashes of names: no file ever moves because of another one."""

import math
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pixelprior.data import DataError, open_dataset
from pixelprior.data.splits import hashed_splits
from tests.data.folders import SMALL, place, small_folder, split_of

names = st.sets(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1))


def assignments(names, fraction):
    """The split of each name; None if a split is empty."""
    try:
        splits = hashed_splits(sorted(names), fraction)
    except DataError:
        return None
    return {name: split for split, found in splits.items() for name in found}


@given(names, st.floats(0.01, 0.99))
def test_the_split_of_a_name_is_that_of_its_definition(extra, fraction):
    everything = {*SMALL, *(f"{n}.png" for n in range(300)), *extra}
    assert assignments(everything, fraction) == {
        name: split_of(name, fraction) for name in everything
    }


@given(names, names, st.sets(st.sampled_from(SMALL)))
def test_additions_and_removals_move_no_file(added, removed, gone):
    before = assignments({*SMALL, *removed}, 0.1)
    after = assignments({*SMALL, *added} - gone, 0.1)
    if after is not None:
        for name in before.keys() & after.keys():
            assert before[name] == after[name]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sets(st.sampled_from(SMALL), max_size=4),
    st.sets(st.sampled_from(SMALL), max_size=4),
    st.sets(st.integers(0, 40), max_size=6),
)
def test_files_that_come_go_and_change(tmp_path_factory, removed, touched, added):
    """In a folder on disk, every file that survives stays in its split, and changes are found."""
    root = tmp_path_factory.mktemp("folder")
    small_folder(root, 4, 4)
    before = open_dataset(f"folder:{root}")
    for name in removed:
        (root / name).unlink()
    for name in touched - removed:
        Image.fromarray(255 - np.asarray(Image.open(root / name))).save(root / name)
    for number in added:
        Image.fromarray(np.full((4, 4), number + 100, np.uint8)).save(root / f"new{number}.png")
    try:
        after = open_dataset(f"folder:{root}")
    except DataError as error:
        assert "split is empty" in str(error)
    else:
        for split, files in after.manifest.splits.items():
            for name in files:
                assert split_of(name) == split
                assert name not in SMALL or name in before.manifest.splits[split]
    try:
        of_run = open_dataset(f"folder:{root}", manifest=before.manifest)
    except DataError as error:
        assert "does not have the" in str(error)
        return
    missing = {name for changes in of_run.changes.values() for name in changes.missing}
    changed = {name for changes in of_run.changes.values() for name in changes.changed}
    assert missing == removed and changed == touched - removed


def test_shares_of_many_names():
    count = 20_000
    splits = hashed_splits([f"{n}.png" for n in range(count)], 0.2)
    for split, share in (("test", 0.1), ("validation", 0.18), ("train", 0.72)):
        error = 4 * math.sqrt(count * share * (1 - share))  # four standard deviations
        assert abs(len(splits[split]) - count * share) < error


def test_a_split_is_in_the_order_of_its_hashes():
    names = [f"{n}.png" for n in range(100)]
    for found in hashed_splits(names, 0.1).values():
        assert found == sorted(found, key=place)
    assert hashed_splits(names[::-1], 0.1) == hashed_splits(names, 0.1)


def test_known_assignments():
    """These must never change: runs of all versions share the test images."""
    expected = {"s1/1.pgm": "validation", "a.png": "train", "d.png": "test"}
    assert assignments({*SMALL, *expected}, 0.1).items() >= expected.items()


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setitem(os.environ, "XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))

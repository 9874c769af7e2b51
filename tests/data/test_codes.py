"""Code sets: they come back as written, or not at all, and their batches are those of images."""

import dataclasses
import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from pixelprior.data import (
    START,
    CodeFacts,
    DataError,
    Position,
    Split,
    Symbols,
    codes_in_memory,
    codes_of,
    evaluation_code_batches,
    open_codes,
    training_batch,
    training_code_batch,
    training_code_batches,
    write_codes,
)
from pixelprior.data.codes.code_set import write_description
from pixelprior.data.codes.file import CodeFile, write_code_file
from pixelprior.data.codes.records import Coded, record_type
from pixelprior.data.decode_once import DecodeOnce
from pixelprior.grid import Grid
from pixelprior.system.leftovers import mark

GRIDS = (Grid(2, 3, 1, 5), Grid(4, 6, 2, 300))  # coarsest first, not square
SIZES = {"train": 10, "validation": 4, "test": 3}
OURS, THEIRS = "ab12" * 16, "cd34" * 16


def _codes(split, grids=GRIDS, count=None):
    """Random codes of each level, which hold every level's largest, and labels in order."""
    count = SIZES[split] if count is None else count
    rng = np.random.default_rng(len(split))
    codes = [rng.integers(0, grid.levels, (count, *grid.shape)) for grid in grids]
    for level, grid in zip(codes, grids, strict=True):
        level[-1, -1, -1, -1] = grid.levels - 1
    return codes, np.arange(count)


def _batches(codes, labels, batch_size=4):
    for start in range(0, len(labels), batch_size):
        part = slice(start, start + batch_size)
        yield Coded([level[part] for level in codes], labels[part])


def _splits(grids=GRIDS):
    return {split: (f"{split}[:]", _batches(*_codes(split, grids))) for split in SIZES}


FACTS = CodeFacts(
    fingerprint=OURS, grids=GRIDS, name="pictures", note="a note", class_names=("cat", "dog")
)


def _write(folder, grids=GRIDS, splits=None, **facts):
    facts = dataclasses.replace(FACTS, grids=grids, **facts)
    return write_codes(folder, facts, _splits(grids) if splits is None else splits)


def _codes_of(root, make_splits=_splits, **facts):
    return codes_of(root, dataclasses.replace(FACTS, **facts), make_splits)


def _train(folder):
    return _write(folder / "codes").splits["train"]


def _assert_whole(codes, grids=GRIDS):
    for split, count in SIZES.items():
        assert len(codes.splits[split]) == count
        levels, labels, attributes = codes.splits[split].read(range(count))
        assert attributes is None
        expected, expected_labels = _codes(split, grids)
        np.testing.assert_array_equal(labels, expected_labels)
        assert len(levels) == len(grids)
        for ours, theirs in zip(levels, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def _assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in ours:
        if name == "codes":
            for one, other in zip(ours[name], theirs[name], strict=True):
                np.testing.assert_array_equal(one, other)
        else:
            np.testing.assert_array_equal(ours[name], theirs[name])


# What is written, and what is read.


def test_what_is_written_is_read(tmp_path):
    written = _write(tmp_path / "codes")
    for codes in (written, open_codes(tmp_path / "codes", fingerprint=OURS)):
        _assert_whole(codes)
        assert codes.facts.fingerprint == OURS
        assert codes.facts.grids == GRIDS
        assert codes.facts.class_names == ("cat", "dog")
        assert (codes.facts.name, codes.facts.note) == ("pictures", "a note")
        for name, split in codes.splits.items():
            assert (split.name, split.description) == (name, f"{name}[:]")
    assert os.listdir(tmp_path) == ["codes"]


def test_reading_at_random(tmp_path):
    split = _train(tmp_path)
    expected, _ = _codes("train")
    for indices in ([7], [9, 0, 0, 3], [], np.array([8, 7, 7])):
        codes, labels, _ = split.read(indices)
        np.testing.assert_array_equal(labels, indices)
        assert labels.dtype == np.int32
        for level, wanted in zip(codes, expected, strict=True):
            np.testing.assert_array_equal(level, wanted[np.asarray(indices, int)])
            assert level.dtype == np.int32
            assert level.flags.c_contiguous and level.flags.writeable


@pytest.mark.parametrize(("levels", "size"), [(2, 1), (256, 1), (257, 2), (65536, 2), (65537, 4)])
def test_codes_take_the_fewest_bytes_that_hold_them(tmp_path, levels, size):
    grids = (Grid(2, 1, 3, levels),)
    assert record_type(grids).itemsize == 4 + 6 * size
    _assert_whole(_write(tmp_path / "codes", grids), grids)


def test_labels_of_no_class_come_back(tmp_path):
    path, grid = tmp_path / "codes", Grid(1, 1, 1, 2)
    labels = np.array([-1, 2**31 - 1])
    write_code_file(path, [grid], [Coded([np.zeros((2, 1, 1, 1), int)], labels)])
    np.testing.assert_array_equal(CodeFile(path, [grid], 2).read([0, 1]).labels, labels)


def test_each_codes_uses_in_training_are_counted(tmp_path):
    codes, _ = _codes("train")
    counts = _write(tmp_path / "codes").counts
    assert [level.shape for level in counts] == [(1, 5), (2, 300)]
    for level, (grid, symbols) in zip(counts, zip(GRIDS, codes, strict=True), strict=True):
        for channel, code in np.ndindex(grid.channels, grid.levels):
            assert level[channel, code] == (symbols[..., channel] == code).sum()


def test_what_does_not_fit_in_memory_is_read_again(tmp_path):
    _train(tmp_path)
    path, size = tmp_path / "codes" / "train.array_record", record_type(GRIDS).itemsize
    expected, _ = _codes("train")
    for kept in (0, 3, 100):
        file = CodeFile(path, GRIDS, 10, kept_bytes=kept * size + size - 1)
        for _ in range(2):
            codes, labels, _ = file.read([9, 2, 3, 2])
            np.testing.assert_array_equal(labels, [9, 2, 3, 2])
            for level, wanted in zip(codes, expected, strict=True):
                np.testing.assert_array_equal(level, wanted[[9, 2, 3, 2]])
                level[:] = 99  # what is read is the reader's own
        assert len(file._kept) == min(kept, 10)


def test_reading_from_many_threads(tmp_path):
    path, grids = tmp_path / "codes", (Grid(3, 3, 1, 512),)
    codes, labels = _codes("train", grids, count=200)
    write_code_file(path, grids, _batches(codes, labels, 64))
    file = CodeFile(path, grids, 200, kept_bytes=100 * record_type(grids).itemsize)
    right = []

    def read(seed):
        for indices in np.random.default_rng(seed).integers(0, 200, (30, 16)):
            [level], found, _ = file.read(indices)
            right.append((level == codes[0][indices]).all() and (found == indices).all())

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(right) == 240 and all(right)


# What is not written.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda codes, labels: ([codes[0], codes[1] + 1], labels), "level 1 .* from 1 to 300"),
        (lambda codes, labels: ([codes[0] - 1, codes[1]], labels), "level 0 .* from -1 to"),
        (lambda codes, labels: ([codes[0] * 1.0, codes[1]], labels), "integer symbols"),
        (lambda codes, labels: (codes[::-1], labels), r"level 0 .* \[batch, 2, 3, 1\]"),
        (lambda codes, labels: (codes[:1], labels), "of 2 levels, got 1"),
        (lambda codes, labels: (codes, labels[1:]), r"got \[9, 10, 10\]"),
        (lambda codes, labels: (codes, labels * 1.0), "integer labels"),
    ],
)
def test_codes_that_do_not_fit_are_refused(tmp_path, change, message):
    splits = _splits() | {"validation": ("bad", [Coded(*change(*_codes("train")))])}
    with pytest.raises(DataError, match=message):
        _write(tmp_path / "codes", splits=splits)
    assert not os.listdir(tmp_path)


def test_an_empty_split_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"the test split \(nothing\) is empty"):
        _write(tmp_path / "codes", splits=_splits() | {"test": ("nothing", [])})
    assert not os.listdir(tmp_path)


def test_an_error_of_the_tokenizer_stays_its_own_and_leaves_nothing(tmp_path):
    def broken():
        yield Coded(*_codes("train"))
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="^out of memory$"):
        _write(tmp_path / "codes", splits=_splits() | {"test": ("test", broken())})
    assert not os.listdir(tmp_path)


def test_an_unwritable_place_is_told(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "codes"):
        with pytest.raises(DataError, match="file.* cannot be written .* choose another place"):
            _write(folder)
        assert _no_set(folder)


def _no_set(folder):
    with pytest.raises(DataError, match=r"has no codes\.json"):
        open_codes(folder, fingerprint=OURS)
    return True


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    _, most = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, most))
    try:
        with pytest.raises(DataError, match="cannot be written .* make room"):
            _write(tmp_path / "codes")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not os.listdir(tmp_path)


def test_a_folder_with_anything_else_in_it_is_never_replaced(tmp_path):
    (tmp_path / "thesis.tex").touch()
    (tmp_path / "codes.json").touch()
    with pytest.raises(DataError, match=r"holds thesis\.tex; choose another place"):
        _write(tmp_path, splits={})
    assert sorted(os.listdir(tmp_path)) == ["codes.json", "thesis.tex"]


# Damage, and other tokenizers.


def test_codes_of_another_tokenizer_are_refused(tmp_path):
    _write(tmp_path / "codes")
    with pytest.raises(DataError, match=f"another tokenizer .*{OURS[:16]}, expected {THEIRS[:16]}"):
        open_codes(tmp_path / "codes", fingerprint=THEIRS)


def test_each_tokenizer_has_codes_of_its_own(tmp_path):
    for fingerprint in (OURS, THEIRS):
        codes, written = _codes_of(tmp_path, fingerprint=fingerprint)
        assert written
        _assert_whole(codes)
    assert sorted(os.listdir(tmp_path)) == [OURS[:16], THEIRS[:16]]
    for fingerprint in (OURS, THEIRS):
        codes, written = _codes_of(tmp_path, fingerprint=fingerprint, make_splits=None)
        assert not written
        _assert_whole(codes)


@pytest.mark.parametrize(
    "changed",
    [
        {"fingerprint": OURS[:16] + THEIRS},
        {"grids": GRIDS[1:], "make_splits": lambda: _splits(GRIDS[1:])},
        {"name": "others"},
        {"class_names": ("cat",)},
        {"note": "resized"},
    ],
)
def test_codes_of_anything_else_are_written_anew(tmp_path, changed):
    _codes_of(tmp_path)
    codes, written = _codes_of(tmp_path, **changed)
    assert written
    _assert_whole(codes, changed.get("grids", GRIDS))
    assert not _codes_of(tmp_path, **changed | {"make_splits": None})[1]
    assert os.listdir(tmp_path) == [OURS[:16]]


def _cut(path):
    os.truncate(path, path.stat().st_size - 2)


def _swap(path):
    shutil.copy(path.with_name("test.array_record"), path)


def _garble(path):
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("damage", [_cut, _swap, _garble, os.unlink])
@pytest.mark.parametrize("name", ["codes.json", "train.array_record", "validation.array_record"])
def test_damaged_codes_are_refused_and_written_anew(tmp_path, name, damage):
    codes, _ = _codes_of(tmp_path)
    folder = tmp_path / OURS[:16]
    damage(folder / name)
    with pytest.raises(DataError, match=f"{name}|expected 4 records, got 3"):
        open_codes(folder, fingerprint=OURS)

    def make_splits():
        assert sorted(os.listdir(tmp_path)) == [OURS[:16]]  # not yet removed
        return _splits()

    codes, written = _codes_of(tmp_path, make_splits=make_splits)
    assert written
    _assert_whole(codes)
    assert os.listdir(tmp_path) == [OURS[:16]]


def test_no_flipped_bit_goes_unnoticed(tmp_path):
    whole = _write(tmp_path / "codes")
    for name in ("codes.json", "test.array_record"):
        path = tmp_path / "codes" / name
        intact = path.read_bytes()
        noticed = 0
        # Long stretches of zeros, which only fill up blocks, would be most of it.
        places = [place for place, byte in enumerate(intact) if byte][:900:4]
        for place in places:
            path.write_bytes(intact[:place] + bytes([intact[place] ^ 4]) + intact[place + 1 :])
            try:
                codes = open_codes(tmp_path / "codes", fingerprint=OURS)
                read = codes.splits["test"].read(range(3))
            except DataError:
                noticed += 1
                continue
            levels, labels, _ = read
            np.testing.assert_array_equal(labels, range(3))
            for ours, theirs in zip(levels, _codes("test")[0], strict=True):
                np.testing.assert_array_equal(ours, theirs)
            for ours, theirs in zip(codes.counts, whole.counts, strict=True):
                np.testing.assert_array_equal(ours, theirs)
        path.write_bytes(intact)
        assert noticed > len(places) / 2


def test_codes_out_of_range_are_noticed_in_reading(tmp_path):
    path = tmp_path / "codes"
    write_code_file(path, [Grid(2, 2, 1, 256)], [Coded([np.full((3, 2, 2, 1), 200)], np.arange(3))])
    with pytest.raises(DataError, match="level 0 do not fit.* 200 .*delete"):
        CodeFile(path, [Grid(2, 2, 1, 200)], 3).read([0])
    with pytest.raises(DataError, match="expected records of 16 bytes, got one of 8"):
        CodeFile(path, [Grid(2, 2, 3, 256)], 3).read([0])


def test_codes_of_another_version_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("pixelprior.data.codes.code_set.FORMAT", 2)
    _write(tmp_path / "codes")
    assert json.loads((tmp_path / "codes" / "codes.json").read_text())["format"] == 2
    monkeypatch.undo()
    with pytest.raises(DataError, match="in format 1, but .* in format 2, of another version"):
        open_codes(tmp_path / "codes", fingerprint=OURS)


# Attributes.

NAMES = ("slant", "ink", "age")
OF_IMAGES = {"attribute_names": NAMES, "attribute_contents": "ab12"}


def _attributes(split, seed=0):
    """Random numbers, and numbers that other types or text would change."""
    rng = np.random.default_rng([seed, len(split)])
    numbers = rng.normal(size=(SIZES[split], len(NAMES))).astype(np.float32)
    numbers[0] = [-0.0, 1e-45, np.finfo(np.float32).max]
    return numbers


def _with_attributes(seed=0):
    return {split: (split, [Coded(*_codes(split), _attributes(split, seed))]) for split in SIZES}


def test_attributes_come_back_bit_for_bit(tmp_path):
    facts = dataclasses.replace(FACTS, **OF_IMAGES)
    _write(tmp_path / "codes", splits=_with_attributes(), **OF_IMAGES)
    for codes in (
        open_codes(tmp_path / "codes", fingerprint=OURS),
        codes_in_memory(facts, _with_attributes()),
    ):
        assert codes.facts == facts
        for split, count in SIZES.items():
            levels, labels, attributes = codes.splits[split].read(range(count))
            assert attributes.dtype == np.float32 and attributes.flags.writeable
            assert attributes.tobytes() == _attributes(split).tobytes()
            np.testing.assert_array_equal(labels, np.arange(count))
            for ours, theirs in zip(levels, _codes(split)[0], strict=True):
                np.testing.assert_array_equal(ours, theirs)
    path, of_train = tmp_path / "codes" / "train.array_record", _attributes("train")
    again = CodeFile(path, GRIDS, 10, kept_bytes=0, num_attributes=len(NAMES))
    for _ in range(2):
        np.testing.assert_array_equal(again.read([9, 0]).attributes, of_train[[9, 0]])


def test_batches_hold_the_attributes_of_their_images(tmp_path):
    _write(tmp_path / "codes", splits=_with_attributes(), **OF_IMAGES)
    split = open_codes(tmp_path / "codes", fingerprint=OURS).splits["train"]
    batches = [
        training_code_batch(split, batch_size=4, seed=1, step=0, rows=np.array([3, 1])),
        *itertools.islice(training_code_batches(split, batch_size=4, seed=1), 3),
        *evaluation_code_batches(split, batch_size=4),
    ]
    for batch in batches:
        # Label n is that of image n.
        np.testing.assert_array_equal(batch["attributes"], _attributes("train")[batch["label"]])
    plain = _train(tmp_path / "plain")
    assert "attributes" not in training_code_batch(plain, batch_size=4, seed=1, step=0)


@pytest.mark.parametrize(
    "attributes", [None, np.zeros((10, 2)), np.zeros((9, 3)), np.zeros((10, 1)), np.zeros(3)]
)
def test_attributes_that_do_not_fit_are_refused(tmp_path, attributes):
    splits = _with_attributes() | {"train": ("bad", [Coded(*_codes("train"), attributes)])}
    with pytest.raises(DataError, match=r"expected attributes of shape \[10, 3\], got \["):
        _write(tmp_path / "codes", splits=splits, **OF_IMAGES)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    "changed", [{"attribute_contents": "cd34"}, {"attribute_names": ("ink", "slant", "age")}]
)
def test_other_attributes_are_written_anew_and_unwanted_ones_stay(tmp_path, changed):
    assert _codes_of(tmp_path)[1]
    assert _codes_of(tmp_path, _with_attributes, **OF_IMAGES)[1]
    assert not _codes_of(tmp_path, None, **OF_IMAGES)[1]
    codes, written = _codes_of(tmp_path, lambda: _with_attributes(1), **OF_IMAGES | changed)
    assert written
    attributes = codes.splits["test"].read([0, 2]).attributes
    np.testing.assert_array_equal(attributes, _attributes("test", 1)[[0, 2]])
    # A prior without attributes reads the same codes.
    codes, written = _codes_of(tmp_path, None)
    assert not written and codes.facts.attribute_names == (OF_IMAGES | changed)["attribute_names"]
    assert os.listdir(tmp_path) == [OURS[:16]]


def test_code_sets_from_before_there_were_attributes_are_read(tmp_path):
    folder = tmp_path / OURS[:16]
    _write(folder)
    about = json.loads((folder / "codes.json").read_text())
    added = ("format", "checksum", "attribute_names", "attribute_contents")
    write_description(folder, {key: about[key] for key in about if key not in added})
    assert "attribute" not in (folder / "codes.json").read_text()
    codes, written = _codes_of(tmp_path, None)
    assert not written and codes.facts == FACTS
    _assert_whole(codes)
    assert _codes_of(tmp_path, _with_attributes, **OF_IMAGES)[1]


# Killed and simultaneous writers.

SLOW_WRITER = """
    import sys, time
    from pathlib import Path
    import numpy as np
    from pixelprior.data import CodeFacts, codes_of
    from pixelprior.data.codes.records import Coded
    from pixelprior.grid import Grid

    def slow():
        for step in range(10_000):
            print(step, flush=True)
            yield Coded([np.zeros((100, 32, 32, 1), int)], np.zeros(100, int))
            time.sleep(0.01)

    splits = {split: (split, slow()) for split in ("train", "validation", "test")}
    facts = CodeFacts(fingerprint=sys.argv[2], grids=(Grid(32, 32, 1, 512),), name="pictures")
    codes_of(Path(sys.argv[1]), facts, lambda: splits)
"""


def test_a_killed_writer_leaves_no_codes_and_the_next_one_cleans_up(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(SLOW_WRITER), str(tmp_path), OURS]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        for _ in range(20):
            assert writer.stdout.readline()
        [name] = os.listdir(tmp_path)
        # Others' work in progress stays, as does what has another name.
        _write(tmp_path / OURS[:16], fingerprint=THEIRS)
        assert set(os.listdir(tmp_path)) == {name, OURS[:16]}
        shutil.rmtree(tmp_path / OURS[:16])
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert name.startswith(f".{OURS[:16]}.") and name.endswith(f"-{writer.pid}.unfinished")
    assert os.listdir(tmp_path) == [name]
    assert os.listdir(tmp_path / name / "new") == ["train.array_record"]
    other = name.replace(mark().split("-")[0], "0" * 8)  # of another host
    (tmp_path / other).mkdir()

    codes, written = _codes_of(tmp_path)
    assert written
    _assert_whole(codes)
    assert sorted(os.listdir(tmp_path)) == sorted([other, OURS[:16]])


def test_what_a_process_of_our_number_left_is_cleaned_up(tmp_path):
    seen = []

    def splits():
        [name] = os.listdir(tmp_path)
        seen.append(name)
        yield from _batches(*_codes("train"))

    _write(tmp_path / "codes", splits=_splits() | {"train": ("train", splits())})
    shutil.rmtree(tmp_path / "codes")
    (tmp_path / seen[0] / "new").mkdir(parents=True)
    _assert_whole(_write(tmp_path / "codes"))
    assert os.listdir(tmp_path) == ["codes"]


@pytest.mark.parametrize(("fingerprint", "name"), [(OURS, "pictures"), (THEIRS, "pictures")])
def test_codes_that_another_process_finished_meanwhile_are_used(tmp_path, fingerprint, name):
    folder = tmp_path / "codes"

    def meanwhile():
        yield from _batches(*_codes("test"))
        # Made elsewhere, as this process already has a workplace for this folder.
        _write(tmp_path / "elsewhere", fingerprint=fingerprint)
        os.rename(tmp_path / "elsewhere", folder)
        inodes.append((folder / "codes.json").stat().st_ino)

    inodes = []
    codes = _write(folder, splits=_splits() | {"test": ("test", meanwhile())})
    assert codes.facts.fingerprint == OURS
    _assert_whole(codes)
    # Another tokenizer's are no substitute.
    assert ((folder / "codes.json").stat().st_ino == inodes[0]) == (fingerprint == OURS)
    assert os.listdir(tmp_path) == ["codes"]


def test_a_link_to_damaged_codes_is_replaced_and_what_it_points_to_stays(tmp_path):
    _write(tmp_path / "real")
    _cut(tmp_path / "real" / "train.array_record")
    (tmp_path / "codes").symlink_to("real")
    _assert_whole(_write(tmp_path / "codes"))
    assert sorted(os.listdir(tmp_path)) == ["codes", "real"]
    assert len(os.listdir(tmp_path / "real")) == 4


# Batches.


def test_a_batch_holds_the_codes_of_its_labels(tmp_path):
    batch = training_code_batch(_train(tmp_path), batch_size=4, seed=1, step=0)
    assert batch["label"].shape == (4,)
    assert batch["label"].dtype == np.int32
    for level, wanted in zip(batch["codes"], _codes("train")[0], strict=True):
        np.testing.assert_array_equal(level, wanted[batch["label"]])


def test_every_epoch_sees_every_map_once_in_an_order_of_its_own(tmp_path):
    batches = training_code_batches(_train(tmp_path), batch_size=4, seed=5)
    labels = [batch["label"] for batch in itertools.islice(batches, 10)]
    epochs = np.concatenate(labels).reshape(4, 10)
    np.testing.assert_array_equal(np.sort(epochs), np.tile(np.arange(10), (4, 1)))
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_some_rows_are_those_of_the_whole_batch(tmp_path):
    rows = np.array([0, 3])
    split = _train(tmp_path)
    whole = training_code_batch(split, batch_size=4, seed=7, step=1)
    part = training_code_batch(split, batch_size=4, seed=7, step=1, rows=rows)
    np.testing.assert_array_equal(part["label"], whole["label"][rows])
    wholes = evaluation_code_batches(split, batch_size=4)
    parts = evaluation_code_batches(split, batch_size=4, rows=rows)
    for ours, theirs in [(part, whole), *zip(parts, wholes, strict=True)]:
        for a, b in zip(ours["codes"], theirs["codes"], strict=True):
            np.testing.assert_array_equal(a, b[rows])


@pytest.mark.parametrize("start", [START, Position(7, 28)])
def test_batches_are_pure_functions_of_seed_and_step(tmp_path, start):
    split = _train(tmp_path)
    resumed = training_code_batches(split, batch_size=4, seed=7, start=start)
    again = open_codes(tmp_path / "codes", fingerprint=OURS).splits["train"]
    for step in range(start.step, start.step + 12):
        alone = training_code_batch(again, batch_size=4, seed=7, step=step)
        _assert_equal(next(resumed), alone)
    other = training_code_batch(split, batch_size=10, seed=8, step=0)["label"]
    assert (other != training_code_batch(split, batch_size=10, seed=7, step=0)["label"]).any()


def test_codes_come_in_the_order_of_their_images(tmp_path):
    class Blank:
        def __len__(self):
            return 10

        def __getitem__(self, index):
            return {"image": np.zeros((1, 1, 1), np.uint8), "label": index}

    images = Split("train", DecodeOnce(Blank(), (1, 1, 1)), 256, "blank")
    split = _train(tmp_path)
    for step in range(5):
        theirs = training_batch(images, Symbols(256, "none"), batch_size=3, seed=2, step=step)
        ours = training_code_batch(split, batch_size=3, seed=2, step=step)
        np.testing.assert_array_equal(ours["label"], theirs["label"])


@pytest.mark.parametrize(("batch_size", "batches"), [(4, 3), (5, 2), (16, 1)])
def test_evaluation_sees_every_map_once_in_order(tmp_path, batch_size, batches):
    seen = list(evaluation_code_batches(_train(tmp_path), batch_size=batch_size))
    assert len(seen) == batches
    expected, _ = _codes("train")
    for batch in seen:
        assert batch["label"].shape == batch["mask"].shape == (batch_size,)
        for level, wanted in zip(batch["codes"], expected, strict=True):
            np.testing.assert_array_equal(level, wanted[batch["label"]])
    labels, mask = (np.concatenate([batch[name] for batch in seen]) for name in ("label", "mask"))
    assert labels[mask].tolist() == list(range(10))
    assert not labels[~mask].any()


def test_numbers_out_of_range(tmp_path):
    split = _train(tmp_path)
    with pytest.raises(DataError, match="batch_size of at least 1, got 0"):
        training_code_batch(split, batch_size=0, seed=0, step=0)
    with pytest.raises(DataError, match="batch_size of at least 1, got 0"):
        training_code_batches(split, batch_size=0, seed=0)
    with pytest.raises(DataError, match="batch_size of at least 1, got 0"):
        evaluation_code_batches(split, batch_size=0)
    with pytest.raises(DataError, match="got seed=-1, step=0"):
        training_code_batch(split, batch_size=1, seed=-1, step=0)
    with pytest.raises(DataError, match="got seed=0, step=-1"):
        training_code_batches(split, batch_size=1, seed=0, start=Position(-1, 0))


def test_damage_met_by_a_reading_thread_reaches_the_caller(tmp_path):
    split = _train(tmp_path)
    path = tmp_path / "codes" / "train.array_record"
    data = bytearray(path.read_bytes())
    data[200:400] = bytes(200)  # within the records
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"train\.array_record cannot be read as codes"):
        list(evaluation_code_batches(split, batch_size=2))

"""Files are replaced whole or stay as they were, and nothing else is left."""

import contextlib

import numpy as np
import pytest

from pixelprior.system.atomic import replacing, save_arrays, write_atomically


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_file_appears_whole_or_stays_as_it_was(tmp_path):
    path = tmp_path / "file.json"
    write_atomically(path, "one")
    with pytest.raises(TypeError):
        write_atomically(path, 3)
    assert contents(tmp_path) == {"file.json": b"one"}
    write_atomically(path, "two")
    assert contents(tmp_path) == {"file.json": b"two"}


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("elsewhere", [True, False])
def test_the_old_file_stays_until_the_body_has_ended(tmp_path, durable, elsewhere):
    path = tmp_path / "file"
    path.write_text("old")
    options = {"durable": durable, "temporary": tmp_path / "other" if elsewhere else None}
    with pytest.raises(KeyboardInterrupt), replacing(path, **options) as temporary:
        temporary.write_text("half")
        assert temporary.parent == tmp_path and path.read_text() == "old"
        raise KeyboardInterrupt
    assert contents(tmp_path) == {"file": b"old"}
    with replacing(path, **options) as temporary:
        temporary.write_text("new")
        assert (temporary == tmp_path / "other") == elsewhere
        assert path.read_text() == "old"
    assert contents(tmp_path) == {"file": b"new"}


def test_arrays_that_cannot_be_stored_leave_the_old_file(tmp_path):
    path = tmp_path / "arrays"  # NumPy would write to arrays.npz
    save_arrays(path, {"x": np.arange(3)})
    before = contents(tmp_path)
    assert before.keys() == {"arrays"}
    with pytest.raises(ValueError, match="allow_pickle"):
        save_arrays(path, {"x": np.arange(4), "y": np.array([object()])})
    assert contents(tmp_path) == before
    with np.load(path) as arrays:
        np.testing.assert_array_equal(arrays["x"], np.arange(3))


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "folder"
    for whole in (False, True):
        with contextlib.suppress(KeyboardInterrupt), replacing(path) as temporary:
            temporary.mkdir()
            (temporary / "file").write_text("content")
            assert not path.exists()
            if not whole:
                raise KeyboardInterrupt
        assert [p.name for p in tmp_path.iterdir()] == (["folder"] if whole else [])
    assert contents(path) == {"file": b"content"}

"""Where pictures go: nothing is lost, nothing drawn twice, nothing of another job written over."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pixelprior.errors import InputError
from pixelprior.figures.outputs import open_file, open_folder

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 3, 4, 1), dtype=np.uint8)
REQUEST = {"seed": 0, "shape": (3, 4)}


def open_(out, request=REQUEST, *, individual=False, overwrite=False):
    if individual:
        return open_folder(out, request, overwrite=overwrite)
    return open_file(out, request, overwrite=overwrite, columns=5)


def write(out, images=IMAGES, size=4, **options):
    """Writes pictures as a job does that may find some of them there already."""
    output = open_(out, **options)
    before = output.done
    while output.done < len(images):
        output.add(images[output.done : output.done + size])
    output.finish()
    return before


def contents(out):
    """Every file below a folder by name, byte by byte."""
    return {p.relative_to(out): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


KINDS = [("images", True), ("images.npz", False), ("images.png", False)]
every_kind = pytest.mark.parametrize(("name", "individual"), KINDS)


def test_a_folder_of_pictures(tmp_path):
    write(tmp_path / "a" / "images", individual=True)
    pictures = sorted((tmp_path / "a" / "images").glob("*.png"))
    assert [path.name for path in pictures] == [f"{n:06d}.png" for n in range(10)]
    for path, image in zip(pictures, IMAGES, strict=True):
        with Image.open(path) as picture:
            np.testing.assert_array_equal(np.asarray(picture), image[..., 0])


def test_an_archive(tmp_path):
    write(tmp_path / "a" / "images.npz")
    with np.load(tmp_path / "a" / "images.npz", allow_pickle=False) as archive:
        assert archive.files == ["images", "request"]
        assert json.loads(str(archive["request"])) == {"seed": 0, "shape": [3, 4]}
        np.testing.assert_array_equal(archive["images"], IMAGES)
        assert archive["images"].dtype == np.uint8
    # What waited for the last batch is gone.
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["images.npz"]


def test_a_sheet(tmp_path):
    write(tmp_path / "images.png")
    with Image.open(tmp_path / "images.png") as sheet:
        assert sheet.size == (5 * (4 * 16 + 2) + 2, 2 * (3 * 16 + 2) + 2)
    assert [path.name for path in tmp_path.iterdir()] == ["images.png"]


@every_kind
@pytest.mark.parametrize("there", [0, 4, 8])
def test_an_interrupted_job_goes_on_and_ends_with_the_same_files(tmp_path, name, individual, there):
    assert write(tmp_path / "whole" / name, individual=individual) == 0
    interrupted = open_(tmp_path / "interrupted" / name, individual=individual)
    for first in range(0, there, 4):
        interrupted.add(IMAGES[first : first + 4])
    # In other batches than before.
    before = write(tmp_path / "interrupted" / name, size=3, individual=individual)
    assert before == there
    assert contents(tmp_path / "interrupted") == contents(tmp_path / "whole")


def test_a_batch_that_was_being_written_does_not_count(tmp_path):
    output = open_(tmp_path / "images.npz")
    output.add(IMAGES[:4])
    (waiting,) = tmp_path.iterdir()
    (waiting / ".000000004.npy.1.unfinished").write_bytes(b"half of")
    assert write(tmp_path / "images.npz") == 4
    with np.load(tmp_path / "images.npz") as archive:
        np.testing.assert_array_equal(archive["images"], IMAGES)


@every_kind
def test_a_job_that_is_done_is_not_done_again(tmp_path, name, individual):
    write(tmp_path / name, individual=individual)
    before = contents(tmp_path)
    if individual:
        assert write(tmp_path / name, individual=True) == 10
    else:
        with pytest.raises(InputError, match="is there already; give another --out, or --overwr"):
            open_(tmp_path / name)
    assert contents(tmp_path) == before


@every_kind
def test_what_is_there_of_another_job_is_left_alone_unless_it_may_be_replaced(
    tmp_path, name, individual
):
    write(tmp_path / name, individual=individual)
    before, other = contents(tmp_path), REQUEST | {"seed": 1}
    with pytest.raises(InputError, match="give another --out, or --overwrite"):
        open_(tmp_path / name, other, individual=individual)
    assert contents(tmp_path) == before
    options = {"request": other, "individual": individual, "overwrite": True}
    assert write(tmp_path / name, 255 - IMAGES[:5], **options) == 0
    # Of the ten pictures of before none is left.
    write(tmp_path / "new" / name, 255 - IMAGES[:5], request=other, individual=individual)
    after = contents(tmp_path / "new")
    assert {path: contents(tmp_path)[path] for path in after} == after
    assert len(contents(tmp_path)) == 2 * len(after)


@pytest.mark.parametrize("name", ["images.npz", "images.png"])
def test_batches_left_by_another_job_are_not_taken_for_those_of_this_one(tmp_path, name):
    open_(tmp_path / name, REQUEST | {"seed": 1}).add(255 - IMAGES[:4])
    assert write(tmp_path / name) == 0


def test_a_folder_with_files_of_the_users_is_refused(tmp_path):
    (tmp_path / "000000.png").write_text("mine")
    with pytest.raises(InputError, match="has files in it that are of no job like this one"):
        open_(tmp_path, individual=True)
    assert contents(tmp_path).keys() == {(tmp_path / "000000.png").relative_to(tmp_path)}


@pytest.mark.parametrize("name", ["images.jpg", "images", "images.npy"])
def test_files_of_other_kinds_are_refused(tmp_path, name):
    with pytest.raises(InputError, match="must be a .png or an .npz file"):
        open_(tmp_path / name)
    assert not any(tmp_path.iterdir())


FULL_DISK = """
import resource, signal, sys
import numpy as np
from pixelprior.figures.outputs import open_file, open_folder
from pixelprior.errors import InputError
from pathlib import Path

images = np.random.default_rng(0).integers(0, 256, (10, 64, 64, 1), dtype=np.uint8)
individual = sys.argv[2] == "True"
open_output = open_folder if individual else open_file
output = open_output(Path(sys.argv[1]), {}, overwrite=False)
output.add(images[:4])
# The system writes no file further than this, as on a disk that is full.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    output.add(images[4:])
except InputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX's")
@pytest.mark.parametrize(("name", "individual"), KINDS[:2])
def test_a_full_disk_stops_a_job_and_keeps_what_is_there(tmp_path, name, individual):
    child = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / name), str(individual)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot be written (File too large); its finished part is kept" in child.stdout
    output = open_(tmp_path / name, {}, individual=individual)
    assert output.done == 4

"""Images of the user, from the command line: their own folders, and pictures of them."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.calls import assert_one_sentence, draw_files
from tests.data.folders import noise, save
from tests.release import slow_cases


@pytest.fixture
def own(tmp_path):
    """A folder of two grey images and a colour one."""
    for name in ("b", "a"):
        save(tmp_path / "own" / f"{name}.png", noise(1, 8, 8))
    save(tmp_path / "own" / "deep" / "a.jpg", noise(2, 30, 20, 3))
    return tmp_path / "own"


def test_each_image_gives_a_picture_of_its_name(digits, own, tmp_path, capsys):
    draw_files(
        digits, tmp_path / "out", num=None, mode="likelihood", label="3", images=f"folder:{own}"
    )
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png")}
    assert found == {"a.png", "b.png", "deep/a.png"}
    told = capsys.readouterr().err.splitlines()
    assert f"{own}: 3 images, 1 converted from colour to grey, as the model takes them" in told
    # The same command finds its pictures, and draws none again.
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    draw_files(
        digits, tmp_path / "out", num=None, mode="likelihood", label="3", images=f"folder:{own}"
    )
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}


def test_one_image_is_completed_in_several_ways(digits, own, tmp_path):
    settings = {"mode": "complete", "known": "top", "images": str(own / "a.png"), "num": 3}
    settings |= {"label": "3"}
    draw_files(digits, tmp_path / "out", **settings)
    pictures = [tmp_path / "out" / f"{name}.png" for name in ("a", "a_2", "a_3")]
    assert sorted((tmp_path / "out").glob("*.png")) == pictures
    first, second, third = (np.asarray(Image.open(path)) for path in pictures)
    np.testing.assert_array_equal(first[:12], second[:12])  # the known part is that of the image
    assert (first != second).any() and (second != third).any()


def test_other_images_under_the_same_name_are_another_job(digits, own, tmp_path):
    settings = {"mode": "likelihood", "images": str(own / "a.png"), "num": None}
    settings |= {"label": "3"}
    draw_files(digits, tmp_path / "out", **settings)
    before = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    save(own / "a.png", noise(7, 8, 8))
    draw_files(digits, tmp_path / "out", overwrite=True, **settings)
    assert (np.asarray(Image.open(tmp_path / "out" / "a.png")) != before).any()


needs_images = pytest.mark.skipif(
    not os.environ.get("PIXELPRIOR_IMAGES"), reason="PIXELPRIOR_IMAGES names no folder"
)


@needs_images
@pytest.mark.parametrize("name", slow_cases(["faces", "omniglot"], "omniglot"))
def test_real_folders_need_no_preparation(script, tiny, tmp_path, name):
    images = Path(os.environ["PIXELPRIOR_IMAGES"])
    folder, one = images / "orl_faces", images / "orl_faces" / "s1" / "1.pgm"
    settings = ["--config.image_size=14", "--config.levels=4"]
    if name == "omniglot":
        with zipfile.ZipFile(images / "omniglot_small1.zip") as archive:
            archive.extractall(tmp_path)
        folder = tmp_path / "images_background_small1"
        one = next(folder.rglob("*.png"))
        settings = ["--config.image_size=14", "--config.levels=2", "--config.class_depth=2"]
    run = tmp_path / "run"
    train = [f"--config.dataset=folder:{folder}", f"--workdir={run}", *settings, *tiny]
    conditional = ["--config.class_conditional=True", "--config.label_dropout=0.1"]
    result = script("train", "--config=folder", *train, *conditional)
    assert result.status == 0 and "Traceback" not in result.errors
    classes = json.loads((run / "data.json").read_text())["class_names"]
    assert len(classes) == {"faces": 40, "omniglot": 136}[name]
    for flags in (
        [f"--label={classes[-1]}"],
        ["--mode=complete", "--known=left"],
        ["--mode=complete", "--known=top", f"--images={one}"],
    ):
        out = tmp_path / f"{len(flags)}.png"
        result = script("sample", f"--workdir={run}", f"--out={out}", "--num=2", *flags)
        assert result.status == 0 and out.is_file(), result.errors
    place = []
    if name == "omniglot":
        folder.rename(tmp_path / "moved")
        assert_one_sentence(
            script("evaluate", f"--workdir={run}"), "which does not exist; .*--data"
        )
        place = [f"--data={tmp_path / 'moved'}"]
    result = script("evaluate", f"--workdir={run}", "--nobaselines", *place)
    assert result.status == 0 and "by hashes of names" in result.output
    result = script("sample", f"--workdir={run}", "--out=x.png", "--label=1000")
    assert_one_sentence(
        result, r"there are \d+ classes, numbered from 0 to .*, got the number 1000"
    )

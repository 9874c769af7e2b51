"""Folders of images, against pixels that the tests write."""

import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelprior.data import DataError, open_dataset
from pixelprior.data.image_files import inspect
from pixelprior.data.pictures.read import read_picture
from pixelprior.progress import Caution, Message
from tests.data.folders import SMALL, examples, names, noise, save, small_folder, split_of


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """No test finds the facts that another one kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def open_folder(root, **settings):
    """Open a folder; return its data set and the events."""
    events = []
    dataset = open_dataset(f"folder:{root}", report=events.append, **settings)
    return dataset, events


def texts(events, kind=Message):
    return [event.text for event in events if isinstance(event, kind)]


def contents(dataset):
    return sorted(
        (e["image"].tobytes(), e["label"]) for part in examples(dataset).values() for e in part
    )


def test_images_without_classes(tmp_path):
    images = small_folder(tmp_path, 5, 7)
    (tmp_path / "notes.txt").write_text("no image")
    dataset, events = open_folder(tmp_path)
    assert dataset.shape == (5, 7, 1)
    assert (dataset.native_levels, dataset.class_names, dataset.note) == (256, (), "")
    assert contents(dataset) == sorted((image.tobytes(), 0) for image in images.values())
    assert dataset.splits["test"].description == "2 of 10 files, by hashes of names"
    for split, found in examples(dataset).items():
        expected = {images[name].tobytes() for name in SMALL if split_of(name) == split}
        assert {e["image"].tobytes() for e in found} == expected
    assert texts(events) == [f"{tmp_path}: 10 grey images; passed over 1 file (1 .txt)"]


def test_the_folders_of_the_first_level_are_classes(tmp_path):
    expected = []
    for label, (name, deep) in enumerate((("ant", ""), ("bee", "wild/"), ("cat", "a/b/"))):
        for file in names(f"{name}/{deep}", train=3, validation=1, test=1):
            image = noise(len(expected), 6, 4, 3)
            save(tmp_path / file, image)
            expected.append((image.tobytes(), label))
    dataset, events = open_folder(tmp_path)
    assert dataset.shape == (6, 4, 3)
    assert dataset.class_names == ("ant", "bee", "cat")
    assert contents(dataset) == sorted(expected)
    assert texts(events) == [f"{tmp_path}: 15 colour images in 3 classes"]


@pytest.mark.parametrize(
    "depth, classes", [(0, ()), (1, ("Greek", "Latin")), (2, ("Greek/a", "Greek/b", "Latin/a"))]
)
def test_class_depth(tmp_path, depth, classes):
    for folder in ("Greek/a", "Greek/b", "Latin/a"):
        for file in names(f"{folder}/", train=2, validation=1, test=1):
            save(tmp_path / file, noise(len(file), 4, 4))
    assert open_folder(tmp_path, class_depth=depth)[0].class_names == classes


def test_every_image_must_be_in_a_class(tmp_path):
    small_folder(tmp_path / "cat", 4, 4)
    save(tmp_path / "stray.png", noise(0, 4, 4))
    with pytest.raises(DataError, match=r"class_depth=1, .*1 are not \(stray.png\) and 10 are"):
        open_folder(tmp_path)
    (tmp_path / "stray.png").unlink()
    with pytest.raises(DataError, match=r"class_depth=2, .*10 are not .*and 0 are"):
        open_folder(tmp_path, class_depth=2)


def test_a_class_of_other_formats_is_not_told_to_go(tmp_path):
    small_folder(tmp_path / "cat", 4, 4)
    (tmp_path / "dog" / "young").mkdir(parents=True)
    with pytest.raises(DataError, match="folder dog in .* nothing; remove it, or set"):
        open_folder(tmp_path)
    for name in ("1.raw", "2.raw", "young/3.psd"):
        (tmp_path / "dog" / name).write_bytes(b"?")
    with pytest.raises(DataError, match=r"only 3 files \(2 .raw, 1 .psd\); convert the files"):
        open_folder(tmp_path)


def test_classes_called_like_splits(tmp_path):
    for name in ("train", "test"):
        small_folder(tmp_path, 4, 4, names=names(f"{name}/", train=3, validation=1, test=1))
    assert any("if these are splits" in text for text in texts(open_folder(tmp_path)[1], Caution))


def test_an_empty_split_is_named(tmp_path):
    for missing in ("train", "validation", "test"):
        counts = {"train": 2, "validation": 2, "test": 2} | {missing: 0}
        root = tmp_path / missing
        small_folder(root, 4, 4, names=names(**counts))
        with pytest.raises(DataError, match=f"the {missing} split is empty: .* the 4 names"):
            open_folder(root)


def test_missing_and_empty_folders(tmp_path):
    for name in (tmp_path / "nowhere", ""):
        with pytest.raises(DataError, match="expected a folder of images .* give the path of a"):
            open_folder(name)
    with pytest.raises(DataError, match="holds no images that can be read; expected"):
        open_folder(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(DataError, match=r"folders of images \(passed over 1 link that"):
        open_folder(tmp_path)
    (tmp_path / "link").unlink()
    (tmp_path / "a.xcf").write_bytes(b"?")
    with pytest.raises(DataError, match=r"holds no images .*passed over 1 file \(1 .xcf\)"):
        open_folder(tmp_path)


def test_names_of_other_programs_are_ignored(tmp_path):
    small_folder(tmp_path, 4, 4)
    save(tmp_path / "__MACOSX" / "._0.png", noise(0, 9, 9))
    save(tmp_path / ".thumbnails" / "0.png", noise(0, 9, 9))
    (tmp_path / "Thumbs.db").write_bytes(b"?")
    (tmp_path / ".DS_Store").write_bytes(b"?")
    dataset, events = open_folder(tmp_path)
    assert dataset.class_names == ()
    assert texts(events) == [f"{tmp_path}: 10 grey images"]


def test_links(tmp_path):
    outside = tmp_path / "outside"
    images = small_folder(outside, 4, 4)
    folder = tmp_path / "images"
    folder.mkdir()
    for name in SMALL:
        (folder / name).symlink_to(outside / name)
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "broken.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "folder").symlink_to(tmp_path)
    (folder / "up").symlink_to(folder)
    dataset, events = open_folder(folder)
    assert contents(dataset) == sorted((image.tobytes(), 0) for image in images.values())
    assert texts(events) == [
        f"{folder}: 10 grey images; passed over 4 links that are broken or lead to folders; "
        "followed 10 links to files"
    ]


def test_all_unreadable_files_are_listed_at_once(tmp_path):
    small_folder(tmp_path, 32, 32)
    whole = (tmp_path / SMALL[0]).read_bytes()
    for number in range(23):
        (tmp_path / f"cut{number:02}.png").write_bytes(whole[:200])
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(DataError) as caught:
        open_folder(tmp_path)
    first, *listed = str(caught.value).splitlines()
    assert first == (
        f"24 of 34 files in {tmp_path} cannot be used; repair or remove them, or set "
        "config.skip_unreadable=True: "
    )
    assert [line.split()[0] for line in listed[:20]] == [f"cut{n:02}.png" for n in range(20)]
    assert listed[20:] == ["  and 4 more"]
    dataset, events = open_folder(tmp_path, skip_unreadable=True)
    assert len(contents(dataset)) == 10
    [caution] = texts(events, Caution)
    assert caution.startswith(f"skipped 24 of 34 files in {tmp_path}: \n  cut00.png ")


def test_files_that_were_never_readable_may_go(tmp_path):
    small_folder(tmp_path, 8, 8)
    (tmp_path / "bad.png").write_bytes(b"no image")
    before, _ = open_folder(tmp_path, skip_unreadable=True)
    (tmp_path / "bad.png").unlink()
    after, events = open_folder(tmp_path, skip_unreadable=True, manifest=before.manifest)
    assert after.contents == before.contents == open_folder(tmp_path)[0].contents
    assert not after.changes and texts(events) == []


def test_a_settled_file_is_decoded_once(tmp_path, monkeypatch):
    small_folder(tmp_path, 4, 4)
    decoded = []

    def read(file):
        decoded.append(file)
        return read_picture(file)

    monkeypatch.setattr(inspect, "read_picture", read)
    # A new file counts as unsettled, as it could change again within the same moment.
    open_folder(tmp_path)
    assert len(decoded) == 10
    open_folder(tmp_path)
    assert len(decoded) == 20
    monkeypatch.setattr(inspect, "_SAME_MOMENT", 0)
    open_folder(tmp_path)
    assert len(decoded) == 30
    open_folder(tmp_path)
    assert len(decoded) == 30


def test_formats_that_become_readable_are_decoded_again(tmp_path, monkeypatch):
    small_folder(tmp_path, 4, 4)
    monkeypatch.setattr(inspect, "_SAME_MOMENT", 0)
    decoded = []
    monkeypatch.setattr(inspect, "read_picture", lambda f: decoded.append(f) or read_picture(f))
    open_folder(tmp_path)
    open_folder(tmp_path)
    assert len(decoded) == 10
    monkeypatch.setattr(inspect, "readable_formats", lambda: ("PNG", "HEIF"))
    open_folder(tmp_path)
    assert len(decoded) == 20


def test_a_path_without_its_kind_is_recognised(tmp_path):
    small_folder(tmp_path, 4, 4)
    with pytest.raises(DataError, match=f"did you mean folder:{tmp_path}"):
        open_dataset(str(tmp_path))


def test_files_replaced_under_the_same_name_size_and_time(tmp_path, monkeypatch):
    # As if the files had been there for long.
    monkeypatch.setattr(inspect, "_SAME_MOMENT", 0)
    files = names(suffix=".bmp", train=3, validation=1, test=1)  # of one size, whatever they show
    images = small_folder(tmp_path, 4, 4, names=files)
    path = tmp_path / files[0]
    before, _ = open_folder(tmp_path)
    status = path.stat()
    save(path, images[files[0]] ^ np.uint8(1))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    after, _ = open_folder(tmp_path, manifest=before.manifest)
    assert [list(changes.changed) for changes in after.changes.values()] == [[files[0]]]


def test_missing_and_changed_files_of_a_run(tmp_path):
    small_folder(tmp_path, 4, 4)
    before, _ = open_folder(tmp_path)
    train, test = ([n for n in SMALL if split_of(n) == split] for split in ("train", "test"))
    (tmp_path / test[0]).unlink()
    save(tmp_path / train[0], noise(99, 4, 4))
    after, _ = open_folder(tmp_path, manifest=before.manifest)
    assert len(after.split("test")) == 1 and len(after.split("train")) == 5
    after.check_unchanged("validation")
    with pytest.raises(DataError, match=rf"run: 1 missing \({test[0]}\) in the test split; rest"):
        after.check_unchanged("validation", "test")
    both = rf"1 changed \({train[0]}\) in the train split, 1 missing .* in the test split; rest"
    with pytest.raises(DataError, match=both):
        after.check_unchanged("train", "validation", "test")


def test_splits_that_are_gone(tmp_path):
    small_folder(tmp_path, 4, 4)
    before, _ = open_folder(tmp_path)
    for name in before.manifest.splits["train"]:
        (tmp_path / name).unlink()
    after, _ = open_folder(tmp_path, manifest=before.manifest)
    assert len(after.split("test")) == 2 and after.shape == before.shape
    with pytest.raises(DataError, match="no longer has the images .*: 6 missing .* in the train"):
        after.split("train")
    for split in ("test", "validation"):
        for name in before.manifest.splits[split]:
            (tmp_path / name).unlink()
    save(tmp_path / "other.png", noise(0, 4, 4))
    with pytest.raises(DataError, match="has none of the images of the run: 6 missing"):
        open_folder(tmp_path, manifest=before.manifest)
    (tmp_path / "other.png").unlink()
    tmp_path.rmdir()
    with pytest.raises(DataError, match="does not exist; if the data have moved, .*--data="):
        open_folder(tmp_path, manifest=before.manifest)


def test_new_files_are_for_new_runs(tmp_path):
    small_folder(tmp_path, 4, 4)
    before, _ = open_folder(tmp_path)
    for name in names("new", train=2, validation=1, test=1):
        save(tmp_path / name, noise(7, 9, 9, 3))
    same, events = open_folder(tmp_path, manifest=before.manifest)
    assert (same.shape, same.contents) == (before.shape, before.contents)
    assert contents(same) == contents(before)
    assert texts(events) == [f"{tmp_path} has 4 new files, which only new runs use"]


def test_data_at_another_place(tmp_path):
    small_folder(tmp_path / "here", 4, 4, names=names("cat/", train=3, validation=1, test=1))
    before, _ = open_folder(tmp_path / "here")
    images = contents(before)
    os.rename(tmp_path / "here", tmp_path / "there")
    after, _ = open_folder(tmp_path / "there", manifest=before.manifest)
    assert not after.changes and contents(after) == images


def test_a_damaged_manifest_is_refused(tmp_path):
    from pixelprior.data.manifest import manifest_from_json

    small_folder(tmp_path, 4, 4)
    manifest = open_folder(tmp_path)[0].manifest
    content = manifest.as_json()
    assert manifest_from_json(content, "there") == manifest
    for damaged in ([], None, "text"):
        with pytest.raises(DataError, match="there is damaged"):
            manifest_from_json(damaged, "there")
    with pytest.raises(DataError, match="there has format 9, expected 1"):
        manifest_from_json(content | {"format": 9}, "there")
    for key in ("shape", "values", "splits"):
        with pytest.raises(DataError, match="there is damaged"):
            manifest_from_json({k: v for k, v in content.items() if k != key}, "there")


def test_copies_in_two_splits_are_warned_of(tmp_path):
    images = small_folder(tmp_path, 4, 4)
    train, test = (next(n for n in SMALL if split_of(n) == split) for split in ("train", "test"))
    save(tmp_path / test, images[train])
    [caution] = texts(open_folder(tmp_path)[1], Caution)
    told = "1 of 2 test images are also training images under another name"
    assert f"{told} ({test} is {train})" in caution


def test_colour_is_judged_by_pixels(tmp_path):
    images = small_folder(tmp_path, 4, 4)
    for name in SMALL[:2]:  # grey, but stored as colour
        save(tmp_path / name, np.repeat(images[name][..., None], 3, axis=-1))
    assert open_folder(tmp_path)[0].shape == (4, 4, 1)
    colour = noise(5, 4, 4, 3)
    save(tmp_path / SMALL[2], colour)
    dataset, events = open_folder(tmp_path)
    assert dataset.shape == (4, 4, 3)
    expected = [np.repeat(images[name][..., None], 3, axis=-1).tobytes() for name in SMALL]
    expected[2] = colour.tobytes()
    assert [image for image, _ in contents(dataset)] == sorted(expected)
    told = f"1 of 10 images in {tmp_path} have colour ({SMALL[2]}), and all get 3 channels"
    assert told in texts(events)


def test_a_single_colour_image_among_many_is_warned_of(tmp_path):
    many = names(train=30, validation=3, test=3)
    small_folder(tmp_path, 4, 4, names=many)
    save(tmp_path / many[0], noise(1, 4, 4, 3))
    assert any("make them grey" in text for text in texts(open_folder(tmp_path)[1], Caution))


def test_pixels_0_and_1_become_black_and_white(tmp_path):
    images = small_folder(tmp_path, 4, 4)
    for name, image in images.items():
        save(tmp_path / name, image % 2)
    dataset, _ = open_folder(tmp_path)
    assert dataset.note == "pixels 0 and 1 scaled to 0 and 255"
    assert contents(dataset) == sorted(
        ((image % 2 * 255).tobytes(), 0) for image in images.values()
    )
    # They are scaled before they are resized.
    small, _ = open_folder(tmp_path, image_size=(2, 2))
    assert small.note == "resized and centre-cropped to 2 x 2; pixels 0 and 1 scaled to 0 and 255"
    assert len(np.unique([e["image"] for e in examples(small)["train"]])) > 2


def test_dark_and_black_images(tmp_path):
    images = small_folder(tmp_path, 4, 4)
    for name, image in images.items():
        save(tmp_path / name, image % 21)
    dataset, events = open_folder(tmp_path)
    [caution] = texts(events, Caution)
    assert "brightest pixel of all images" in caution and "is 20 of 255" in caution
    assert contents(dataset) == sorted(((image % 21).tobytes(), 0) for image in images.values())
    for name in SMALL:
        save(tmp_path / name, np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match="all pixels of all images in .* are 0"):
        open_folder(tmp_path)


@pytest.mark.parametrize("bits, top", [(16, 65535), (12, 4095), (10, 1000), (8, 200)])
def test_16_bit_images_use_the_range_of_all(tmp_path, bits, top):
    values = {}
    for n, name in enumerate(SMALL):
        pixels = np.random.default_rng(n).integers(0, top + 1, (4, 4)).astype(np.uint16)
        pixels[0, 0] = top if n == 0 else 0
        save(tmp_path / name, pixels)
        values[name] = pixels
    dataset, _ = open_folder(tmp_path)
    assert dataset.note == f"{bits}-bit pixels scaled to 8 bits"
    expected = [np.rint(v / (2**bits - 1) * 255).astype(np.uint8) for v in values.values()]
    assert contents(dataset) == sorted((e.tobytes(), 0) for e in expected)


def test_suffixes_of_any_case_and_formats(tmp_path):
    kinds = [".PNG", ".Jfif", ".TIF", ".tiff", ".pgm", ".pbm", ".ppm", ".bmp", ".webp", ".gif"]
    for n, kind in enumerate(kinds):
        for name in names(f"{n}_", suffix=kind, train=1, validation=1, test=1):
            with open(tmp_path / name, "wb") as file:
                picture = Image.fromarray(noise(n, 4, 4))
                picture = picture.convert("1") if kind == ".pbm" else picture
                picture.save(
                    file,
                    format={".pgm": "PPM", ".pbm": "PPM"}.get(
                        kind, Image.registered_extensions()[kind.lower()]
                    ),
                )
    dataset, events = open_folder(tmp_path)
    assert sum(map(len, dataset.splits.values())) == 30
    assert texts(events) == [f"{tmp_path}: 30 grey images"]


def test_names_are_the_same_on_every_system(tmp_path):
    decomposed = "e\u0301.png"  # as macOS writes é
    small_folder(tmp_path, 4, 4)
    save(tmp_path / decomposed, noise(0, 4, 4))
    found = {name for files in open_folder(tmp_path)[0].manifest.splits.values() for name in files}
    assert found == {*SMALL, "é.png"}


def test_two_files_of_one_name(tmp_path):
    small_folder(tmp_path, 4, 4)
    for name in ("e\u0301.png", "\u00e9.png"):
        save(tmp_path / name, noise(0, 4, 4))
    with pytest.raises(DataError, match="has two files of the name é.png, which differ only in"):
        open_folder(tmp_path)


def test_names_that_are_not_utf_8_or_not_printable(tmp_path):
    small_folder(tmp_path, 4, 4)
    for name in (b"caf\xe9.png", b"\x1b[31m.png"):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(b"no image")
    with pytest.raises(DataError) as caught:
        open_folder(tmp_path)
    assert str(caught.value).isascii() and "\x1b" not in str(caught.value)
    assert r"caf\udce9.png" in str(caught.value)
    os.rename(tmp_path / SMALL[0], os.path.join(os.fsencode(tmp_path), b"caf\xe9.png"))
    dataset, _ = open_folder(tmp_path, skip_unreadable=True)
    assert sum(map(len, dataset.splits.values())) == 10


def test_one_folder_around_the_classes(tmp_path):
    for name in ("ant", "bee"):
        folder = f"photos/{name}/"
        small_folder(tmp_path, 4, 4, names=names(folder, train=3, validation=1, test=1))
    dataset, events = open_folder(tmp_path)
    assert dataset.class_names == ("photos",)
    assert any(f"give {tmp_path / 'photos'} as the data set" in t for t in texts(events, Caution))


def test_a_class_without_a_training_image(tmp_path):
    small_folder(tmp_path, 4, 4, names=names("ant/", train=6, validation=1, test=1))
    for name in names("rare/", test=1):
        save(tmp_path / name, noise(99, 4, 4))
    [caution] = texts(open_folder(tmp_path)[1], Caution)
    assert caution.startswith("1 of 2 classes have no training image (rare)")


def test_one_white_among_masks_of_0_and_1(tmp_path):
    images = small_folder(tmp_path, 4, 4)
    for name in SMALL[1:]:
        save(tmp_path / name, images[name] % 2)
    [caution] = texts(open_folder(tmp_path)[1], Caution)
    assert "9 of 10 images in" in caution and "less than a quarter of the range" in caution


def test_skipped_files_are_not_new(tmp_path):
    small_folder(tmp_path, 4, 4)
    (tmp_path / "bad.png").write_bytes(b"no image")
    before, _ = open_folder(tmp_path, skip_unreadable=True)
    _, events = open_folder(tmp_path, skip_unreadable=True, manifest=before.manifest)
    assert texts(events) == []


def test_advice_for_an_empty_validation_split(tmp_path):
    small_folder(tmp_path, 4, 4, names=names(train=5, test=2))
    with pytest.raises(DataError) as caught:
        open_folder(tmp_path)
    [fraction] = re.findall(r"set validation_fraction=([\d.]+)", str(caught.value))
    dataset, _ = open_folder(tmp_path, validation_fraction=float(fraction))
    assert len(dataset.split("validation")) >= 1


def test_sizes_that_differ(tmp_path):
    small_folder(tmp_path / "same", 4, 5)
    small_folder(tmp_path, 4, 5)
    save(tmp_path / "wide.png", noise(0, 4, 9))
    with pytest.raises(DataError, match=r"0\.png is 4 x 5 .*wide\.png is 4 x 9 .*set image_size"):
        open_folder(tmp_path, class_depth=0)
    same, _ = open_folder(tmp_path / "same", image_size=(4, 5))
    assert same.note == ""
    dataset, _ = open_folder(tmp_path, class_depth=0, image_size=(3, 3))
    assert dataset.shape == (3, 3, 1)
    assert dataset.note == "resized and centre-cropped to 3 x 3"


def test_an_unreadable_folder(tmp_path, monkeypatch):
    small_folder(tmp_path / "a", 4, 4)
    scan = os.scandir

    def deny(path):
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", deny)
    with pytest.raises(DataError, match=r"a cannot be read \(Permission denied\)"):
        open_folder(tmp_path)


needs_images = pytest.mark.skipif(
    not os.environ.get("PIXELPRIOR_IMAGES"), reason="PIXELPRIOR_IMAGES names no folder"
)


@needs_images
def test_faces_as_they_are():
    dataset, events = open_folder(Path(os.environ["PIXELPRIOR_IMAGES"]) / "orl_faces")
    assert dataset.shape == (112, 92, 1)
    assert len(dataset.class_names) == 40
    assert [len(split) for split in dataset.splits.values()] == [325, 39, 36]
    assert not texts(events, Caution)


@needs_images
@pytest.mark.parametrize("depth, classes", [(0, 0), (1, 5), (2, 136)])
def test_omniglot_as_it_is(tmp_path, depth, classes):
    archive = Path(os.environ["PIXELPRIOR_IMAGES"]) / "omniglot_small1.zip"
    with zipfile.ZipFile(archive) as content:
        content.extractall(tmp_path)
    dataset, events = open_folder(tmp_path / "images_background_small1", class_depth=depth)
    assert dataset.shape == (105, 105, 1)
    assert len(dataset.class_names) == classes
    assert sum(map(len, dataset.splits.values())) == 2720
    assert not texts(events, Caution)

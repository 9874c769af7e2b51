"""``pixelprior compress`` and ``decompress``: files, labels, codes, damage, and refusals."""

import json
import shutil
import signal
import time

import numpy as np
import pytest
from PIL import Image

import pixelprior as pp
from pixelprior.coding.container import ContainerReader, ContainerWriter
from pixelprior.runs.compression.exact import to_shades
from pixelprior.runs.load import load_trained
from pixelprior.runs.one_file.export import export_run
from pixelprior.system.leftovers import mark
from tests.cli.calls import assert_one_sentence
from tests.runs.one_file.untrained import untrained

COMMAND = "from pixelprior.__main__ import main\n\nmain()\n"


@pytest.fixture(scope="module")
def command(tmp_path_factory, warm_start):
    """Runs ``pixelprior``, in a folder."""
    path = tmp_path_factory.mktemp("command") / "pixelprior.py"
    path.write_text(COMMAND)
    return lambda *arguments, cwd: warm_start.run(path, *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A file of a class-conditional model of 17 shades without the null class."""
    path = tmp_path_factory.mktemp("model") / "a.safetensors"
    export_run(untrained("pixels", class_conditional=True), path)
    return path


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "p.safetensors"
    export_run(untrained("prior"), path)
    return path


def shades(num, seed=0):
    """Images in the 17 shades of the model."""
    symbols = np.random.default_rng(seed).integers(0, 17, (num, 8, 8, 1))
    return np.round(symbols / 16 * 255).astype(np.uint8)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path)


def read(path):
    pixels = np.asarray(Image.open(path))
    return pixels if pixels.ndim == 3 else pixels[..., None]


def compress(command, model, cwd, *flags, status=0):
    said = command("compress", f"--workdir={model}", "-o", "x.ppz", *flags, cwd=cwd)
    assert said.status == status, said.errors
    return said


def decompress(command, cwd, *flags, status=0):
    said = command("decompress", "x.ppz", *flags, cwd=cwd)
    assert said.status == status, said.errors
    return said


def test_folders_come_back_with_their_names_and_classes(command, model, tmp_path):
    images = dict(zip(["3/a.png", "3/B.png", "7/a.png", "7/é b.bmp"], shades(4), strict=True))
    for name, pixels in images.items():
        save(tmp_path / "in" / name, pixels)
    said = compress(command, model, tmp_path, "in", "--batch_size=3")
    size = (tmp_path / "x.ppz").stat().st_size
    assert f"4 images in x.ppz: {size:,} bytes" in said.errors
    decompress(command, tmp_path, "-o", "out")
    found = {
        str(path.relative_to(tmp_path / "out")): read(path)
        for path in (tmp_path / "out").rglob("*.png")
    }
    assert sorted(found) == ["3/B.png", "3/a.png", "7/a.png", "7/é b.png"]
    for name, pixels in images.items():
        np.testing.assert_array_equal(found[name.replace(".bmp", ".png")], pixels)
    # The names are those of the run's classes, and the labels are kept.
    decompress(command, tmp_path, "-o", "out.npz")
    with np.load(tmp_path / "out.npz") as arrays:
        assert arrays["labels"].tolist() == [3, 3, 7, 7]
        # In the order of the names.
        expected = [images[name] for name in sorted(images)]
        np.testing.assert_array_equal(arrays["images"], expected)


@pytest.mark.slow
def test_a_split_and_arrays(command, model, tmp_path):
    compress(command, model, tmp_path, "--split=test", "--limit=40")
    decompress(command, tmp_path, "-o", "first.npz")
    symbols, labels = load_trained(model).read("test", limit=40)
    with np.load(tmp_path / "first.npz") as arrays:
        np.testing.assert_array_equal(arrays["images"], np.round(symbols / 16 * 255))
        np.testing.assert_array_equal(arrays["labels"], labels)
    # What was decompressed is compressed again, to the same symbols.
    before = (tmp_path / "x.ppz").read_bytes()
    compress(command, model, tmp_path, "first.npz", "--overwrite")
    assert (tmp_path / "x.ppz").read_bytes() == before


@pytest.mark.slow
def test_codes_of_a_prior(command, prior, tmp_path):
    said = compress(command, prior, tmp_path, "--codes", "--split=test", "--limit=5", "--label=2")
    decompress(command, tmp_path, "-o", "out.npz")
    run = load_trained(prior)
    symbols, _ = run.read("test", limit=5)
    again = np.asarray(pp.reconstruct(run, symbols))
    with np.load(tmp_path / "out.npz") as arrays:
        np.testing.assert_array_equal(arrays["images"], np.round(again * 255))
        assert arrays["labels"].tolist() == [2] * 5
    error = np.mean((again - symbols / 16) ** 2)
    rewritten(tmp_path / "x.ppz", lambda h: h | {"about": h["about"] | {"tokenizer": "0" * 64}})
    other = decompress(command, tmp_path, "-o", "other.npz", status=2)
    assert "another tokenizer than that of" in other.errors
    assert f"a mean squared error of {error:.6f}, {-10 * np.log10(error):.2f} dB" in said.errors


BAD_IMAGES = {
    "size": (np.zeros((8, 9, 1), np.uint8), r"has 8 x 9 pixels, and the model 8 x 8; resize"),
    "colour": (
        np.arange(192, dtype=np.uint8).reshape(8, 8, 3),
        "has 3 channels, and the model is of grey images; convert",
    ),
    "depth": (np.arange(64, dtype=np.uint16).reshape(8, 8) * 999, "has 16 bits per channel"),
    "shades": (np.full((8, 8, 1), 7, np.uint8), "pixels between the 17 shades .* --quantise"),
}


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_images_that_do_not_fit(command, model, tmp_path, kind):
    pixels, message = BAD_IMAGES[kind]
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels.squeeze()).save(tmp_path / "in" / "a.png")
    assert_one_sentence(
        compress(command, model, tmp_path, "in", "--label=1", status=2), f"in/a.png .*{message}"
    )
    assert not (tmp_path / "x.ppz").exists()
    if kind == "shades":
        compress(command, model, tmp_path, "in", "--label=1", "--quantise")
        decompress(command, tmp_path, "-o", "out")
        assert (read(tmp_path / "out" / "a.png") == 0).all()


@pytest.mark.slow
def test_requests_that_are_refused(command, model, prior, tmp_path):
    save(tmp_path / "in" / "a.png", shades(1)[0])
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "there.ppz").write_text("here")
    (tmp_path / "in.ppz").mkdir()
    for flags, message in (
        ([f"--workdir={model}", "-o", "x.ppz"], "give image files, folders or an .npz file"),
        ([f"--workdir={model}", "-o", "x.ppz", "in"], "the model needs the class of the images"),
        ([f"--workdir={model}", "-o", "x.ppz", "none"], "no image file or folder none"),
        ([f"--workdir={model}", "-o", "x.ppz", "in", "--split=test"], "not both"),
        ([f"--workdir={model}", "-o", "x.ppz", "in", "in", "--label=1"], "two images have the"),
        ([f"--workdir={model}", "-o", "x.ppz", "text.png", "--label=1"], "text.png"),
        ([f"--workdir={model}", "-o", "x.zip", "in"], "compressed to a file NAME.ppz, got x.zip"),
        (
            [f"--workdir={model}", "-o", "there.ppz", "in"],
            "there.ppz already exists; pass --over",
        ),
        ([f"--workdir={model}", "-o", "no/x.ppz", "in"], "no/x.ppz cannot be written .* --out"),
        ([f"--workdir={model}", "-o", "in.ppz", "in"], "in.ppz is a folder; give the name of"),
        ([f"--workdir={model}", "-o", "l" * 300 + ".ppz", "in"], "at most 255 bytes in a name"),
        (["--workdir=digits", "-o", "x.ppz", "in", "--label=1"], "this run has no classes"),
        ([f"--workdir={model}", "-o", "x.ppz", "in", "--codes"], "--codes is for a prior"),
        ([f"--workdir={prior}", "-o", "x.ppz", "--split=test"], "add --codes"),
        ([f"--workdir={model}", "-o", "x.ppz", "in", "--label=1", "--limit=0"], "limit must be"),
        (
            [f"--workdir={model}", "-o", "x.ppz", "in", "--label=1", "--batch_size=0"],
            "batch_size must",
        ),
    ):
        assert_one_sentence(command("compress", *flags, cwd=tmp_path), message)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "in",
        "in.ppz",
        "text.png",
        "there.ppz",
    ]


@pytest.fixture
def compressed(command, model, tmp_path):
    """A file of one block, in its folder."""
    compress(command, model, tmp_path, "--split=test", "--limit=6")
    return tmp_path


def rewritten(path, header=None, blocks=lambda blocks: blocks):
    """Write the file again, with another header or other blocks, and valid digests."""
    with open(path, "rb") as file:
        reader = ContainerReader(file, "x.ppz")
        found, old = list(reader.blocks()), reader.header
    with open(path, "wb") as file:
        writer = ContainerWriter(file, (header or (lambda x: x))(json.loads(json.dumps(old))))
        for block in blocks(found):
            writer.add(block)
        writer.finish()


def test_files_that_cannot_be_decompressed(command, compressed, prior, tmp_path):
    good = (tmp_path / "x.ppz").read_bytes()

    def refused(message, *flags):
        said = decompress(command, tmp_path, "-o", "out.npz", *flags, status=2)
        line = said.errors.splitlines()[-1]
        assert line.startswith("error: ") and message in line, line
        assert not (tmp_path / "out.npz").exists()

    refused(
        "another grid (8 x 8 x 1 of 17 values there, 2 x 2 x 1 of 16 values, 4 x 4 x 1 of 16 "
        "values here)",
        f"--workdir={prior}",
    )
    rewritten(tmp_path / "x.ppz", lambda h: h | {"fingerprint": "0" * 64})
    refused("another fingerprint of the model (0000000000000000 there,")
    (tmp_path / "x.ppz").write_bytes(good)
    rewritten(tmp_path / "x.ppz", lambda h: h | {"machine": h["machine"] | {"jax": "0.1"}})
    refused("compressed with another jax ('0.1' there, ")
    decompress(command, tmp_path, "-o", "forced.npz", "--force")
    for header, message in (
        (lambda h: h | {"format": 99}, "has format 99, and this version reads formats up to 1"),
        (lambda h: h | {"about": {}}, "names no run; give the one"),
        (lambda h: h | {"about": {"workdir": "hf://a/b"}}, "give it with --workdir=hf://a/b"),
        (lambda h: h | {"batch_size": 10**9}, "batch_size must be an integer"),
        (lambda h: h | {"images": 7}, "has 6 images instead of 7"),
        (lambda h: {"format": 1}, "the header of x.ppz does not fit: "),
    ):
        (tmp_path / "x.ppz").write_bytes(good)
        rewritten(tmp_path / "x.ppz", header)
        if "instead" not in message:
            refused(message)
            continue
        said = decompress(command, tmp_path, "-o", "most.npz", status=2)
        assert message in said.errors.splitlines()[-1]
        assert "6 images before it are in most.npz" in said.errors.splitlines()[-1]
    (tmp_path / "x.ppz").write_text("something else")
    refused("x.ppz is no file of `pixelprior compress`")
    (tmp_path / "x.ppz").unlink()
    refused("x.ppz cannot be read (No such file or directory)")


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "", "a\0b", "a\nb", 3, "x" * 300])
def test_names_that_lead_elsewhere(command, compressed, tmp_path, name):
    def renamed(blocks):
        return [b._replace(facts=b.facts | {"about": {"names": [name] * 6}}) for b in blocks]

    rewritten(tmp_path / "x.ppz", blocks=renamed)
    said = decompress(command, tmp_path, "-o", "out", status=2)
    assert "which is no path below the output" in said.errors.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_what_is_there_stays(command, compressed, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("here")
    said = decompress(command, tmp_path, "-o", "out", status=2)
    assert "out is not empty; pass --overwrite" in said.errors
    shutil.copy(tmp_path / "x.ppz", tmp_path / "out.npz")
    said = decompress(command, tmp_path, "-o", "out.npz", status=2)
    assert "out.npz already exists" in said.errors


def test_names_of_all_kinds_come_back(command, model, tmp_path):
    names = ["X.png", "x.PNG", "x.bmp", "x_.png", "A/x.png", "12:30.png", "a\\b.png", "n\nl.png"]
    names += ["l" * 240 + ".png", "é" * 100 + ".png", "9.41\u202fAM.png", "-dash.png", "x_2.gif"]
    images = dict(zip(names, shades(len(names)), strict=True))
    for name, pixels in images.items():
        save(tmp_path / "in" / name, pixels)
    compress(command, model, tmp_path, "in", "--label=1")
    decompress(command, tmp_path, "-o", "out")
    found = {
        str(p.relative_to(tmp_path / "out")): read(p)
        for p in (tmp_path / "out").rglob("*")
        if p.is_file()
    }
    assert len(found) == len(names)
    # A name that exists among the images belongs to this image.
    for name, pixels in found.items():
        if name in images:
            np.testing.assert_array_equal(pixels, images[name])
    assert {"x_.png", "A/x.png", "-dash.png", "9.41\u202fAM.png", "12_30.png"} <= found.keys()


def test_what_a_killed_process_left_is_removed(command, model, tmp_path):
    save(tmp_path / "in" / "a.png", shades(1)[0])
    left = tmp_path / f".x.ppz.{mark().split('-')[0]}-{2**22 - 1}.unfinished"
    left.write_text("half of it")
    compress(command, model, tmp_path, "in", "--label=1")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "x.ppz"]


LIMITED = """
import resource

resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, resource.RLIM_INFINITY))
"""


def test_a_full_disk(command, model, tmp_path, warm_start):
    """No file may have more than 8 kB, as with a full disk."""
    limited = tmp_path / "limited.py"
    limited.write_text(LIMITED + COMMAND)
    flags = (f"--workdir={model}", "--split=test")
    said = warm_start.run(limited, "compress", "-o", "x.ppz", *flags, cwd=tmp_path)
    assert said.status == 2 and "Traceback" not in said.errors
    assert "error: x.ppz cannot be written (File too large); make room" in said.errors
    assert [p.name for p in tmp_path.iterdir()] == ["limited.py"]
    compress(command, model, tmp_path, *flags[1:])
    said = warm_start.run(limited, "decompress", "x.ppz", "-o", "x.npz", cwd=tmp_path)
    assert said.status == 2 and "Traceback" not in said.errors
    assert "error: x.npz cannot be written (File too large)" in said.errors
    assert sorted(p.name for p in tmp_path.iterdir()) == ["limited.py", "x.ppz"]


def test_images_before_the_damage_are_kept(command, tmp_path):
    compress(command, "digits", tmp_path, "--split=test", "--limit=40", "--batch_size=16")
    with open(tmp_path / "x.ppz", "rb") as file:
        reader = ContainerReader(file, "x.ppz")
        (block,) = reader.blocks()
        header = reader.header
    with open(tmp_path / "x.ppz", "wb") as file:
        writer = ContainerWriter(file, header | {"images": 80})
        writer.add(block)
        writer.add(block._replace(stream=block.stream[:-2]))
        writer.finish()
    said = decompress(command, tmp_path, "-o", "out", status=2)
    line = said.errors.splitlines()[-1]
    assert "block 2 of x.ppz cannot be read back" in line
    assert line.endswith("40 images before it are in out")
    assert len(list((tmp_path / "out").iterdir())) == 40


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_leaves_whole_files_only(warm_start, command, tmp_path, name):
    """One image at a time takes long enough to be stopped on the way."""
    number = getattr(signal, name)
    script = tmp_path / "pixelprior.py"
    script.write_text(COMMAND)

    def stop(begun, *arguments):
        process = warm_start.start(script, *arguments, cwd=tmp_path)
        while not begun():
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        process.send_signal(number)
        _, errors = process.communicate()
        assert process.returncode in (-number, 128 + number) and "Traceback" not in errors

    flags = ("--workdir=digits", "-o", "x.ppz", "--split=train", "--batch_size=1")
    stop(lambda: list(tmp_path.glob(".x.ppz.*")), "compress", *flags)
    assert not (tmp_path / "x.ppz").exists()
    assert command("compress", *flags[:-1], "--noverify", cwd=tmp_path).status == 0
    assert {p.name for p in tmp_path.iterdir()} == {"pixelprior.py", "x.ppz"}

    out = tmp_path / "out"
    arguments = ("decompress", "x.ppz", "-o", "out")
    stop(lambda: out.is_dir() and list(out.glob("*.png")), *arguments)
    run = pp.load_trained("digits")
    images = to_shades(run.read("train")[0], run.model.grid)
    for path in out.glob("*.png"):
        np.testing.assert_array_equal(read(path), images[int(path.stem)])

"""Priors: trained on a tokenizer's codes, sampled from and measured, as a user does it."""

import json
import math
import re
import shutil

import jax
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from pixelprior.cli.evaluate_run import evaluate_run
from pixelprior.context import Context
from pixelprior.experiment import open_data
from pixelprior.runs.load import load_trained
from pixelprior.sampling.strategies import strategies_from
from tests.cli.calls import RUN_FILES, assert_one_sentence, draw_files, jitted
from tests.cli.conftest import TINY_TOKENIZER, tiny_prior

# Real runs, that take minutes to prepare.
pytestmark = pytest.mark.slow

TEST_IMAGES = 359


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def tiles(sheet, num, height=8, width=8, scale=6):
    """The images of a sheet, undone: grey lines of two pixels, and each pixel enlarged."""
    columns = (sheet.shape[1] - 2) // (width * scale + 2)
    images = []
    for n in range(num):
        row, column = divmod(n, columns)
        top, left = 2 + row * (height * scale + 2), 2 + column * (width * scale + 2)
        tile = sheet[top : top + height * scale, left : left + width * scale]
        images.append(tile[::scale, ::scale])
        np.testing.assert_array_equal(images[-1].repeat(scale, 0).repeat(scale, 1), tile)
    return np.stack(images)


def shades(pixels):
    return np.rint(np.asarray(pixels)[..., 0] * 255)


def draw(workdir, out, **settings):
    draw_files(workdir, out, **settings)
    return np.stack([read(path) for path in sorted(out.glob("*.png"))])


def leaves(workdir, *, averaged=True, checkpoint="best"):
    model = load_trained(workdir, averaged=averaged, checkpoint=checkpoint).model
    return {
        jax.tree_util.keystr(path): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(nnx.to_pure_dict(nnx.state(model)))
    }


def images_of(trained, split):
    """Pixels in [0, 1] and labels of a split of digits, by hand."""
    dataset, _, _ = open_data(trained.tokenizer_config)
    source = dataset.splits[split].source
    images, labels = source.read(range(len(source)))
    return images.astype(np.float32) / 16, labels


# What training leaves behind.


def test_what_a_run_folder_holds(prior2, vqvae2):
    names = {p.name for p in prior2.iterdir()}
    assert names - {"evaluation"} == RUN_FILES | {"tokenizer"}
    carried = {p.name for p in (prior2 / "tokenizer").iterdir()}
    carried -= {"evaluation", "codes"}  # they come later
    assert carried == {"config.json", "data.json", "metrics.jsonl", "checkpoints"}
    # One checkpoint, of the averaged weights alone.
    (step,) = (prior2 / "tokenizer" / "checkpoints").iterdir()
    parts = {p.name for p in step.iterdir() if p.is_dir()}
    assert "averaged" in parts and not parts & {"weights", "optimizer"}
    ours, theirs = leaves(prior2 / "tokenizer"), leaves(vqvae2)
    assert ours.keys() == theirs.keys()
    for name, leaf in theirs.items():
        np.testing.assert_array_equal(ours[name], leaf)


def test_what_is_known_of_the_codes(prior2, vqvae2):
    data = json.loads((prior2 / "data.json").read_text())
    theirs = json.loads((vqvae2 / "data.json").read_text())
    assert theirs.items() <= data.items()
    assert data["code_grids"] == [[2, 2, 2, 8], [4, 4, 2, 8]]
    assert data["learned_levels"] == ["top", "bottom"]
    (codes,) = (vqvae2 / "codes").iterdir()
    assert codes.name == data["tokenizer"][:16]
    # Counted by hand, of all training images.
    trained = load_trained(prior2)
    pixels, _ = images_of(trained, "train")
    for level, counts in zip(
        jitted(trained.tokenizer, "encode", pixels), data["code_counts"], strict=True
    ):
        for codebook, expected in enumerate(counts):
            found = np.bincount(np.asarray(level)[..., codebook].ravel(), minlength=8)
            np.testing.assert_array_equal(found, expected)


def test_codes_are_written_once(levels, top_prior, prior2, vqvae2):
    first, second = ((run.parent / "stderr.txt").read_text() for run in (top_prior, prior2))
    assert f"encoding digits with the tokenizer in {levels / 'tokenizer'}" in first
    assert "encoding" not in second
    written = (next((vqvae2 / "codes").iterdir()) / "codes.json").stat().st_mtime_ns
    assert written < (prior2 / "config.json").stat().st_mtime_ns
    assert written < (top_prior / "config.json").stat().st_mtime_ns


def test_a_healthy_tokenizer_is_not_warned_of(prior, prior2):
    for run in (prior, prior2):
        assert "warning" not in (run.parent / "stderr.txt").read_text()


def test_metrics_name_the_levels_that_are_trained(top_prior, prior2):
    for run, level, other in ((top_prior, "top", "bottom"), (prior2, "bottom", "top")):
        records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        names = set().union(*records)
        assert {f"train_{level}_bits_per_code", f"test_{level}_nats"} <= names
        assert not [name for name in names if f"{other}_" in name]
        (end,) = [record for record in records if "best_step" in record]
        size = {"top": 8, "bottom": 32}[level]
        bits = end[f"test_{level}_nats"] / size / math.log(2)
        np.testing.assert_allclose(end[f"test_{level}_bits_per_code"], bits, rtol=1e-6)
        # Better than before training.
        first, *_, last = [r["train_bits_per_code"] for r in records if "train_bits_per_code" in r]
        assert last < first


# Levels apart.


def test_the_other_levels_weights_are_taken_over_exactly(top_prior, prior2):
    theirs = leaves(top_prior)
    for averaged in (True, False):
        ours = leaves(prior2, averaged=averaged)
        assert ours.keys() == theirs.keys()
        top = [name for name in ours if name.startswith("['levels'][0]")]
        assert len(top) > 10
        for name in top:
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
        # The others were trained, from the same start.
        moved = [name for name in ours if name not in top and (ours[name] != theirs[name]).any()]
        assert any("['contexts']" in name for name in moved)
        assert any("['levels'][1]" in name for name in moved)


def test_a_run_without_all_levels_is_not_sampled_from(top_prior, tmp_path, script):
    result = script("sample", f"--workdir={top_prior}", f"--out={tmp_path / 'new' / 'x.png'}")
    assert result.status == 2 and not any(tmp_path.iterdir())
    (line,) = result.errors.splitlines()
    assert line.startswith("error: this run has not learned the bottom level; ")
    assert "--prior" in line
    # No picture was drawn while it trained, either.
    assert not any((top_prior / "samples").iterdir())


# Samples.


def test_the_samples_of_the_script(prior2, tmp_path, script):
    out = tmp_path / "sheet.png"
    result = script(
        "sample",
        f"--workdir={prior2}",
        f"--out={out}",
        *("--num=4", "--batch_size=3", "--seed=3", "--label=7"),
        *("--temperature=0.8,1.2", "--guidance=2"),
    )
    assert result.status == 0, result.errors
    assert "Traceback" not in result.errors and "4 images in" in result.errors
    trained = load_trained(prior2)
    # Two levels, two temperatures, one class; image n is a function of the seed and n.
    expected = trained.model.sample(
        jax.random.key(3),
        4,
        context=Context(label=np.full(4, 7)),
        strategy=[strategies_from(temperature=0.8), strategies_from(temperature=1.2)],
        guidance=2.0,
        tokenizer=trained.tokenizer,
    )
    np.testing.assert_allclose(tiles(read(out), 4), shades(expected), atol=1)


def test_batches_labels_and_temperatures(prior2, tmp_path):
    both = [strategies_from(temperature=0.5)]
    images = draw(prior2, tmp_path / "a", strategies=both)
    assert images.shape == (4, 8, 8)
    # One temperature is that of every level.
    again = draw(prior2, tmp_path / "b", strategies=both * 2)
    np.testing.assert_array_equal(again, images)
    # The levels' own differ from it, whichever it is.
    hot = strategies_from(temperature=2.0)
    for n, strategies in enumerate([(both[0], hot), (hot, both[0])]):
        others = draw(prior2, tmp_path / f"c{n}", strategies=strategies)
        assert (others != images).any()
    # By default all classes in turn; image 2 is of class 2.
    two = draw(prior2, tmp_path / "d", strategies=both, label="2")
    np.testing.assert_array_equal(two[2], images[2])
    # With the likeliest code everywhere, all of a class are one.
    coldest = [strategies_from(temperature=1e-6)]
    sure = draw(prior2, tmp_path / "e", label="1", strategies=coldest)
    assert (sure == sure[0]).all() and (sure[0] != images[0]).any()


def test_the_other_modes_are_those_of_its_tokenizer(prior2, vqvae2, tmp_path):
    for mode in ("reconstruct", "random_codes", "interpolate"):
        ours = draw(prior2, tmp_path / f"{mode}1", mode=mode, num=8, batch_size=8)
        theirs = draw(vqvae2, tmp_path / f"{mode}2", mode=mode, num=8, batch_size=8)
        np.testing.assert_array_equal(ours, theirs)


# A run that was moved, and whose tokenizer is no more: `prior` is one.


def test_a_moved_run_is_sampled_from(prior, tmp_path):
    images = draw(prior, tmp_path / "a", num=2, batch_size=2)
    trained = load_trained(prior)
    assert trained.model.num_classes == 0
    expected = trained.model.sample(jax.random.key(0), 2, tokenizer=trained.tokenizer)
    np.testing.assert_allclose(images, shades(expected), atol=1)
    pairs = draw(prior, tmp_path / "b", mode="reconstruct", num=2, batch_size=2)
    assert pairs.shape == (2, 17, 8)


def test_a_moved_run_goes_on_without_its_tokenizer(prior, tmp_path, script):
    workdir = tmp_path / "run"
    shutil.copytree(prior, workdir)
    shutil.rmtree(workdir / "checkpoints" / "6")
    config = json.loads((prior / "config.json").read_text())
    (tmp_path / "config.py").write_text(
        "from ml_collections import ConfigDict\n\n\n"
        f"def get_config():\n    return ConfigDict({config!r})\n"
    )
    result = script("train", f"--config={tmp_path / 'config.py'}", f"--workdir={workdir}")
    assert result.status == 0, result.errors
    assert "resuming at step 3" in result.errors
    # It has the images, and makes their codes anew.
    assert f"encoding digits with the tokenizer in {workdir / 'tokenizer'}" in result.errors
    ours, theirs = leaves(workdir), leaves(prior)
    assert ours.keys() == theirs.keys()
    for name, leaf in theirs.items():
        np.testing.assert_array_equal(ours[name], leaf)


# Measured.


def reference(trained, split):
    """Nats of every level of every image of a split, one level after the other."""
    pixels, labels = images_of(trained, split)
    codes = jitted(trained.tokenizer, "encode", pixels)
    context = Context(label=labels) if trained.model.num_classes else None
    graph, weights = nnx.split(trained.model)

    @jax.jit
    def score(weights):
        model = nnx.merge(graph, weights)
        return [model.level_log_prob(n, codes, context) for n in range(len(codes))]

    return -np.asarray(score(weights), np.float64), [np.asarray(level) for level in codes]


def bits_of_frequencies(train, test):
    """What a code of the test images costs under frequencies, raised by one, of training."""
    bits = []
    for codebook in range(test.shape[-1]):
        counts = np.bincount(train[..., codebook].ravel(), minlength=8) + 1
        bits.append(-np.log2(counts / counts.sum())[test[..., codebook]].mean())
    return np.mean(bits)


def test_evaluation_by_the_script(prior2, tmp_path, script):
    file = tmp_path / "results.json"
    result = script("evaluate", f"--workdir={prior2}", f"--json={file}", "--batch_size=100")
    assert result.status == 0, result.errors
    values = json.loads(file.read_text())
    trained = load_trained(prior2)
    nats, codes = reference(trained, "test")
    assert values["task"] == "prior" and values["class_conditional"] is True
    assert values["num_images"] == nats.shape[1] == TEST_IMAGES
    np.testing.assert_allclose(values["nats"], nats.sum(axis=0).mean(), rtol=1e-5)
    error = nats.sum(axis=0).std(ddof=1) / math.sqrt(TEST_IMAGES)
    np.testing.assert_allclose(values["nats_error"], error, rtol=1e-3)
    bits = nats.sum(axis=0).mean() / 40 / math.log(2)
    np.testing.assert_allclose(values["bits_per_code"], bits, rtol=1e-5)
    assert list(values["levels"]) == ["top", "bottom"]
    train_codes = jitted(trained.tokenizer, "encode", images_of(trained, "train")[0])
    for number, (name, size) in enumerate((("top", 8), ("bottom", 32))):
        level = values["levels"][name]
        assert level["learned"] is True and level["model"] == "gated_pixel_cnn"
        assert level["uniform_bits"] == 3
        np.testing.assert_allclose(level["nats"], nats[number].mean(), rtol=1e-5)
        bits = nats[number].mean() / size / math.log(2)
        np.testing.assert_allclose(level["bits_per_code"], bits, rtol=1e-5)
        unigram = bits_of_frequencies(np.asarray(train_codes[number]), codes[number])
        np.testing.assert_allclose(level["unigram_bits"], unigram, rtol=1e-6)
        assert level["unigram_entropy_bits"] <= level["unigram_bits"]
        for key in ("bits_per_code", "unigram_bits", "unigram_entropy_bits", "uniform_bits"):
            assert f"{level[key]:.4f}" in result.output
    # Its decoder gives no probabilities, so there are no bits per dimension.
    assert "bits_per_dim" not in values
    assert "no bits/dim: this decoder is trained by squared error" in result.output
    assert "samples" not in values
    # As the run itself found in the end.
    end = json.loads((prior2 / "metrics.jsonl").read_text().splitlines()[-1])
    np.testing.assert_allclose(values["levels"]["bottom"]["nats"], end["test_bottom_nats"], 1e-5)


def test_bits_per_dimension_are_those_of_codes_and_decoder(prior, tmp_path, capsys):
    settings = {"split": "test", "json_file": None, "batch_size": 100, "checkpoint": "best"}
    values = evaluate_run(prior, **settings, baselines=True, averaged=True)
    table = capsys.readouterr().out
    tokenizer = evaluate_run(prior / "tokenizer", **settings, baselines=False, averaged=True)
    nats, _ = reference(load_trained(prior), "test")
    expected = nats.mean() / 64 / math.log(2) + tokenizer["decoder_bits_per_dim"]
    np.testing.assert_allclose(values["bits_per_dim"], expected, rtol=1e-5)
    assert f"{expected:.4f} bits/dim, codes and decoder together" in table
    assert values["bits_per_image"] == pytest.approx(64 * expected)
    assert values["bits_per_image_error"] > 0
    # The codes cost less than if all were as likely.
    assert values["bits_per_dim"] < tokenizer["bits_per_dim"]
    assert values["class_conditional"] is False and "given each image's class" not in table


def test_what_was_not_learned_is_marked(top_prior, capsys):
    values = evaluate_run(
        top_prior,
        split="validation",
        batch_size=100,
    )
    assert [level["learned"] for level in values["levels"].values()] == [True, False]
    (line,) = re.findall(r"(.*)\(not learned in this run\)", capsys.readouterr().out)
    assert line.startswith("bottom")


# Attributes.


def test_attributes_from_training_to_an_exported_file(trained, script, tmp_path):
    rng, file = np.random.default_rng(0), tmp_path / "prior.safetensors"
    np.savez(
        tmp_path / "data.npz",
        images=rng.integers(0, 256, (60, 8, 8, 1), np.uint8),
        attributes=rng.normal(size=(60, 2)),
        attribute_names=["slant", "ink"],
    )
    data = f"--config.dataset=npz:{tmp_path / 'data.npz'}"
    tokenizer = trained("digits:vqvae", data, *TINY_TOKENIZER)
    conditions = ("--config.attribute_conditional=True", "--config.class_conditional=False")
    run = trained("digits:prior", f"--tokenizer={tokenizer}", *conditions, *tiny_prior("top"))
    assert json.loads((run / "data.json").read_text())["attribute_names"] == ["slant", "ink"]
    assert any((run / "samples").iterdir())
    result = script("evaluate", f"--workdir={run}")
    assert result.status == 0, result.errors
    assert "given each image's attributes" in result.output
    result = script("export", f"--workdir={run}", f"--out={file}")
    assert result.status == 0, result.errors
    drawn = []
    for number, place in enumerate((run, file)):
        out = tmp_path / f"{number}.png"
        settings = ("--num=4", "--attributes=slant=1,ink=-0.5", "--guidance=2")
        result = script("sample", f"--workdir={place}", f"--out={out}", *settings)
        assert result.status == 0, result.errors
        drawn.append(read(out))
    np.testing.assert_array_equal(*drawn)
    result = script("sample", f"--workdir={run}", f"--out={out}", "--attributes=slent=1")
    assert_one_sentence(result, "the model has no attribute 'slent'; did you mean slant")

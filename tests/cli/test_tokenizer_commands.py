"""Tokenizers: trained, drawn from and measured, as a user does it."""

import functools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from pixelprior.cli.evaluate_run import evaluate_run
from pixelprior.errors import InputError
from pixelprior.experiment import open_data
from pixelprior.runs.images import TestImages
from pixelprior.runs.load import load_trained
from pixelprior.tokenizers.code_maps import random_codes
from tests.cli.calls import RUN_FILES, draw_files, jitted

TEST_IMAGES = 359


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def shades(pixels):
    return np.rint(np.asarray(pixels)[..., 0] * 255)


def draw(workdir, out, mode, **settings):
    draw_files(workdir, out, mode=mode, **settings)
    return np.stack([read(path) for path in sorted(out.glob("*.png"))])


def images_of(workdir, split):
    """Pixels in [0, 1] of a split of digits, by hand."""
    dataset, _, _ = open_data(load_trained(workdir).config)
    source = dataset.splits[split].source
    return source.read(range(len(source)))[0].astype(np.float32) / 16


measured = functools.partial(evaluate_run, baselines=False)


# What training leaves behind.


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vqvae", "vqvae2"])
def test_what_a_run_folder_holds(name, request):
    workdir = request.getfixturevalue(name)
    levels = {"vqvae": ("top",), "vqvae2": ("top", "bottom")}[name]
    # Codes come with the first prior on it, what is measured with the first evaluation.
    assert {p.name for p in workdir.iterdir()} - {"codes", "evaluation"} == RUN_FILES
    assert {p.name for p in (workdir / "checkpoints").iterdir()} == {"3", "6"}
    data = json.loads((workdir / "data.json").read_text())
    assert data["shape"] == [8, 8, 1] and data["class_names"] == list("0123456789")
    # Around each pixel's own mean, over the first training images.
    pixels = images_of(workdir, "train")[:2048].astype(np.float64)
    np.testing.assert_allclose(data["pixel_variance"], pixels.var(axis=0).mean(), rtol=1e-6)
    # Two originals above their reconstructions, six times as large, in lines of two pixels.
    assert read(workdir / "samples" / "step_0000006.png").shape == (17 * 6 + 4, 2 * 50 + 2)
    records = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    known = set().union(*records)
    assert {"train_commitment_loss", "validation_squared_error", "test_psnr"} <= known
    perplexities = {key for key in known if key.endswith("_perplexity")}
    assert perplexities == {
        f"{split}_{level}_perplexity"
        for split in ("train", "validation", "test")
        for level in levels
    }
    first, *_, last = [r["train_squared_error"] for r in records if "train_squared_error" in r]
    assert last < first


# Pictures.


def test_reconstructions_stand_under_test_images(vqvae2, tmp_path):
    pairs = draw(vqvae2, tmp_path / "a", "reconstruct", num=5)
    assert pairs.shape == (5, 17, 8)
    originals, line, below = pairs[:, :8], pairs[:, 8], pairs[:, 9:]
    assert (line == 128).all()
    # Distinct test images, whatever their order.
    test = images_of(vqvae2, "test")
    places = [np.flatnonzero((shades(test) == image).all(axis=(1, 2))) for image in originals]
    assert all(len(place) for place in places) and len({place[0] for place in places}) == 5
    pixels = test[[place[0] for place in places]]
    tokenizer = load_trained(vqvae2).model
    np.testing.assert_allclose(below, shades(jitted(tokenizer, "reconstruct", pixels)), atol=1)
    assert (below != originals).any()
    # Another batch size shows the same ones, another seed others.
    np.testing.assert_array_equal(
        draw(vqvae2, tmp_path / "b", "reconstruct", num=5, batch_size=2)[:, :8], originals
    )
    other = draw(vqvae2, tmp_path / "c", "reconstruct", num=5, seed=1)
    assert (other[:, :8] != originals).any()


def test_every_test_image_is_reconstructed_once(vqvae, tmp_path):
    pairs = draw(vqvae, tmp_path / "a", "reconstruct", num=TEST_IMAGES, batch_size=180)
    assert len(np.unique(pairs[:, :8], axis=0)) == len(
        np.unique(shades(images_of(vqvae, "test")), axis=0)
    )
    with pytest.raises(InputError, match=f"num must be at most {TEST_IMAGES}, got"):
        draw(vqvae, tmp_path / "b", "reconstruct", num=TEST_IMAGES + 1, batch_size=180)


def test_after_the_last_test_image_comes_the_first_again(vqvae):
    images = TestImages(load_trained(vqvae), 0)
    first, again = images.symbols(np.array([0, TEST_IMAGES]))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("name", ["vqvae", "vqvae2"])
def test_random_codes_are_decoded(name, request, tmp_path):
    workdir = request.getfixturevalue(name)
    images = draw(workdir, tmp_path / "a", "random_codes", num=3, batch_size=2, seed=5)
    tokenizer = load_trained(workdir).model
    codes = random_codes(jax.random.key(5), jnp.arange(3), tokenizer.code_grids)
    np.testing.assert_allclose(images, shades(jitted(tokenizer, "decode", codes)), atol=1)
    assert (images[0] != images[1]).any()


def test_walks_lead_from_one_reconstruction_to_another(vqvae2, tmp_path):
    walks = draw(vqvae2, tmp_path / "a", "interpolate", num=16, batch_size=16)
    pairs = draw(vqvae2, tmp_path / "b", "reconstruct", num=4)
    ends = walks[[0, 7, 8, 15]]
    np.testing.assert_allclose(ends.astype(int), pairs[:, 9:].astype(int), atol=1)
    # Between them lie the images of vectors between theirs.
    tokenizer = load_trained(vqvae2).model
    test = images_of(vqvae2, "test")
    start, end = (test[(shades(test) == image).all(axis=(1, 2))][:1] for image in pairs[:2, :8])
    third = [
        (1 - 3 / 7) * here.vectors + 3 / 7 * there.vectors
        for here, there in zip(
            jitted(tokenizer, "quantize", start), jitted(tokenizer, "quantize", end), strict=True
        )
    ]
    np.testing.assert_allclose(
        walks[3], shades(jitted(tokenizer, "decode_vectors", third))[0], atol=1
    )


def test_a_sheet_of_walks_by_the_script(vqvae2, tmp_path, script):
    out = tmp_path / "new" / "walks.png"
    flags = ("--mode=interpolate", "--num=16", "--batch_size=16")
    result = script("sample", f"--workdir={vqvae2}", f"--out={out}", *flags)
    assert result.status == 0, result.errors
    assert not result.output and "Traceback" not in result.errors
    assert "16 images in" in result.errors and "averaged weights of step 6" in result.errors
    # A row for each walk.
    sheet = read(out)
    assert sheet.shape == (2 * 50 + 2, 8 * 50 + 2)
    walks = draw(vqvae2, tmp_path / "a", "interpolate", num=16, batch_size=16)
    for n, image in enumerate(walks):
        row, column = divmod(n, 8)
        tile = sheet[2 + 50 * row :, 2 + 50 * column :][:48:6, :48:6]
        np.testing.assert_allclose(tile.astype(int), image.astype(int), atol=1)


# Measured.


@pytest.mark.slow
def test_evaluation_by_the_script(vqvae2, tmp_path, script):
    file = tmp_path / "results.json"
    result = script("evaluate", f"--workdir={vqvae2}", f"--json={file}", "--batch_size=100")
    assert result.status == 0, result.errors
    values = json.loads(file.read_text())
    assert (values["task"], values["model"], values["quantizer"]) == (
        "tokenizer",
        "vqvae2",
        "vector",
    )
    test = images_of(vqvae2, "test")
    tokenizer = load_trained(vqvae2).model
    error = np.square(np.asarray(jitted(tokenizer, "reconstruct", test), np.float64) - test)
    error = error.mean(axis=(1, 2, 3))
    assert values["num_images"] == len(error) == TEST_IMAGES
    np.testing.assert_allclose(values["squared_error"], error.mean(), rtol=1e-4)
    np.testing.assert_allclose(
        values["squared_error_error"], error.std(ddof=1) / math.sqrt(TEST_IMAGES), rtol=1e-3
    )
    np.testing.assert_allclose(values["psnr"], -10 * math.log10(error.mean()), rtol=1e-4)
    # 2 x 2 and 4 x 4 positions, two codebooks of 8 codes each.
    assert values["code_bits"] == (4 + 16) * 2 * 3
    assert list(values["levels"]) == ["top", "bottom"]
    codes = jitted(tokenizer, "encode", test)
    for level, indices, side in zip(values["levels"].values(), codes, (2, 4), strict=True):
        assert (level["shape"], level["codes"]) == ([side, side, 2], 8)
        shares = [
            np.bincount(np.asarray(indices)[..., g].ravel(), minlength=8) / indices[..., g].size
            for g in range(2)
        ]
        bits = [-sum(p * math.log2(p) for p in share if p) for share in shares]
        np.testing.assert_allclose(level["entropy_bits"], np.mean(bits), rtol=1e-6)
        np.testing.assert_allclose(level["perplexity"], np.mean(np.exp2(bits)), rtol=1e-6)
        np.testing.assert_allclose(level["used"], np.mean(np.stack(shares) > 0), rtol=1e-6)
        assert f"{level['perplexity']:.1f}" in result.output
    # The mean of the training images is known; PCA with as many bits must beat it.
    train = images_of(vqvae2, "train").astype(np.float64)
    baselines = {name: row["squared_error"] for name, row in values["baselines"].items()}
    assert set(baselines) == {"mean", "pca"}
    mean = np.square(test - train.mean(axis=0)).mean()
    np.testing.assert_allclose(baselines["mean"], mean, rtol=1e-6)
    assert baselines["pca"] < baselines["mean"]
    assert "120 bits" in values["baselines"]["pca"]["description"]
    for row in values["baselines"].values():
        assert f"{row['squared_error']:.6f}" in result.output
        assert row["description"] in result.output
    # A squared error is no likelihood.
    assert "bits_per_dim" not in values
    assert "no bits/dim: this decoder is trained by squared error" in result.output
    # As the run itself found in the end.
    end = json.loads((vqvae2 / "metrics.jsonl").read_text().splitlines()[-1])
    np.testing.assert_allclose(end["test_squared_error"], values["squared_error"], rtol=1e-5)


@pytest.mark.slow
def test_bits_per_dimension_of_a_decoder_that_gives_probabilities(vqvae, capsys):
    values = measured(vqvae)
    test = images_of(vqvae, "test")
    tokenizer = load_trained(vqvae).model
    # The mass of a logistic between half-way to one level and to the other, in float64.
    vectors = [level.vectors for level in jitted(tokenizer, "quantize", test)]
    parameters = np.asarray(jitted(tokenizer, "decode_parameters", vectors), np.float64)
    mean, raw = parameters[..., :1], parameters[..., 1:]
    scale = np.exp(np.clip(raw + math.log(0.1), -math.log(1600), 1.0))

    def below(x):
        return 1 / (1 + np.exp(-(x - mean) / scale))

    upper = np.where(test == 1, 1.0, below(test + 1 / 32))
    lower = np.where(test == 0, 0.0, below(test - 1 / 32))
    bits = -np.log2(upper - lower).mean()
    np.testing.assert_allclose(values["decoder_bits_per_dim"], bits, rtol=1e-5)
    # 16 codes of 8 for 64 pixels.
    np.testing.assert_allclose(values["bits_per_dim"], bits + 16 * 3 / 64, rtol=1e-5)
    assert "baselines" not in values
    table = capsys.readouterr().out
    assert f"{values['bits_per_dim']:.4f} bits/dim at most" in table
    assert f"({values['decoder_bits_per_dim']:.4f} for the decoder)" in table


def test_the_validation_split_and_other_weights(vqvae2):
    records = [json.loads(line) for line in (vqvae2 / "metrics.jsonl").read_text().splitlines()]
    (recorded,) = [
        r["validation_squared_error"]
        for r in records
        if "validation_squared_error" in r and r["step"] == 6
    ]
    values = measured(vqvae2, split="validation", checkpoint="latest", batch_size=64)
    np.testing.assert_allclose(values["squared_error"], recorded, rtol=1e-5)
    raw = measured(vqvae2, split="validation", checkpoint="latest", averaged=False)
    assert raw["squared_error"] != values["squared_error"]
    assert raw["weights"] == "raw weights of step 6 (latest checkpoint)"

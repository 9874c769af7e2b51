"""``export.py``: files, cards and messages, and the other scripts on an exported file."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import pixelprior as pp
from pixelprior.cli.compare import compare_runs
from pixelprior.cli.cost import measure_cost
from pixelprior.cli.report.write import write_report
from pixelprior.runs.load import load_trained
from pixelprior.runs.one_file.export import export_run
from pixelprior.runs.tokenizer import open_tokenizer_run
from tests.cli.calls import assert_one_sentence, draw_files
from tests.cli.conftest import copied, tiny_prior
from tests.runs.one_file.untrained import assert_equal_weights, untrained


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A file of a pixel model: not to be changed."""
    path = tmp_path_factory.mktemp("exported") / "a.safetensors"
    export_run(untrained("pixels"), path)
    return path


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["-o", "b.safetensors"], "give one run to export, .* got none"),
        (["a", "b", "-o", "b.safetensors"], "give one run to export, .* got a b"),
        (["a", "--workdir=b", "-o", "b.safetensors"], "give one run to export, .* got a b"),
        (["nowhere", "-o", "b.safetensors"], "nowhere is not a run folder"),
        (["FILE", "-o", "b.npz"], "exported to a file NAME.safetensors, got b.npz"),
        (["FILE", "-o", "b.safetensors", "--dtype=int4"], "dtype"),
        (["FILE", "-o", "no/b.safetensors"], "no/b.safetensors cannot be written"),
        (["FILE"], "--out must be given"),
        (["FILE", "-o", "b.safetensors", "--card=b.safetensors"], "need two files"),
        (["FILE", "-o", "l" * 300 + ".safetensors"], "at most 255 bytes in a name"),
        (
            ["mnst", "-o", "b.safetensors"],
            "run folder mnst; did you mean the bundled model mnist",
        ),
    ],
)
def test_what_cannot_be_exported(flags, message, file, script, tmp_path):
    flags = [str(file) if flag == "FILE" else flag for flag in flags]
    assert_one_sentence(script("export", *flags, cwd=tmp_path), message)
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_a_file_is_exported_again_with_a_card(file, script, tmp_path):
    said = script("export", str(file), "-o", "b.safetensors", "--card", cwd=tmp_path)
    assert said.status == 0 and not said.output
    assert "parameters in b.safetensors, " in said.errors
    card = (tmp_path / "b.md").read_text()
    front, _, rest = card.removeprefix("---\n").partition("---\n")
    facts = {
        key: json.loads(value)
        for key, value in (row.split(": ") for row in front.split("\n") if row)
    }
    assert facts["library_name"] == "pixelprior" and facts["datasets"] == ["digits"]
    assert "\n# b\n" in rest and 'pp.load_trained("b.safetensors")' in rest
    assert (
        "| test | bits/dim | 1.42 |" in rest
        and "| validation | NLL, nats per image | 62.1 |" in rest
    )
    assert_equal_weights(load_trained(file), load_trained(tmp_path / "b.safetensors"))
    # Neither is replaced.
    again = script("export", str(file), "-o", "b.safetensors", cwd=tmp_path)
    assert_one_sentence(again, "b.safetensors is there already; give another name, or --overwrite")
    flags = ("--workdir", str(file), "--out=c.safetensors", "--card=b.md")
    assert_one_sentence(script("export", *flags, cwd=tmp_path), "b.md is there already")
    assert script("export", *flags, "--overwrite", cwd=tmp_path).status == 0


def test_a_card_says_the_augmentation(tmp_path):
    def card_of(**changes):
        path = tmp_path / "card.md"
        file = path.with_suffix(".safetensors")
        run = untrained("pixels", **changes)
        export_run(run, file, card=path, measured=False, overwrite=True)
        return path.read_text()

    assert "Augmentation of the training images: flip, crop_padding=1." in card_of(
        flip=True, crop_padding=1
    )
    assert "Augmentation" not in card_of()


@pytest.mark.slow
def test_a_run_and_its_file_are_compared(digits, tmp_path, capsys):
    run, file = copied(digits, tmp_path), tmp_path / "rounded.safetensors"
    pp.export(run, file, dtype="int8")
    settings = {"split": "test", "batch_size": 64}
    rows = compare_runs([run, file], out=tmp_path / "out", json_file=None, **settings)["runs"]
    results = {row["run"]: row for row in rows}
    assert sorted(results) == ["rounded.safetensors", run.name]
    # The result in the file is that of float32, so the rounded kernels are measured.
    measured = pp.evaluate(load_trained(file), baselines=False)
    assert results["rounded.safetensors"]["nats"] == pytest.approx(measured["nats"], rel=1e-5)
    assert results["rounded.safetensors"]["nats"] != results[run.name]["nats"]
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("rounded"))
    # Steps and minutes of the training.
    assert line.split()[-7:-5] == ["-", "-"]
    report = write_report([run, file], tmp_path / "report", **settings)
    assert not report["left_out"] and len(report["groups"][0]) == 2
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.count(': Samples"') == 2
    # Nothing is kept beside the file.
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["out", "report", "rounded.safetensors", run.name]
    )


def test_the_cost_of_a_file(file):
    cost = measure_cost(file)
    assert cost["sampling_images_per_second"] > 1 and cost["workdir"] == str(file)
    assert "training_images_per_second" not in cost


def test_places_that_are_no_runs(file, script, tmp_path):
    # A folder of runs may have the name of a bundled model.
    (tmp_path / "digits").mkdir()
    said = script("evaluate", "--compare", "digits", cwd=tmp_path)
    assert_one_sentence(said, "the folder digits is no run, and hides the bundled model")
    said = script("evaluate", "--compare", "none.safetensors", cwd=tmp_path)
    assert_one_sentence(said, "there is no file none.safetensors")
    said = script("evaluate", "--compare", str(file), str(file), cwd=tmp_path)
    assert_one_sentence(said, "was given more than once")
    said = script("sample", f"--workdir={file}", "--checkpoint=latest", "--out=a.png", cwd=tmp_path)
    assert_one_sentence(said, "has only the averaged weights of the best checkpoint")


@pytest.mark.slow
def test_a_file_gives_the_images_and_results_of_its_run(digits, script, tmp_path):
    flags = ("export", f"--workdir={digits}", "--out=a.safetensors", "--card=README.md")
    assert script(*flags, cwd=tmp_path).status == 0
    file, results = tmp_path / "a.safetensors", []
    for number, workdir in enumerate((digits, file)):
        draw_files(workdir, tmp_path / f"{number}.png", individual=False)
        flags = ("evaluate", f"--workdir={workdir}", "--json=a.json", "--nobaselines")
        said = script(*flags, cwd=tmp_path)
        assert said.status == 0, said.errors
        results.append(json.loads((tmp_path / "a.json").read_text()))
    pictures = [np.asarray(Image.open(tmp_path / f"{n}.png")) for n in (0, 1)]
    np.testing.assert_array_equal(*pictures)
    for result, weights in zip(
        results, ("checkpoint)", "checkpoint), from a.safetensors"), strict=True
    ):
        assert result.pop("workdir") and result.pop("weights").endswith(weights)
    # A file has one set of weights, and no checkpoints.
    assert results[0].pop("checkpoint")
    assert results[0] == results[1]
    # Nothing is kept beside the file.
    assert {path.name for path in tmp_path.iterdir()} == {
        "a.safetensors",
        "README.md",
        "a.json",
        "0.png",
        "1.png",
    }
    card = (tmp_path / "README.md").read_text()
    assert "A class-conditional gated_pixel_cnn model of digits" in card and ", label=0)" in card


@pytest.mark.slow
def test_a_bundled_model_is_drawn_from_by_its_name(script, tmp_path):
    said = script("sample", "--workdir=digits", "--num=4", "--out=a.npz", cwd=tmp_path)
    assert said.status == 0
    assert "4 images in a.npz (bundled model digits (averaged weights of step " in said.errors
    with np.load(tmp_path / "a.npz") as archive:
        about = json.loads(str(archive["request"]))
    assert about["weights"].startswith("bundled model digits (") and about["run"] == "digits"


@pytest.mark.slow
def test_training_never_takes_a_bundled_model_for_a_run(script, tiny, tmp_path):
    said = script("train", "--config=digits", "--workdir=digits", *tiny, cwd=tmp_path)
    assert said.status == 0, said.errors
    assert (tmp_path / "digits" / "config.json").exists()
    draw_files(tmp_path / "digits", tmp_path / "a.png", individual=False)
    assert "bundled" not in load_trained(tmp_path / "digits").provenance


@pytest.mark.slow
def test_a_prior_is_trained_on_an_exported_tokenizer(vqvae, script, tmp_path):
    file = tmp_path / "vqvae.safetensors"
    export_run(load_trained(vqvae), file, dtype="int8", measured=False)
    flags = ("train", "--config=digits:prior", "--workdir=prior", *tiny_prior("top"))
    said = script(*flags, f"--tokenizer={file}", cwd=tmp_path)
    assert said.status == 0, said.errors
    prior = tmp_path / "prior"
    assert [path.name for path in (prior / "tokenizer").iterdir()] == ["model.safetensors"]
    fingerprint = open_tokenizer_run(file).fingerprint
    assert load_trained(prior).data["tokenizer"] == fingerprint
    assert open_tokenizer_run(prior / "tokenizer").fingerprint == fingerprint
    # It is resumed and measured without the file, and exported with its tokenizer.
    file.unlink()
    assert script(*flags, cwd=tmp_path).status == 0
    assert script("evaluate", f"--workdir={prior}", cwd=tmp_path).status == 0
    said = script("export", str(prior), "-o", "prior.safetensors", "--dtype=int8", cwd=tmp_path)
    assert said.status == 0 and "int8 costs " in said.errors, said.errors
    shutil.rmtree(prior)
    draw_files(tmp_path / "prior.safetensors", tmp_path / "a.png")


@pytest.mark.slow
def test_a_run_of_another_task_is_no_tokenizer(file, script, tmp_path):
    said = script(
        "train", "--config=digits:prior", "--workdir=a", f"--tokenizer={file}", cwd=tmp_path
    )
    assert_one_sentence(said, "is a run of the task 'pixels', but a tokenizer's is needed")

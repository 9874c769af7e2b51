"""Baselines of compared runs: each is shown once, and measured once."""

import math

import pytest

from pixelprior.runs.compared_baselines import baselines_of, without_baselines
from tests.cli.compared_runs import pixel_run, prior_run, tokenizer_run


def test_runs_share_the_baselines_of_their_data():
    runs = [pixel_run("a", baselines={}), pixel_run("b", 95.0), pixel_run("c", 99.0)]
    found = baselines_of(runs)
    assert [one.description for one in found] == ["per-pixel histogram", "uniform"]
    assert found[1].measured == {"nats": 181.326, "bits_per_dim": 4.0875}
    assert without_baselines(runs) == []


def test_one_pixel_model_is_enough_to_measure_them():
    runs = [pixel_run("a", baselines={}), pixel_run("b", 95.0, baselines={})]
    assert baselines_of(runs) == []
    assert [run.name for run in without_baselines(runs)] == ["a"]
    # A run from a file keeps no results, and has no records of its training.
    runs[0] = runs[0]._replace(training=runs[0].training._replace(steps=0))
    assert [run.name for run in without_baselines(runs)] == ["b"]


def test_tokenizers_are_compared_with_pca_of_as_many_bits():
    def measured(bits):
        return {
            "mean": {"description": "the mean of 9 images", "squared_error": 0.07},
            "pca": {"description": f"PCA, {bits} bits", "squared_error": 1 / bits},
        }

    runs = [
        tokenizer_run("a", code_bits=96.0, baselines=measured(96)),
        tokenizer_run("b", code_bits=48.0),
        tokenizer_run("c", code_bits=96.0),
        tokenizer_run("d", code_bits=48.0),
    ]
    assert [run.name for run in without_baselines(runs)] == ["b"]
    runs[1] = tokenizer_run("b", code_bits=48.0, baselines=measured(48))
    assert without_baselines(runs) == []
    assert [one.description for one in baselines_of(runs)] == [
        "PCA, 96 bits",
        "PCA, 48 bits",
        "the mean of 9 images",
    ]


def test_baselines_of_a_prior_by_hand():
    # 16 codes of 64 values: 6 bits each if all are as likely, 3 by their frequencies.
    unigram, uniform = baselines_of([prior_run()])
    assert uniform.description == "uniform"
    assert uniform.measured == pytest.approx({"nats": 96 * math.log(2), "bits_per_code": 6.0})
    assert unigram.measured == pytest.approx({"nats": 48 * math.log(2), "bits_per_code": 3.0})
    assert without_baselines([prior_run()]) == []


def test_a_prior_of_no_bits_does_not_tell_its_number_of_codes():
    assert baselines_of([prior_run(bits_per_code=0.0)]) == []

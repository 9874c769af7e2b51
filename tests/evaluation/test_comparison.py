"""What records say of training, and the table that is made of it."""

import json
import math
from pathlib import Path

import pytest

from pixelprior.cli.tables.comparison import comparison_markdown, comparison_table, in_short
from pixelprior.errors import InputError
from pixelprior.evaluation.comparison import (
    Row,
    Training,
    check_comparable,
    ranked,
    recorded_test,
    training_of,
)
from pixelprior.training.metrics import MetricsFile, read_metrics

# Batches of 10. By hand: 4 steps at 20 images a second take 2 s, 2 more at 10 take 2 s, and the
# last 4 at 5 take 8 s: 12 s in all.
RECORDS = [
    {"step": 0, "num_parameters": 7, "compile_seconds": 1.5, "step_memory_bytes": 3_000_000},
    {"step": 4, "train_bits_per_dim": 2.0, "images_per_second": 20.0},
    {"step": 4, "validation_nats": 9.0, "validation_bits_per_dim": 1.9},
    {"step": 6, "train_bits_per_dim": 1.8, "images_per_second": 10.0},
    {"step": 10, "train_bits_per_dim": 1.5, "images_per_second": 5.0},
    {"step": 10, "validation_nats": 8.0, "validation_bits_per_dim": 1.4},
]
TEST = {"step": 10, "best_step": 10, "test_nats": 8.5, "test_bits_per_dim": 1.45}


def test_training_by_hand():
    training = training_of([*RECORDS, TEST], batch_size=10)
    assert training.steps == 10 and training.images_per_second == 10.0
    assert training.minutes == pytest.approx(12 / 60)
    assert (training.memory_bytes, training.compile_seconds) == (3_000_000, 1.5)
    assert training.curve == [
        (4, pytest.approx(2 / 60), 9.0),
        (10, pytest.approx(12 / 60), 8.0),
    ]


def test_a_run_that_was_killed_and_resumed_counts_every_image_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    # Killed after step 6, its last checkpoint being that of step 4; on a faster machine from there.
    path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS[:4]))
    metrics = MetricsFile(path, resume_step=4)
    metrics.write(6, images_per_second=40.0)
    metrics.write(10, images_per_second=80.0)
    training = training_of(read_metrics(path), batch_size=10)
    # 4 steps in 2 s, 2 in half a second, 4 in half a second.
    assert training.minutes == pytest.approx(3 / 60)
    assert training.steps == 10 and training.images_per_second == 40.0


def test_records_of_runs_that_have_hardly_begun_or_are_of_another_version():
    nothing = training_of([], batch_size=10)
    assert nothing == Training(0, 0.0, None, None, None, [])
    # Without the record before the first step, all else is known.
    old = training_of(RECORDS[1:], batch_size=10)
    assert old == training_of(RECORDS, batch_size=10)._replace(
        memory_bytes=None, compile_seconds=None
    )


def test_the_test_result_is_that_of_a_complete_run():
    assert recorded_test(RECORDS) is None
    assert recorded_test([*RECORDS, TEST]) == (8.5, 1.45)


# One table.

TRAINING = Training(1500, 12.34, 345.6, 123_400_000, 5.0, [])
ROWS = [
    Row("b", "pixel_cnn", 302_602, TRAINING, 1500, 90.123, 0.16584, 1234.5),
    Row(
        "a",
        "transformer, class-conditional",
        9_876,
        Training(100, 0.2, None, None, None, []),
        1500,
        88.0,
        0.1619,
        0.7654,
    ),
]


def test_the_table_by_hand():
    assert comparison_table(ROWS, "test") == [
        "run  model                           parameters        steps  minutes  test nats  "
        "bits/dim  trained img/s  sampled img/s  step MB",
        "a    transformer, class-conditional       9,876  100 of 1500      0.2      88.00  "
        "  0.1619              -          0.765        -",
        "b    pixel_cnn                          302,602         1500     12.3      90.12  "
        "  0.1658            346          1,234      123",
    ]


def test_columns_beyond_the_width_follow_in_a_second_table():
    lines = comparison_table(ROWS, "test", width=80)
    assert max(map(len, lines)) <= 80
    assert lines[3:] == [
        "",
        "run  bits/dim  trained img/s  sampled img/s  step MB",
        "a      0.1619              -          0.765        -",
        "b      0.1658            346          1,234      123",
    ]
    assert comparison_table(ROWS, "test", width=200) == comparison_table(ROWS, "test")
    # A column that is wider than a line has a table of its own.
    assert max(map(len, comparison_table(ROWS, "test", width=20))) < 40


def test_markdown_has_the_same_cells():
    head, rule, *body = comparison_markdown(ROWS, "validation")
    assert "| validation nats |" in head and rule.count("|") == head.count("|")
    assert rule == "| --- | --- |" + " ---: |" * 8
    cells = [line.strip("| ").split(" | ") for line in body]
    assert cells[0] == [
        *("a", "transformer, class-conditional", "9,876", "100 of 1500", "0.2", "88.00", "0.1619"),
        *("-", "0.765", "-"),
    ]
    assert [row[0] for row in cells] == ["a", "b"]


def test_what_is_not_a_number_comes_last():
    rows = [ROWS[0]._replace(run=str(n), bits_per_dim=b) for n, b in enumerate([2, math.nan, 1])]
    assert [row.run for row in ranked(rows)] == ["2", "0", "1"]


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.01234, "0.0123"), (4.5678, "4.57"), (99.94, "99.9"), (1234.5, "1,234"), (120.4, "120")],
)
def test_three_figures(value, words):
    assert in_short(value) == words


# What can be compared.


DATA = {
    "name": "mnist",
    "shape": [28, 28, 1],
    "levels": 2,
    "symbols": {"train": "dynamic", "test": "fixed"},
    "splits": {"test": {"description": "all", "images": 10}},
    "class_names": ["0", "1"],
}


def test_runs_of_the_same_data_can_be_compared():
    config = {"task": "pixels"}
    # Whether a model is told the classes does not change what it predicts.
    check_comparable({"a": (config, DATA), "b": (config, DATA | {"class_names": []})})
    check_comparable({"a": (config, DATA)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "digits"}, r"not the same \('digits, 10 images', 'mnist, 10 images'\)"),
        ({"shape": [14, 14, 1]}, r"shape of the images .*\[14, 14, 1\]"),
        ({"levels": 256}, r"levels of a symbol .*\(256, 2\)"),
        ({"symbols": {"train": "dynamic", "test": "drawn"}}, r"symbols .*\('drawn', 'fixed'\)"),
        (
            {"splits": {"test": {"description": "all", "images": 9}}},
            r"images of the splits is not the same \(9, 10\)",
        ),
    ],
)
def test_runs_of_other_data_cannot(changes, message):
    config = {"task": "pixels"}
    with pytest.raises(InputError, match="other and first cannot be compared: .*" + message):
        check_comparable({"first": (config, DATA), "other": (config, DATA | changes)})


def test_runs_of_other_tasks_cannot():
    with pytest.raises(InputError, match="b is a run of the task 'prior'; only pixel models"):
        check_comparable({"a": ({"task": "pixels"}, DATA), "b": ({"task": "prior"}, {})})


def test_matplotlib_is_known_in_one_file_alone():
    package = Path(__file__).parents[2] / "pixelprior"
    users = [path.name for path in package.rglob("*.py") if "matplotlib" in path.read_text()]
    assert users == ["plots.py"]

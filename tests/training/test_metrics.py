"""metrics.jsonl after a run that was killed."""

import json

import pytest

from pixelprior.training.metrics import MetricsFile, read_metrics


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_records_are_appended_one_a_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert read_metrics(path) == []
    metrics = MetricsFile(path, resume_step=0)
    metrics.write(1, loss=0.5)
    metrics.write(2, loss=0.25, rate=3.0)
    assert path.read_text() == '{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.25, "rate": 3.0}\n'
    assert read_metrics(path) == lines(path)


def test_what_a_resumed_run_will_record_again_is_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"step": step, "x": step}) + "\n" for step in range(5)))
    metrics = MetricsFile(path, resume_step=3)
    metrics.write(4, x=40)
    assert [(r["step"], r["x"]) for r in lines(path)] == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 40)]
    # A run that was killed before its first checkpoint begins anew, and records its start again.
    MetricsFile(path, resume_step=0)
    assert path.read_text() == ""


def test_the_test_result_is_recorded_once_however_often_a_run_is_finished(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for _ in range(2):
        metrics = MetricsFile(path, resume_step=2)
        metrics.write(2, best_step=1, test_nats=1.0)
    assert lines(path) == [{"step": 2, "best_step": 1, "test_nats": 1.0}]


@pytest.mark.parametrize("rest", ['{"st', '{"step": 3, "loss": 0.1', "\0\0\0"])
def test_a_last_line_that_was_cut_off_is_left_out(tmp_path, rest):
    path = tmp_path / "metrics.jsonl"
    whole = '{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.4}\n'
    path.write_text(whole + rest)
    assert [record["step"] for record in read_metrics(path)] == [1, 2]
    metrics = MetricsFile(path, resume_step=2)
    metrics.write(3, loss=0.3)
    assert path.read_text() == whole + '{"step": 3, "loss": 0.3}\n'


def test_a_broken_line_in_the_middle_is_not_passed_over(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(json.JSONDecodeError):
        read_metrics(path)

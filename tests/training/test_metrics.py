"""metrics.jsonl after a run that was killed, or a disk that failed."""

import json
from math import nan as NAN

import pytest

from pixelprior.progress import Caution
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


GOOD = [{"step": 1, "validation_loss": 0.5}, {"step": 2, "rate": 3}, {"step": 3, "x": NAN}]
DAMAGED = {
    "garbage": b"?!",
    "half a line": b'{"st',
    "two lines in one": b'{"step": 1}{"step": 2}',
    "NULs": b"\0" * 40,
    "NULs before a record": b'\0\0{"step": 2}',
    "no UTF-8": b'{"step": 2, "\xff": 1}',
    "a list": b"[1, 2]",
    "null": b"null",
    "a number": b"7",
    "no step": b'{"train_loss": 0.5}',
    "a step of another type": b'{"step": "2"}',
    "a step that is true": b'{"step": true}',
    "a step that is no integer": b'{"step": 1.5}',
    "a step below 0": b'{"step": -1}',
    "text in place of a number": b'{"step": 2, "validation_loss": "low"}',
    "null in place of a number": b'{"step": 2, "images_per_second": null}',
    "a list in place of a number": b'{"step": 2, "images_per_second": [1]}',
    "an integer beyond floats": b'{"step": 2, "x": 1' + b"0" * 400 + b"}",
    "an integer of too many digits": b'{"step": 2, "x": 1' + b"0" * 5000 + b"}",
    "lists in lists": b"[" * 10**5,
}


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
def test_damaged_lines_are_skipped_and_set_aside_by_the_next_run(tmp_path, damaged):
    path, events = tmp_path / "metrics.jsonl", []
    first, *others = (json.dumps(record).encode() + b"\n" for record in GOOD)
    before = first + damaged + b"\n" + b"".join(others) + damaged + b"\n"
    path.write_bytes(before)
    assert str(read_metrics(path)) == str(GOOD) and path.read_bytes() == before
    metrics = MetricsFile(path, resume_step=3, report=events.append)
    metrics.write(4, x=1)
    assert str(lines(path)) == str([*GOOD, {"step": 4, "x": 1}])
    assert (tmp_path / "damaged_metrics.jsonl").read_bytes() == (damaged + b"\n") * 2
    message = f"2 damaged line(s) of {path} are set aside in damaged_metrics.jsonl"
    assert [message in event.text for event in events if isinstance(event, Caution)] == [True]
    # Once: the next start finds none.
    MetricsFile(path, resume_step=4, report=events.append)
    assert len(events) == 1 and len(lines(path)) == 4


def test_a_folder_in_the_place_of_the_records(tmp_path):
    path, events = tmp_path / "metrics.jsonl", []
    for _ in range(2):
        path.unlink(missing_ok=True)
        (path / "inner").mkdir(parents=True)
        assert read_metrics(path) == []
        MetricsFile(path, resume_step=3, report=events.append).write(4, x=1)
        assert read_metrics(path) == [{"step": 4, "x": 1}]
    assert (tmp_path / "damaged_metrics_1" / "inner").is_dir()
    assert (tmp_path / "damaged_metrics_2" / "inner").is_dir()
    assert "set aside as damaged_metrics_2" in events[1].text and len(events) == 2

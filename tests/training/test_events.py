"""What TensorBoard is given, read back from the bytes of its files."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from pixelprior.training.events import Event, EventFile
from pixelprior.training.metrics import read_metrics


def events(folder):
    """Of all files, in the order of their names, which begin with the time."""
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:
            # Length, its checksum, an event, its checksum.
            (length,) = struct.unpack_from("<Q", data)
            yield Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]


def curves(folder):
    """By tag: the value of each step."""
    found = {}
    for event in events(folder):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def test_records_are_curves_in_groups_and_pictures_are_images(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    file = EventFile(tmp_path / "events", resume_step=0)
    file.write(1, train_loss=0.5, learning_rate=1e-3)
    file.write(2, train_loss=0.25, validation_bits_per_dim=3)
    file.picture(2, tmp_path / "x.png")
    file.close()
    assert curves(tmp_path / "events") == {
        "train/loss": {1: 0.5, 2: 0.25},
        "run/learning_rate": {1: pytest.approx(1e-3)},
        "validation/bits_per_dim": {2: 3.0},
    }
    (image,) = (
        value.image
        for event in events(tmp_path / "events")
        for value in event.summary.value
        if value.HasField("image")
    )
    assert (image.height, image.width) == (5, 7)
    read = np.asarray(Image.open(io.BytesIO(image.encoded_image_string)).convert("RGB"))
    np.testing.assert_array_equal(read, pixels)


def test_what_a_killed_run_wrote_too_far_is_left_out(tmp_path):
    for resume_step in (0, 3):
        file = EventFile(tmp_path, resume_step=resume_step)
        file.write(resume_step + 1, train_loss=1.0)
        file.close()
    # TensorBoard forgets what comes from this step on, when it reads such an event.
    starts = [
        event.step
        for event in events(tmp_path)
        if event.session_log.status == 1  # START
    ]
    assert starts == [1, 4]


def test_a_run_tells_tensorboard_what_it_records(finished):
    found, records = curves(finished / "events"), read_metrics(finished / "metrics.jsonl")
    for tag, key in (
        ("train/bits_per_dim", "train_bits_per_dim"),
        ("run/gradient_norm", "gradient_norm"),
        ("run/learning_rate", "learning_rate"),
        ("validation/nats", "validation_nats"),
        ("test/nats", "test_nats"),
    ):
        expected = {record["step"]: record[key] for record in records if key in record}
        assert found[tag] == pytest.approx(expected, rel=1e-6)
    tags = [value.tag for event in events(finished / "events") for value in event.summary.value]
    assert tags.count("samples") == 1

"""The names and shapes of every model's weights.

Checkpoints hold weights under these names, so what is written in parameters.json must not change:
a change there is one that breaks old checkpoints. A new model is written down by running this file.
"""

import json
from pathlib import Path

import pytest
from flax import nnx

from pixelprior import Grid
from tests.models.catalogue import SHIPPED

FILE = Path(__file__).with_name("parameters.json")
WRITTEN = json.loads(FILE.read_text()) if FILE.exists() else {}


def shapes(name):
    """With every context, three channels, and the small sizes of the catalogue."""
    make = SHIPPED[name].make
    model = nnx.eval_shape(
        lambda: make(Grid(4, 3, 3, 5), num_classes=2, map_features=3, rngs=nnx.Rngs(0))
    )
    flat = nnx.to_flat_state(nnx.state(model))
    return {".".join(map(str, path)): list(value.shape) for path, value in flat}


@pytest.mark.parametrize("name", WRITTEN)
def test_names_and_shapes_are_what_they_were(name):
    assert shapes(name) == WRITTEN[name]


def test_what_is_written_can_be_read_by_eye():
    # One model by hand, so that the file is not all that the test knows.
    assert WRITTEN["pixel_cnn"]["blocks.layers.conv.left.kernel"] == [2, 1, 2, 4, 4]
    assert WRITTEN["pixel_cnn"]["context_encoder.label.embedding"] == [2, 4]


if __name__ == "__main__":
    lines = [
        f"  {json.dumps(name)}: {{\n"
        + ",\n".join(
            f"    {json.dumps(path)}: {json.dumps(shape)}"
            for path, shape in sorted(shapes(name).items())
        )
        + "\n  }"
        for name in SHIPPED
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")

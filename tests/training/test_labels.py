"""Images that have none of the classes are refused, not trained on as if they had one."""

import numpy as np
import pytest

from pixelprior.data import Dataset, Symbols
from pixelprior.data.dataset import make_splits
from pixelprior.errors import InputError
from pixelprior.experiment.recipes import load_recipe
from pixelprior.grid import Grid
from pixelprior.runs import train
from pixelprior.runs.train import train_run

GRID = Grid(3, 2, 1, 4)


class Unlabelled:
    """Images whose label is -1, as TFDS writes where it has none."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return {"image": np.full(GRID.shape, index % 4, np.uint8), "label": -1}


def test_training_on_labels_of_no_class_is_refused(monkeypatch, tmp_path):
    config = load_recipe("digits") | {"class_conditional": True, "batch_size": 2}
    sources = {name: (Unlabelled(), f"all of {name}") for name in ("train", "validation", "test")}
    dataset = Dataset("unlabelled", make_splits(sources, GRID.shape, 4), ("a", "b"))
    opened = dataset, Symbols(4, "none"), GRID
    monkeypatch.setattr(train, "open_data", lambda config, report: opened)

    with pytest.raises(
        InputError, match=r"labels in \[0, 2\), but all of train has labels from -1"
    ):
        train_run(config, tmp_path / "run")

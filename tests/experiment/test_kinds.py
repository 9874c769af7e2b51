"""Kinds of keys: every key has one, and a change is of the kind of its key."""

import pytest

from pixelprior.experiment.differences import differences
from pixelprior.experiment.kinds import (
    KINDS,
    Kind,
    changes_of_kind,
    has_same_optimizer,
    kind_of_key,
)
from pixelprior.experiment.recipes import all_variants
from pixelprior.experiment.schema import NEUTRAL, TASKS


def test_every_key_of_every_task_is_stated_once():
    keys = {key for task in TASKS.values() for key in task}
    assert keys == {key for key in KINDS if "." not in key}


def leaves(config, prefix=""):
    for key, value in config.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def test_all_nested_keys_of_the_recipes():
    found = {}
    for variant in all_variants().values():
        config = variant.config
        for run in config["runs"].values() if "runs" in config else [config]:
            for key in leaves(dict(run)):
                if "." in key:
                    found.setdefault(kind_of_key(key), set()).add(key)
    assert found[Kind.SCHEDULE] == {
        "model.dropout_rate",
        "models.top.dropout_rate",
        "models.bottom.dropout_rate",
        "quantizer.commitment",
        "quantizer.decay",
        "quantizer.dead_share",
        "quantizer.gradient",
        "tokenizer.perceptual_weight",
    }
    assert found[Kind.OPERATIONAL] == {
        "model.remat",
        "models.top.remat",
        "models.bottom.remat",
    }
    # Sizes, heads and dtypes are the architecture.
    assert {"model.features", "models.top.head", "tokenizer.strides"} <= found[Kind.IDENTITY]


@pytest.mark.parametrize(
    ("there", "now", "kind"),
    [
        ({"num_steps": 600}, {"num_steps": 1200}, Kind.SCHEDULE),
        ({"log_every": 5}, {"log_every": 6}, Kind.OPERATIONAL),
        ({"seed": 5}, {"seed": 6}, Kind.IDENTITY),
        ({"model": {"name": "a"}}, {"model": {"name": "b"}}, Kind.IDENTITY),
        ({"label_dropout": 0.1}, {"label_dropout": 0.2}, Kind.SCHEDULE),
        # The null class is a row of the label table.
        ({"label_dropout": 0.1}, {"label_dropout": 0.0}, Kind.IDENTITY),
        ({"label_dropout": 0.0}, {"label_dropout": 0.1}, Kind.IDENTITY),
        ({}, {"label_dropout": 0.1}, Kind.IDENTITY),
        ({"distribution_augmentation": 0.3}, {"distribution_augmentation": 0.4}, Kind.SCHEDULE),
        # The turns have weights of their own.
        ({"distribution_augmentation": 0.3}, {"distribution_augmentation": 0.0}, Kind.IDENTITY),
        ({}, {"distribution_augmentation": 0.4}, Kind.IDENTITY),
        ({"unheard_of": 1}, {}, Kind.IDENTITY),
    ],
)
def test_a_change_is_of_one_kind(there, now, kind):
    changes = differences(there, now, NEUTRAL)
    assert len(changes) == 1
    assert [other for other in Kind if changes_of_kind(changes, other)] == [kind]


def test_the_state_of_an_optimizer_fits_only_its_own_kind():
    def config(optimizer, schedule):
        return {"optimizer": optimizer, "schedule": schedule}

    now = config("adamw", "cosine")
    assert has_same_optimizer(config("adamw", "linear"), now)
    assert not has_same_optimizer(config("adamax", "cosine"), now)
    # The plateau schedule has a state of its own.
    assert not has_same_optimizer(config("adamw", "plateau"), now)
    assert has_same_optimizer(config("muon", "plateau"), config("muon", "plateau"))

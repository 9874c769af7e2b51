"""The commands on a run of an any-order model: it trains, is measured, and fills holes."""

import jax
import numpy as np
import pytest
from PIL import Image

import pixelprior as pp
from pixelprior.cli.evaluate_run import evaluate_run
from pixelprior.cli.sample_files import sample_to_files
from pixelprior.configs.digits import get_config
from pixelprior.runs.images import TestImages
from pixelprior.runs.pictures import Subject, pictures
from pixelprior.runs.samples import Request
from tests.shared_runs import once

SETTINGS = {
    "num_steps": 4,
    "warmup_steps": 1,
    "batch_size": 16,
    "checkpoint_every": 2,
    "sample_every": 4,
    "num_samples": 2,
    "log_every": 2,
}
NETWORK = {
    "name": "any_order_transformer",
    "features": 8,
    "num_layers": 1,
    "num_heads": 2,
    "first_kernel_size": 3,
    "embedding_features": 4,
    "head_features": 8,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = get_config().to_dict()
    shared = {k: config["model"][k] for k in ("head", "num_mixtures", "dtype", "remat")}
    config["model"] = NETWORK | shared | {"dropout_rate": 0.1}

    def train(folder):
        pp.fit(config, workdir=folder / "run", **SETTINGS)

    return once(tmp_path_factory, "any_order", train) / "run"


def complete(run, out, known):
    sample_to_files(
        run,
        out,
        num=4,
        batch_size=4,
        seed=1,
        strategies=[()],
        label=None,
        method="auto",
        checkpoint="best",
        averaged=True,
        individual=False,
        mode="complete",
        known=str(known),
    )
    return np.asarray(Image.open(out))


def test_a_hole_is_filled_given_everything_around_it(run, tmp_path, capsys):
    mask = np.ones((8, 8), bool)
    mask[2:6, 3:6] = False
    Image.fromarray(np.uint8(255 * mask)).save(tmp_path / "mask.png")
    complete(run, tmp_path / "filled.png", tmp_path / "mask.png")
    assert "each drawn pixel is conditioned on all known pixels" in capsys.readouterr().err
    trained = pp.load_trained(run)
    x = TestImages(trained, 1).symbols(np.arange(4))
    known = np.where(mask[..., None], x, pp.UNKNOWN)
    drawn = pp.sample(trained, jax.random.key(1), 4, known=known)
    subject = Subject(known=str(tmp_path / "mask.png"))
    wanted = pictures("complete", trained, Request(1, [()], None, None, "auto"), subject)
    completed = wanted.draw(np.arange(4))[:, 9:]
    np.testing.assert_allclose(completed, np.asarray(drawn) / 16, atol=1e-6)


@pytest.mark.slow
def test_other_models_say_that_they_see_only_earlier_pixels(digits, tmp_path, capsys):
    complete(digits, tmp_path / "filled.png", "left")
    said = capsys.readouterr().err
    assert "conditioned on the known pixels before it in the order of the model" in said


def test_the_average_over_orders_is_reported_with_its_spread(run, capsys):
    values = evaluate_run(run, baselines=False)
    assert values["num_orders"] == 4 and values["order_spread"] > 0
    printed = capsys.readouterr().out
    assert "average over 4 random orders of each image, which differ by" in printed
    assert f"in raster order {values['raster_nats']:.3f} nats" in printed
    assert abs(values["nats"] - values["raster_nats"]) < 0.2 * values["nats"]

"""Every config file says everything, and describes networks that can be built."""

import functools
import runpy
from pathlib import Path

import jax
import pytest
from flax import nnx

from pixelprior.experiment import TASKS, build_model, build_prior, build_tokenizer, check_config
from pixelprior.experiment.build import QUANTIZERS, constructor_settings
from pixelprior.grid import Grid
from pixelprior.models import MODELS
from pixelprior.prior import Prior
from pixelprior.tokenizers import TOKENIZERS, VQVAE
from pixelprior.tokenizers.vqvae import level_names

FOLDER = Path(__file__).parents[2] / "configs"
CONFIGS = sorted(path for path in FOLDER.glob("*.py") if path.stem != "__init__")
SHAPES = {
    "digits": (8, 8, 1),
    "mnist": (28, 28, 1),
    "fashion_mnist": (28, 28, 1),
    "cifar10": (32, 32, 3),
    # These have a size only once they are resized.
    "celeb_a": (0, 0, 3),
    "folder:images": (0, 0, 3),
}

every_config = pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)


@functools.cache
def load(path):
    return runpy.run_path(str(path))["get_config"]().to_dict()


LISTS = [path for path in CONFIGS if path.stem.startswith("compare")]
COMPARED = {
    f"{path.stem}.{name}": run for path in LISTS for name, run in load(path)["runs"].items()
}
# What is trained by one call: a config, or one run of a list that compares models.
EXPERIMENTS = {path.stem: path for path in CONFIGS if path not in LISTS} | COMPARED

every_experiment = pytest.mark.parametrize("experiment", EXPERIMENTS)


def load_experiment(name):
    experiment = EXPERIMENTS[name]
    return experiment if name in COMPARED else load(experiment)


def settings_of(make, *, elsewhere=(), prefix=""):
    """The names of what a config may say of a class: all that its constructor takes."""
    names = set(constructor_settings(make)) - set(elsewhere)
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


def check_model(settings):
    make = MODELS[settings["name"]]
    wanted = settings_of(make, elsewhere=("grid", "num_classes", "null_class", "map_features"))
    assert set(settings) - {"name"} == wanted


def image_grid(config):
    height, width, channels = SHAPES[config["dataset"]]
    if any(config["image_size"]):
        height, width = config["image_size"]
    return Grid(height, width, channels, config["levels"])


@functools.cache
def tokenizer(path):
    """The tokenizer of a config, only traced."""
    config = load(path)
    return nnx.eval_shape(
        lambda: build_tokenizer(
            config["tokenizer"], config["quantizer"], image_grid(config), seed=config["seed"]
        )
    )


def tokenizer_path(path):
    """Of the tokenizer that a prior is made for: the name says it, before that of a model."""
    data, _, rest = path.stem.partition("_prior")
    return path.with_name(f"{data}_vqvae{'2' if rest.startswith('2') else ''}.py")


@every_experiment
def test_a_config_has_every_key_and_every_setting(experiment):
    config = load_experiment(experiment)
    check_config(config)
    assert set(config) == set(TASKS[config["task"]])
    match config["task"]:
        case "pixels":
            check_model(config["model"])
        case "tokenizer":
            wanted = settings_of(VQVAE, elsewhere=("grid", "quantizer"))
            assert set(config["tokenizer"]) - {"name"} == wanted
            assert config["tokenizer"]["name"] in TOKENIZERS
            wanted = settings_of(QUANTIZERS[config["quantizer"]["name"]])
            assert set(config["quantizer"]) - {"name"} == wanted
        case "prior":
            for model in config["models"].values():
                check_model(model)
            assert set(config["context"]) == settings_of(Prior, prefix="context_")
            assert set(config["trained_levels"]) <= set(config["models"])
            assert config["trained_levels"]


@every_config
def test_a_name_says_what_a_config_is_for(path):
    config = load(path)
    task = {"vqvae": "tokenizer", "vqvae2": "tokenizer", "prior": "prior", "prior2": "prior"}
    task["compare"] = "compare"
    # After it, there may be the name of a model.
    kind = next((part for part in path.stem.split("_") if part in task), "pixels")
    assert config["task"] == task.get(kind, "pixels")
    if config["task"] == "tokenizer":
        assert config["tokenizer"]["name"] == kind
    if config["task"] == "prior":
        assert len(config["models"]) == (2 if kind == "prior2" else 1)
        assert tokenizer_path(path).exists()
    elif config["task"] != "compare":
        assert path.stem.startswith(config["dataset"].partition(":")[0])


@every_config
def test_a_config_opens_with_the_command_that_runs_it(path):
    task, lines = load(path)["task"], path.read_text().splitlines()[:6]
    command = f"python train.py --config=configs/{path.name} "
    if load(path).get("dataset", "").startswith("folder:") and task == "pixels":
        command = command.strip()
    found = [n for n, line in enumerate(lines) if line.strip().startswith(command)]
    assert found
    words = " ".join(lines[found[0] : found[0] + 2])
    assert "--workdir=runs/" in words
    assert ("--tokenizer=runs/" in words) == (task == "prior")


@every_config
def test_what_a_config_points_to_is_there(path):
    # "`pixelprior.experiment.TASKS` says what each key means".
    assert "`pixelprior.experiment.TASKS` says" in path.read_text()


@every_experiment
def test_a_config_can_be_built(experiment):
    config, path = load_experiment(experiment), EXPERIMENTS[experiment]
    seed = config["seed"]
    if config["task"] == "tokenizer":
        model = tokenizer(path)
        assert type(model) is TOKENIZERS[config["tokenizer"]["name"]]
        assert model.num_levels == len(config["tokenizer"]["strides"])
        # A code says more than a pixel: there are fewer codes than symbols.
        assert sum(grid.size for grid in model.code_grids) < model.grid.size
    elif config["task"] == "pixels":
        grid = image_grid(config)
        model = nnx.eval_shape(lambda: build_model(config["model"], grid, num_classes=0, seed=seed))
        assert type(model) is MODELS[config["model"]["name"]] and model.grid == grid
    else:
        grids = tokenizer(tokenizer_path(path)).code_grids
        prior = nnx.eval_shape(
            lambda: build_prior(
                config["models"],
                config["context"],
                grids,
                num_classes=10 if config["class_conditional"] else 0,
                label_dropout=config["label_dropout"],
                seed=seed,
            )
        )
        assert prior.grids == grids
        for name, level in zip(level_names(len(grids)), prior.levels, strict=True):
            assert type(level) is MODELS[config["models"][name]["name"]]


# The lists of architectures that are compared.


def parameters(config):
    model = nnx.eval_shape(
        lambda: build_model(
            config["model"],
            image_grid(config),
            num_classes=10 if config["class_conditional"] else 0,
            null_class=config["label_dropout"] > 0,
            seed=config["seed"],
        )
    )
    return sum(weight.size for weight in jax.tree.leaves(nnx.state(model, nnx.Param)))


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_the_runs_that_are_compared_are_accepted_together(path):
    check_config(load(path))


@pytest.mark.parametrize("name", COMPARED)
def test_runs_that_are_compared_differ_in_the_model_and_how_long_it_learns(name):
    config = COMPARED[name]
    assert config["model"]["name"] == name.partition(".")[2]
    alone = load(FOLDER / f"{config['dataset']}.py")
    learning = {"batch_size", "num_steps", "learning_rate", "warmup_steps", "ema_decay"}
    watching = {"log_every", "checkpoint_every", "sample_every", "validation_fraction"}
    assert {key for key in alone if config[key] != alone[key]} <= {"model", *learning, *watching}


# As their docstrings and the README say.
SIZES = {
    "compare": (270_000, 330_000),
    "compare_fashion_mnist": (320_000, 390_000),
    "compare_cifar10": (320_000, 390_000),
}


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_runs_that_are_compared_are_about_as_large(path):
    low, high = SIZES[path.stem]
    for config in load(path)["runs"].values():
        assert low < parameters(config) < high

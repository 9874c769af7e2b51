"""Every recipe says everything, as it did when it was measured, and describes networks."""

import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from flax import nnx

from pixelprior.errors import InputError
from pixelprior.experiment import TASKS, build_model, build_prior, build_tokenizer, check_config
from pixelprior.experiment.build import QUANTIZERS, constructor_settings
from pixelprior.experiment.of_model import NOT_FOR_CONFIGS
from pixelprior.experiment.recipe_of import recipe_of
from pixelprior.experiment.recipes import (
    UNTRAINED,
    all_variants,
    config_file,
    load_recipe,
    recipes,
    resolve,
)
from pixelprior.grid import Grid
from pixelprior.models import MODELS
from pixelprior.prior import Prior
from pixelprior.tokenizers import TOKENIZERS, VQVAE
from pixelprior.tokenizers.code_maps import level_names

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "configs"
SHAPES = {
    "digits": (8, 8, 1),
    "mnist": (28, 28, 1),
    "fashion_mnist": (28, 28, 1),
    "cifar10": (32, 32, 3),
    # These have a size only once they are resized.
    "celeb_a": (0, 0, 3),
    "folder:images": (0, 0, 3),
}
# Each as it was before recipes had variants, a file for each; what is changed on purpose is changed
# here too: the runs whose results are told were made by these.
RESOLVED = json.loads(Path(__file__).with_name("resolved_recipes.json").read_text())
NAMES = list(all_variants())

every_variant = pytest.mark.parametrize("name", NAMES)
every_recipe = pytest.mark.parametrize("recipe", recipes())

load = functools.cache(load_recipe)

LISTS = [name for name in NAMES if name.partition(":")[0] == "compare"]
COMPARED = {(name, run): config for name in LISTS for run, config in load(name)["runs"].items()}
# What is trained by one call: a variant, or one run of a list that compares models.
EXPERIMENTS = {name: load(name) for name in NAMES if name not in LISTS} | {
    f"{name}.{run}": config for (name, run), config in COMPARED.items()
}

every_experiment = pytest.mark.parametrize("experiment", EXPERIMENTS)


def as_text(config):
    """Every key and value, by which 1 is not 1.0 nor true."""
    return json.dumps(config, sort_keys=True)


@pytest.mark.parametrize("name", RESOLVED)
def test_a_variant_resolves_to_what_it_was(name):
    config = load_recipe(name)
    assert as_text(config) == as_text(RESOLVED[name])
    # JSON has no tuples, but a flag of a tuple's key takes nothing else.
    tuples = {"image_size", "strides", "trained_levels"}

    def check(part):
        for key, value in part.items():
            assert isinstance(value, tuple) == (key in tuples), key
            if isinstance(value, dict):
                check(value)

    check(config)


def test_every_variant_has_a_snapshot():
    assert set(NAMES) == set(RESOLVED)


@every_variant
def test_each_key_is_set_by_itself(name):
    # A part that is there twice would be changed twice by one flag.
    recipe, _, variant = name.partition(":")
    seen = []

    def collect(part):
        seen.append(id(part))
        for value in part.values():
            if hasattr(value, "values"):
                collect(value)

    config = recipes()[recipe].get_config(variant)
    collect(config)
    assert len(seen) == len(set(seen))
    config.unlock()
    config.seed = 7
    assert recipes()[recipe].get_config(variant) != config
    assert as_text(load_recipe(name)) == as_text(load(name))


# Names.


def test_a_recipe_is_known_by_its_name():
    assert Path(config_file("digits")) == FOLDER / "digits.py"
    assert config_file("digits:vqvae") == f"{FOLDER / 'digits.py'}:vqvae"


@pytest.mark.parametrize("path", ["configs/digits.py", "configs/digits.py:vqvae", "mine.py:64"])
def test_a_path_stays_as_it_is(path):
    assert config_file(path) == path


def test_a_folder_of_its_name_does_not_hide_a_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    assert Path(config_file("digits")) == FOLDER / "digits.py"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("digit", "did you mean digits"),
        ("digits_vqvae", "did you mean digits:vqvae"),  # its name when each had a file
        ("digit:vqvae", "did you mean digits:vqvae"),
        ("x" * 20, "`pixelprior configs` lists them"),
        ("../setup", "lists them"),
        ("__init__", "lists them"),
        ("common", "the name of a recipe"),
        ("", "lists them"),
    ],
)
@pytest.mark.parametrize("find", [config_file, load_recipe])
def test_an_unknown_recipe_is_refused(find, name, hint):
    with pytest.raises(InputError, match=f"name of a recipe, got '{name}'|{hint}") as error:
        find(name)
    assert hint in str(error.value) and "\n" not in str(error.value)


def test_an_unknown_variant_gets_the_list():
    with pytest.raises(InputError, match="no variant 'vqave'; did you mean vqvae .*are") as error:
        load_recipe("digits:vqave")
    listed = str(error.value).partition("variants are ")[2].split(", ")
    assert [f"digits:{name}" for name in listed] == [n for n in NAMES if n.startswith("digits:")]
    with pytest.raises(InputError, match="no variant 'zzz'; its variants are class_conditional, "):
        load_recipe("digits:zzz")


def test_a_recipe_without_a_default_wants_a_variant():
    with pytest.raises(InputError, match="with a variant, as NAME:VARIANT, of vqvae, vqvae2, "):
        load_recipe("celeb_a")


@pytest.fixture(scope="session")
def plan(warm_start):
    """Runs ``train.py --plan`` from the clone."""
    return functools.partial(warm_start.run, "train.py", "--plan", cwd=ROOT)


@pytest.mark.parametrize("config", ["digits:row_lstm", "configs/digits.py:row_lstm"])
def test_a_variant_has_keys_to_set(config, plan):
    def parameters(*flags):
        result = plan(f"--config={config}", *flags)
        assert result.status == 0, result.errors
        return int(re.search(r"parameters +([\d,]+)", result.output)[1].replace(",", ""))

    sizes = {"features": 8, "num_layers": 1}  # few, since a plan compiles the step
    settings = load("digits:row_lstm")["model"] | sizes
    model = nnx.eval_shape(
        lambda: build_model(settings, Grid(8, 8, 1, 17), num_classes=0, turns=True, seed=0)
    )
    wanted = sum(weight.size for weight in jax.tree.leaves(nnx.state(model, nnx.Param)))
    assert parameters(*(f"--config.model.{key}={n}" for key, n in sizes.items())) == wanted


@pytest.mark.parametrize("config", ["digits:vqave", "configs/digits.py:vqave"])
def test_a_misspelt_variant_ends_with_a_sentence(config, plan):
    result = plan(f"--config={config}")
    assert result.status == 2 and not result.output
    (line,) = result.errors.splitlines()
    assert line.startswith("error: the recipe has no variant 'vqave'; did you mean vqvae")


def test_configs_are_listed_with_their_results():
    listing = subprocess.run(
        [sys.executable, "-m", "pixelprior", "configs"], cwd=ROOT, capture_output=True, text=True
    ).stdout.splitlines()
    rows = dict(line.split(maxsplit=1) for line in listing if line.startswith("  "))
    assert list(rows) == NAMES
    for name, variant in all_variants().items():
        assert rows[name] == f"{variant.title}: {variant.measured or 'not measured'}"
    titles = [line for line in listing if not line.startswith("  ")]
    assert titles == [module.__doc__.splitlines()[0] for module in recipes().values()]


@every_variant
def test_a_variant_tells_its_result_and_where_it_is_from(name):
    variant = all_variants()[name]
    assert variant.title and not variant.title.endswith(".")
    for text in (variant.measured, variant.source):
        assert not text.endswith(".")
    assert variant.result == (f"Measured: {variant.measured}." if variant.measured else UNTRAINED)
    # What is measured can be cited; recipes that point to another one leave it to that.
    assert variant.source or not variant.measured or name in LISTS


def test_what_is_resolved_is_not_what_is_kept():
    variants = all_variants()
    resolve(variants, "digits").model.features = 1
    assert load_recipe("digits")["model"]["features"] == RESOLVED["digits"]["model"]["features"]


# What they say.


def settings_of(make, *, elsewhere=(), prefix=""):
    """The names of what a config may say of a class: all that its constructor takes."""
    names = set(constructor_settings(make)) - set(elsewhere)
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


def check_model(settings):
    make = MODELS[settings["name"]]
    wanted = settings_of(make, elsewhere=NOT_FOR_CONFIGS)
    assert set(settings) - {"name"} == wanted


def image_grid(config):
    height, width, channels = SHAPES[config["dataset"]]
    if any(config["image_size"]):
        height, width = config["image_size"]
    return Grid(height, width, channels, config["levels"])


@functools.cache
def tokenizer(name):
    """The tokenizer of a variant, only traced."""
    config = load(name)
    return nnx.eval_shape(
        lambda: build_tokenizer(
            config["tokenizer"], config["quantizer"], image_grid(config), seed=config["seed"]
        )
    )


def tokenizer_name(name):
    """The tokenizer that a prior is made for: its variant is called that, or begins so."""
    recipe, _, variant = name.partition(":")
    return f"{recipe}:vqvae{'2' if variant.startswith('prior2') else ''}"


@every_experiment
def test_a_config_has_every_key_and_every_setting(experiment):
    config = EXPERIMENTS[experiment]
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


@every_variant
def test_a_name_says_what_a_variant_is_for(name):
    config = load(name)
    recipe, _, variant = name.partition(":")
    if recipe == "compare":
        assert config["task"] == "compare"
        assert {run["dataset"] for run in config["runs"].values()} == {variant or "mnist"}
        return
    task = {"vqvae": "tokenizer", "vqvae2": "tokenizer", "prior": "prior", "prior2": "prior"}
    # After it, there may be the name of a model.
    kind = variant.partition("_")[0]
    assert config["task"] == task.get(kind, "pixels")
    if config["task"] == "tokenizer":
        assert config["tokenizer"]["name"] == kind
    if config["task"] == "prior":
        assert len(config["models"]) == (2 if kind == "prior2" else 1)
        assert tokenizer_name(name) in NAMES
    else:
        assert recipe == config["dataset"].partition(":")[0]
    if config["task"] == "pixels" and variant in MODELS:
        assert config["model"]["name"] == variant


@every_recipe
def test_a_recipe_opens_with_the_commands_that_run_it(recipe):
    text = recipes()[recipe].__doc__.replace("\\\n", "")
    commands = re.findall(r"python train\.py .*", text)
    assert text.splitlines()[2].strip() == commands[0].strip() and len(commands) >= 2
    named = []
    for command in commands:
        name = re.search(r"--config=configs/(\S+)", command)[1].replace(".py", "")
        assert name in NAMES and name.partition(":")[0] == recipe
        assert "--workdir=runs/" in command
        assert ("--tokenizer=runs/" in command) == (load(name)["task"] == "prior")
        named.append(load(name)["task"])
    tasks = {load(name)["task"] for name in NAMES if name.partition(":")[0] == recipe}
    assert set(named) == tasks


@every_recipe
def test_what_a_recipe_points_to_is_there(recipe):
    # "`TASKS` in ``pixelprior/experiment/schema.py`` describes the keys".
    file = re.search(r"`TASKS` in ``(\S+)``", recipes()[recipe].get_config.__doc__)[1]
    assert "\nTASKS: " in (Path(__file__).parents[2] / file).read_text()


@every_experiment
def test_a_config_can_be_built(experiment):
    config = EXPERIMENTS[experiment]
    seed = config["seed"]
    if config["task"] == "tokenizer":
        model = tokenizer(experiment)
        assert type(model) is TOKENIZERS[config["tokenizer"]["name"]]
        assert model.num_levels == len(config["tokenizer"]["strides"])
        # A code says more than a pixel: there are fewer codes than symbols.
        assert sum(grid.size for grid in model.code_grids) < model.grid.size
    elif config["task"] == "pixels":
        grid = image_grid(config)
        model = nnx.eval_shape(lambda: build_model(config["model"], grid, num_classes=0, seed=seed))
        assert type(model) is MODELS[config["model"]["name"]] and model.grid == grid
    else:
        grids = tokenizer(tokenizer_name(experiment)).code_grids
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


every_list = pytest.mark.parametrize("name", LISTS)


@every_list
def test_the_runs_that_are_compared_are_accepted_together(name):
    check_config(load(name))


@pytest.mark.parametrize(("name", "run"), COMPARED)
def test_runs_that_are_compared_differ_in_the_model_and_how_long_it_learns(name, run):
    config = COMPARED[name, run]
    assert config["model"]["name"] == run
    alone = load(config["dataset"])
    learning = {"batch_size", "num_steps", "learning_rate", "warmup_steps", "ema_decay"}
    watching = {"log_every", "checkpoint_every", "sample_every", "validation_fraction"}
    assert {key for key in alone if config[key] != alone[key]} <= {"model", *learning, *watching}


# As the recipe and the README say.
SIZES = {
    "compare": (270_000, 330_000),
    "compare:fashion_mnist": (320_000, 390_000),
    "compare:cifar10": (320_000, 390_000),
}
BASELINES = {"made": 11e6, "nade": 3.5e6}


@pytest.mark.slow
@every_list
def test_runs_that_are_compared_are_about_as_large(name):
    low, high = SIZES[name]
    for run, config in load(name)["runs"].items():
        if run in BASELINES:
            # Fully connected networks are larger, and what their comment says.
            assert parameters(config) == pytest.approx(BASELINES[run], rel=0.02)
        else:
            assert low < parameters(config) < high


@pytest.mark.parametrize("name", ["digits", "mnist:best", "fashion_mnist:vqvae"])
def test_the_recipe_of_a_run_is_found_again_in_its_config(name):
    recipe = json.loads(json.dumps(load_recipe(name)))
    assert recipe["accumulate_steps"] == 0
    # A run records the data's folder, and the number of parts that was chosen for its batches.
    for changes in ({}, {"data_dir": "/data", "accumulate_steps": 4}):
        assert recipe_of(recipe | changes) == name
    assert recipe_of(recipe | {"learning_rate": 0.123}) is None
    assert recipe_of(recipe | {"accumulate_steps": 4, "batch_size": 1}) is None

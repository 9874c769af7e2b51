"""Training a prior: its loss by hand, which levels it moves, which it takes over, its pictures."""

import dataclasses
import functools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior.context import Context, hide_condition
from pixelprior.data import CodeFacts, codes_in_memory, write_codes
from pixelprior.data.codes.records import Coded
from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.nn.image_keys import fold_keys, split_keys
from pixelprior.prior import Prior
from pixelprior.runs.rebuild import rebuild
from pixelprior.system.devices import data_mesh, put_batch, replicated
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.vector_quantizer import VectorQuantizer
from pixelprior.training.optimizer import make_optimizer
from pixelprior.training.step import init_state
from pixelprior.training.tasks import PriorTask
from tests.plain_training import PLAIN_TRAINING
from tests.training.task_steps import step_of

GRIDS = (Grid(1, 2, 1, 3), Grid(2, 4, 1, 5))  # 2 codes and 8
SIZES = {"train": 12, "validation": 5, "test": 3}
CLASSES = ("cat", "dog", "owl")
MODEL = {
    "name": "pixel_cnn",
    "features": 8,
    "num_layers": 1,
    "embedding_features": 4,
    "head_features": 16,
}
CONFIG = {
    "task": "prior",
    "seed": 0,
    "class_conditional": True,
    "attribute_conditional": False,
    "label_dropout": 0.0,
    "models": {"top": MODEL, "bottom": MODEL},
    "context": {"features": 4, "num_blocks": 1},
    "trained_levels": ("top", "bottom"),
    "batch_size": 4,
    "num_samples": 2,
    **PLAIN_TRAINING,
}
DESCRIBED = {"shape": [4, 8, 1], "levels": 4, "class_names": list(CLASSES), "splits": {"a": "b"}}
FINGERPRINT = "ab12" * 16
FACTS = CodeFacts(fingerprint=FINGERPRINT, grids=GRIDS, name="pictures", class_names=CLASSES)


@functools.cache
def tokenizer(channels=1):
    sizes = iter((5, 3))
    graph, shapes = nnx.split(
        nnx.eval_shape(
            lambda: VQVAE(
                Grid(4, 8, channels, 4),
                strides=(2, 2),
                quantizer=lambda rngs: VectorQuantizer(2, codebook_size=next(sizes), rngs=rngs),
                features=4,
                residual_features=4,
                num_residual_blocks=1,
                rngs=nnx.Rngs(0),
            )
        )
    )
    return nnx.merge(graph, random_weights(shapes, 0))


def random_weights(shapes, seed):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda s: jnp.asarray(0.5 * rng.normal(size=s.shape), s.dtype), shapes)


def codes_of(split):
    """Each class has one map on every level, so with the label there is nothing left to guess."""
    rng = np.random.default_rng(0)
    maps = [rng.integers(0, grid.levels, (len(CLASSES), *grid.shape)) for grid in GRIDS]
    labels = np.arange(SIZES[split]) % len(CLASSES)
    return [level[labels].astype(np.int32) for level in maps], labels.astype(np.int32)


@pytest.fixture(scope="module")
def codes(tmp_path_factory):
    assert tokenizer().code_grids == GRIDS
    return write_codes(
        tmp_path_factory.mktemp("codes") / "codes",
        FACTS,
        {name: (f"{name}[:]", [Coded(*codes_of(name))]) for name in SIZES},
    )


def task_of(codes, *, others=None, tokenizer_=None, **changed):
    return PriorTask(
        CONFIG | changed, tokenizer_ or tokenizer(), codes, DESCRIBED, others, data_mesh()
    )


def random_prior(codes, seed):
    """A prior as the task makes it, but of random weights: fast, and none of them zero."""
    graph, shapes = nnx.split(nnx.eval_shape(lambda: task_of(codes).make()))
    return nnx.merge(graph, random_weights(shapes, seed))


def leaves(model_or_state):
    """Every weight by its path, as a copy on the host: training gives the buffers away."""
    state = nnx.state(model_or_state) if isinstance(model_or_state, nnx.Module) else model_or_state
    return {
        tuple(entry.key for entry in path if hasattr(entry, "key")): np.array(value)
        for path, value in jax.tree_util.tree_flatten_with_path(state)[0]
    }


def level_of(path):
    """The number of the level that a weight belongs to."""
    return path[1] + (path[0] == "contexts")


def start(task, prior, *, num_steps=100, learning_rate=0.02):
    optimizer, _ = make_optimizer(
        num_steps=num_steps,
        learning_rate=learning_rate,
        warmup_steps=0,
        weight_decay=1e-2,
        clip_norm=1.0,
    )
    graph, weights = nnx.split(prior)
    step = step_of(task, graph, optimizer)
    # As the loop does, so that the first step compiles for what every other one is given.
    state = init_state(weights, optimizer, task.trainable)
    return jax.device_put(state, replicated(task.mesh)), step


def level_nats(prior, batch):
    """Of each level of each image, [l, b], in float64."""
    graph, weights = nnx.split(prior)

    @jax.jit
    def log_probs(weights):
        model = nnx.merge(graph, weights)
        context = model.context_shape.of_batch(batch)
        return [model.level_log_prob(n, batch["codes"], context) for n in range(2)]

    return -np.array([np.asarray(level, np.float64) for level in log_probs(weights)])


@pytest.mark.slow
def test_the_loss_by_hand_and_codes_learned_by_heart(codes):
    task = task_of(codes)
    prior = random_prior(codes, 1)
    batches = task.batches()
    batch = next(batches)
    top, bottom = level_nats(prior, batch).mean(axis=1)
    state, step = start(task, prior, num_steps=300)
    expected = {
        # Of 2 codes, of 8, and of 10: not the mean of the two levels.
        "top_nats": top,
        "top_bits_per_code": top / 2 / math.log(2),
        "bottom_nats": bottom,
        "bottom_bits_per_code": bottom / 8 / math.log(2),
        "bits_per_code": (top + bottom) / 10 / math.log(2),
    }
    assert abs(expected["bits_per_code"] - (top / 2 + bottom / 8) / 2 / math.log(2)) > 0.01
    state, metrics = step(state, put_batch(batch, task.mesh))
    assert metrics.metrics.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(metrics.metrics[name], value, rtol=1e-5)
    for _ in range(299):
        state, metrics = step(state, put_batch(next(batches), task.mesh))
    assert step._cache_size() == 1
    assert float(metrics.metrics["top_bits_per_code"]) < 0.03
    assert float(metrics.metrics["bottom_bits_per_code"]) < 0.03

    # What it has learned it knows of other images too, and evaluating says so.
    learned = nnx.merge(nnx.graphdef(prior), state.weights)
    nats = level_nats(learned, dict(zip(("codes", "label"), codes_of("validation"), strict=True)))
    result = task.evaluate(learned, "validation")
    total = nats.sum(axis=0).mean()
    np.testing.assert_allclose(result.metrics["nats"], total, rtol=1e-4)
    np.testing.assert_allclose(result.loss, total / 10 / math.log(2), rtol=1e-4)
    assert result.loss == result.metrics["bits_per_code"] < 0.03
    assert result.metrics.keys() == metrics.metrics.keys() | {"nats"}
    for name, level, size in zip(("top", "bottom"), nats.mean(axis=1), (2, 8), strict=True):
        bits = level / size / math.log(2)
        np.testing.assert_allclose(result.metrics[f"{name}_nats"], level, rtol=1e-4)
        np.testing.assert_allclose(result.metrics[f"{name}_bits_per_code"], bits, rtol=1e-4)
        assert f"{name} {bits:.3f}" in result.words


def test_a_level_that_is_not_trained_stays_as_it_is_bit_for_bit(codes):
    task = task_of(codes, trained_levels=("top",))
    prior = random_prior(codes, 2)
    before, batch = leaves(prior), next(task.batches())
    top, _ = level_nats(prior, batch).mean(axis=1)
    state, step = start(task, prior)
    # The optimizer keeps two moments of every weight of the top, and nothing of any other.
    own = {path for path in before if level_of(path) == 0}
    moments = moments_of(state.optimizer)
    assert sorted(moments, key=str) == sorted([*own, *own], key=str)
    assert {path[0] for path in before.keys() - own} == {"levels", "contexts"}
    for n in range(3):
        state, metrics = step(state, put_batch(batch, task.mesh))
        if n == 0:
            # Its loss is that of what is trained alone.
            bits = top / 2 / math.log(2)
            assert metrics.metrics.keys() == {"bits_per_code", "top_nats", "top_bits_per_code"}
            np.testing.assert_allclose(metrics.metrics["bits_per_code"], bits, rtol=1e-5)
            np.testing.assert_allclose(metrics.metrics["top_bits_per_code"], bits, rtol=1e-5)
    for after in (leaves(state.weights), leaves(state.averaged)):
        assert after.keys() == before.keys()
        for path, value in after.items():
            assert (value.tobytes() == before[path].tobytes()) == (path not in own), path
    assert step._cache_size() == 1


def moments_of(optimizer):
    """The paths of the weights that an optimizer's state keeps something of."""
    paths = [
        [entry.key for entry in path if hasattr(entry, "key")]
        for path, _ in jax.tree_util.tree_flatten_with_path(optimizer)[0]
    ]
    return [tuple(path) for path in paths if path]


def test_levels_of_another_prior_are_taken_over_and_no_more(codes):
    other = random_prior(codes, 3)
    theirs = leaves(other)
    fresh = leaves(task_of(codes, trained_levels=("bottom",)).make())
    assert fresh.keys() == theirs.keys()
    for trained, learned in [(("top",), ["bottom"]), (("bottom",), ["top", "bottom"])]:
        task = task_of(codes, trained_levels=trained, others=(other, learned))
        assert task.learned == ["top", "bottom"]
        # What is fresh comes from the seed alone, so it is what was made above.
        made = leaves(task.make())
        assert made.keys() == fresh.keys()
        for path, value in made.items():
            expected = fresh if task.names[level_of(path)] in trained else theirs
            np.testing.assert_array_equal(value, expected[path], err_msg=str(path))
    # Nothing of the other prior was moved.
    for path, value in leaves(other).items():
        np.testing.assert_array_equal(value, theirs[path])


def test_a_picture_once_all_levels_are_learned(codes):
    prior = random_prior(codes, 4)
    assert task_of(codes, trained_levels=("top",)).picture(prior) is None
    assert task_of(codes, trained_levels=("bottom",)).picture(prior) is None
    # Pixels that no PNG holds.
    assert task_of(codes, tokenizer_=tokenizer(channels=2)).picture(prior) is None
    task = task_of(codes, trained_levels=("bottom",), others=(prior, ["top"]))
    pixels = task.picture(prior)
    assert pixels.shape == (task.config["num_samples"], *task.tokenizer.grid.shape)
    assert 0 <= pixels.min() < pixels.max() <= 1
    # By the same key each time.
    np.testing.assert_array_equal(task.picture(prior), pixels)
    assert (task.picture(random_prior(codes, 5)) != pixels).any()


def test_what_loading_needs_is_described(codes):
    task = task_of(codes, trained_levels=("top",), label_dropout=0.2)
    described = json.loads(json.dumps(task.describe()))
    assert described == DESCRIBED | {
        "tokenizer": FINGERPRINT,
        "code_grids": [[1, 2, 1, 3], [2, 4, 1, 5]],
        "learned_levels": ["top"],
        "code_counts": described["code_counts"],
    }
    for counts, level, grid in zip(
        described["code_counts"], codes_of("train")[0], GRIDS, strict=True
    ):
        assert counts == [np.bincount(level.ravel(), minlength=grid.levels).tolist()]
    # From the description, as JSON, the same prior is built again.
    config = json.loads(json.dumps(task.config))
    graph, shapes = nnx.split(nnx.eval_shape(lambda: rebuild(config, described)))
    ours, our_shapes = nnx.split(nnx.eval_shape(task.make))
    assert graph == ours and shapes == our_shapes
    assert task.title == "codes of pictures (top 1x2x1 of 3, bottom 2x4x1 of 5)"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (dict(trained_levels=()), r"trained_levels must be some of top, bottom, got \(\)"),
        (dict(trained_levels=("top", "middle")), r"must be some of top, bottom, got \('top', 'mi"),
        (dict(batch_size=0), "batch_size must be an integer in"),
    ],
)
def test_what_does_not_fit_is_refused(codes, changed, message):
    with pytest.raises(InputError, match=message):
        task_of(codes, **changed)


def test_labels_of_no_class_are_refused(tmp_path):
    maps, labels = codes_of("train")
    splits = {name: (f"{name}[:]", [Coded(maps, labels + 1)]) for name in SIZES}
    labelled = write_codes(tmp_path / "labelled", FACTS, splits)
    with pytest.raises(InputError, match=r"labels in \[0, 3\), but train\[:\] has labels from"):
        for _, _ in zip(range(3), task_of(labelled).batches(), strict=False):
            pass
    # Without classes there is nothing wrong with them; but there must be some if they are wanted.
    batch = next(task_of(labelled, class_conditional=False).batches())
    assert len(batch["label"]) == 4
    nameless = dataclasses.replace(FACTS, class_names=())
    unlabelled = write_codes(tmp_path / "unlabelled", nameless, splits)
    with pytest.raises(InputError, match="class_conditional needs labels, but .* 'pictures'"):
        task_of(unlabelled)


# Attributes.


def vectors_of(split):
    return np.random.default_rng(3).normal(size=(SIZES[split], 2)).astype(np.float32)


@pytest.fixture(scope="module")
def with_attributes():
    facts = dataclasses.replace(FACTS, attribute_names=("slant", "ink"))
    images = {name: Coded(*codes_of(name), vectors_of(name)) for name in SIZES}
    return codes_in_memory(facts, {name: (name, [one]) for name, one in images.items()})


def test_training_hides_class_and_attributes_together(with_attributes, monkeypatch):
    task = task_of(with_attributes, attribute_conditional=True, label_dropout=0.5)
    graph, shapes = nnx.split(nnx.eval_shape(task.make))
    prior = nnx.merge(graph, random_weights(shapes, 1))
    assert prior.vector_features == 2 and prior.label_dropout == 0.5
    codes, labels, vectors = with_attributes.splits["train"].read(range(12))
    batch = {"codes": codes, "label": labels, "attributes": vectors}
    keys = jax.random.split(jax.random.key(3), 12)
    loss = task.loss(prior, batch, keys)
    nats, all_hidden = 0.0, []
    for number in range(2):
        # By hand: each image alone, without any condition if its key says so.
        hiding, _ = split_keys(fold_keys(keys, number), 2)
        hidden = hide_condition(Context(label=jnp.zeros(12, int)), 0.5, hiding).hidden
        shown, null = (
            prior.level_log_prob(number, codes, context)
            for context in (Context(label=labels, vector=vectors), None)
        )
        nats -= jnp.where(hidden, null, shown).mean()
        all_hidden.append(hidden)
        assert 1 < hidden.sum() < 11 and abs(float(shown.mean() - null.mean())) > 1e-3
    np.testing.assert_allclose(loss.value, nats / 10 / math.log(2), rtol=1e-5)
    assert (all_hidden[0] != all_hidden[1]).any()
    # Pictures have the conditions of validation images.
    asked = []

    def sample_rows(prior, key, num, *, context):
        asked.append(context)
        return [[np.zeros((num, *grid.shape), int) for grid in GRIDS]]

    monkeypatch.setattr(Prior, "sample_rows", sample_rows)
    assert task.picture(prior).shape == (2, 4, 8, 1)
    np.testing.assert_array_equal(asked[0].label, codes_of("validation")[1][:2])
    np.testing.assert_array_equal(asked[0].vector, vectors_of("validation")[:2])


def test_attributes_that_are_not_wanted_change_nothing(codes, with_attributes):
    prior = random_prior(codes, 6)
    plain, other = (task_of(x) for x in (codes, with_attributes))
    assert other.num_attributes == 0
    keys = jax.random.split(jax.random.key(0), 4)
    losses = [task.loss(prior, next(task.batches()), keys).value for task in (plain, other)]
    np.testing.assert_array_equal(*losses)


def test_attributes_that_are_missing_are_refused(codes):
    with pytest.raises(InputError, match="attribute_conditional needs attributes, but .* 'pic"):
        task_of(codes, attribute_conditional=True)

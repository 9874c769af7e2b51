"""Turned and mirrored grids, and models that are told of them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import pixelprior as pp
from pixelprior.context import hide_condition
from pixelprior.errors import InputError
from pixelprior.nn.image_keys import split_keys
from pixelprior.runs.take_weights import Part, take_weights
from pixelprior.training.tasks.pixels import pixel_loss
from pixelprior.turns import count_turns, draw_turns, turned

SQUARE, WIDE = pp.Grid(3, 3, 2, 5), pp.Grid(2, 3, 1, 7)
# In NumPy, on [h, w, c].
UPRIGHT_FIRST = [
    lambda x: x,
    lambda x: np.rot90(x, 2),
    np.fliplr,
    np.flipud,
    lambda x: np.swapaxes(x, 0, 1),
    lambda x: np.rot90(np.swapaxes(x, 0, 1), 2),
    lambda x: np.fliplr(np.swapaxes(x, 0, 1)),
    lambda x: np.flipud(np.swapaxes(x, 0, 1)),
]


def grids(grid, number):
    values = np.random.default_rng(0).integers(0, grid.levels, (number, *grid.shape))
    return values.astype(np.int32)


def model_of(grid, **settings):
    return pp.GatedPixelCNN(
        grid, features=8, num_layers=1, head_features=8, rngs=nnx.Rngs(0), **settings
    )


@pytest.mark.parametrize(("grid", "number"), [(SQUARE, 8), (WIDE, 4)])
def test_turns_are_those_of_numpy(grid, number):
    assert count_turns(grid) == number
    x = grids(grid, number)
    expected = [turn(image) for turn, image in zip(UPRIGHT_FIRST, x, strict=False)]
    np.testing.assert_array_equal(turned(jnp.asarray(x), jnp.arange(number), grid), expected)


def test_turns_are_all_different():
    x = np.repeat(np.arange(9, dtype=np.int32).reshape(1, 3, 3, 1), 8, axis=0)
    found = np.asarray(turned(jnp.asarray(x), jnp.arange(8), pp.Grid(3, 3, 1, 9)))
    assert len({image.tobytes() for image in found}) == 8


def test_the_share_of_turned_images():
    number, share = 20_000, 0.4
    turns = np.asarray(draw_turns(jax.random.split(jax.random.key(0), number), share, SQUARE))
    expected = number * np.array([1 - share] + [share / 7] * 7)
    # Five standard deviations of a count.
    assert (abs(np.bincount(turns, minlength=8) - expected) < 5 * np.sqrt(expected)).all()


def test_upright_grids_need_no_turn():
    model, x = model_of(SQUARE, turns=True), grids(SQUARE, 4)
    table = model.context_encoder.turn.embedding
    table[...] = 3 * jax.random.normal(jax.random.key(0), table.shape)
    plain = model.log_prob(x)
    np.testing.assert_array_equal(plain, model.log_prob(x, pp.Context(turn=jnp.zeros(4, int))))
    others = [model.log_prob(x, pp.Context(turn=jnp.full(4, n))) for n in range(1, 8)]
    for number, other in enumerate(others):
        assert (abs(np.array([plain, *others[:number]]) - other) > 1e-3).all()


def test_the_loss_is_that_of_turned_images_with_their_turns():
    model, x = model_of(SQUARE, turns=True, num_classes=2), grids(SQUARE, 6)
    label = jnp.arange(6) % 2
    keys = jax.random.split(jax.random.key(1), 6)
    turns = draw_turns(jax.vmap(jax.random.split)(keys)[:, 0], 0.7, SQUARE)
    assert len(set(np.asarray(turns).tolist())) > 2
    shown = np.stack([UPRIGHT_FIRST[n](image) for n, image in zip(turns, x, strict=True)])
    expected = -model.log_prob(shown, pp.Context(label=label, turn=turns)).mean()
    loss = pixel_loss(model, {"image": jnp.asarray(x), "label": label}, keys, turned_share=0.7)
    np.testing.assert_allclose(loss.value, expected / (SQUARE.size * np.log(2)), rtol=1e-6)


def test_turned_images_are_shown_without_a_class_if_classes_can_be_hidden():
    model, x = model_of(SQUARE, turns=True, num_classes=2, null_class=True), grids(SQUARE, 8)
    label, keys = jnp.arange(8) % 2, jax.random.split(jax.random.key(3), 8)
    hiding, rest = split_keys(keys, 2)
    hidden = hide_condition(pp.Context(label=label), 0.3, hiding).hidden
    turns = draw_turns(split_keys(rest, 2)[0], 0.5, SQUARE)
    assert 0 < hidden.sum() < 8 and 1 < (turns > 0).sum() < 7 and (hidden != (turns > 0)).any()
    shown = np.stack([UPRIGHT_FIRST[n](image) for n, image in zip(turns, x, strict=True)])
    context = pp.Context(label=label, turn=turns, hidden=hidden | (turns > 0))
    expected = -model.log_prob(shown, context).mean() / (SQUARE.size * np.log(2))
    batch = {"image": jnp.asarray(x), "label": label}
    loss = pixel_loss(model, batch, keys, label_dropout=0.3, turned_share=0.5)
    np.testing.assert_allclose(loss.value, expected, rtol=1e-6)
    # By default, no class is hidden.
    context = dataclasses.replace(context, hidden=None)
    others = -model.log_prob(shown, context).mean() / (SQUARE.size * np.log(2))
    assert abs(others - expected) > 1e-4


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        (jnp.array([0, 8]), r"expected turns in \[0, 8\), got 0 to 8"),
        (jnp.array([-1, 0]), r"expected turns in \[0, 8\), got -1 to 0"),
        (jnp.array([0, 1, 2]), r"one integer turn per grid, shape \(2,\), got int32 \(3,\)"),
        (jnp.array([0.0, 1.0]), r"one integer turn per grid, shape \(2,\), got float32"),
        ([0, 1], r"one integer turn per grid, shape \(2,\), got list"),
    ],
)
def test_a_turn_that_does_not_fit_is_refused(turn, message):
    with pytest.raises(InputError, match=message):
        model_of(SQUARE, turns=True).log_prob(grids(SQUARE, 2), pp.Context(turn=turn))


def test_a_model_of_upright_grids_takes_no_turn():
    with pytest.raises(InputError, match="built without turns=True"):
        model_of(SQUARE).log_prob(grids(SQUARE, 1), pp.Context(turn=jnp.zeros(1, int)))


def test_a_run_with_turned_images_is_loaded_again(tmp_path):
    settings = {"model": {"features": 8, "num_layers": 1, "head_features": 8}, "num_steps": 3}
    run = pp.fit(
        "digits", workdir=tmp_path, distribution_augmentation=0.5, progress=False, **settings
    )
    loaded = pp.load_trained(tmp_path)
    x = grids(pp.Grid(8, 8, 1, 17), 2)
    np.testing.assert_array_equal(run.model.log_prob(x), loaded.model.log_prob(x))
    # The network has weights for turns or has none, as an identity of the run.
    with pytest.raises(InputError, match="distribution_augmentation"):
        pp.fit(
            "digits", workdir=tmp_path, distribution_augmentation=0.0, progress=False, **settings
        )


def test_a_model_trains_on_turned_images_if_it_was_built_for_them():
    grid, images = pp.Grid(4, 4, 1, 3), grids(pp.Grid(4, 4, 1, 3), 40)
    run = pp.fit(model_of(grid, turns=True), images, num_steps=2, batch_size=4, progress=False)
    assert run.config["distribution_augmentation"] == 0.5
    for turns, share in ((False, 0.5), (True, 0.0)):
        with pytest.raises(
            InputError, match=f"does not fit the model; build it with turns={not turns}"
        ):
            pp.fit(
                model_of(grid, turns=turns),
                images,
                distribution_augmentation=share,
                progress=False,
            )


def test_guidance_keeps_the_turn():
    model, x = model_of(SQUARE, turns=True, num_classes=2, null_class=True), grids(SQUARE, 4)
    table = model.context_encoder.turn.embedding
    table[...] = 3 * jax.random.normal(jax.random.key(0), table.shape)
    label, turn = jnp.arange(4) % 2, jnp.array([0, 1, 5, 7])
    both = pp.Context(label=label, turn=turn)
    for scale, same in [(1.0, both), (0.0, pp.Context(turn=turn))]:
        guided = pp.guided(model, scale).log_prob(x, both)
        np.testing.assert_allclose(guided, model.log_prob(x, same), rtol=1e-5)
    assert (abs(model.log_prob(x, both) - model.log_prob(x, pp.Context(label=label)))[1:] > 0).all()


@pytest.mark.parametrize("classes", [0, 2])
def test_weights_of_upright_images_are_a_start_for_turned_ones(classes):
    upright, x = model_of(SQUARE, num_classes=classes), grids(SQUARE, 4)
    fresh = model_of(SQUARE, num_classes=classes, turns=True)
    context = pp.Context(label=jnp.arange(4) % 2) if classes else None
    started, _ = take_weights(fresh, upright, [Part("", (), ())])
    np.testing.assert_array_equal(started.log_prob(x, context), upright.log_prob(x, context))
    # And the other way round: nothing but the turns is lost.
    back, _ = take_weights(upright, started, [Part("", (), ())])
    np.testing.assert_array_equal(back.log_prob(x, context), upright.log_prob(x, context))


def test_the_bundled_model_knows_turned_images():
    run = pp.load_trained("digits")
    x = jnp.asarray(run.read("test", limit=100)[0])
    for number in range(1, 8):
        turn = jnp.full(len(x), number)
        shown = turned(x, turn, run.model.grid)
        told = pp.log_prob(run, shown, context=pp.Context(turn=turn)).mean()
        # Digits that are turned by 180 degrees cost least without their turn, about 8 nats more.
        assert told > pp.log_prob(run, shown).mean() + 5, number

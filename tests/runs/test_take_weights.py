"""What a new model takes from another one: equal arrays, rows by class, layers, codebooks."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import pixelprior as pp
from pixelprior.runs.take_weights import Names, Part, take_weights
from pixelprior.tokenizers.vector_quantizer import VectorQuantizer

GRID = pp.Grid(height=4, width=6, channels=1, levels=3)
DIGITS = pp.Grid(height=8, width=8, channels=1, levels=17)
TINY = {"features": 4, "num_layers": 2, "embedding_features": 3, "head_features": 5}
WHOLE = [Part("", (), ())]


def random_model(make, seed):
    """A model whose weights are random, so that no two arrays are equal by chance."""
    graph, shapes = nnx.split(nnx.eval_shape(make))
    rng = np.random.default_rng(seed)
    flat = [
        (path, x.replace(jnp.asarray(rng.normal(size=x.shape), x.dtype)))
        for path, x in nnx.to_flat_state(shapes)
    ]
    return nnx.merge(graph, nnx.from_flat_state(flat))


def gated(seed, grid=GRID, **settings):
    return random_model(lambda: pp.GatedPixelCNN(grid, **TINY | settings, rngs=nnx.Rngs(0)), seed)


def snail(seed, grid=GRID, **settings):
    sizes = {"num_residuals": 1} | TINY | settings
    return random_model(lambda: pp.PixelSNAIL(grid, **sizes, rngs=nnx.Rngs(0)), seed)


def tokenizer(seed, grid=DIGITS, *, codebook_size=5, strides=(2, 2), **settings):
    sizes = {"features": 4, "residual_features": 2, "num_residual_blocks": 1} | settings
    quantizer = functools.partial(VectorQuantizer, 4, codebook_size=codebook_size)
    return random_model(
        lambda: pp.VQVAE(grid, strides=strides, quantizer=quantizer, **sizes, rngs=nnx.Rngs(0)),
        seed,
    )


def arrays(model):
    return {path: np.asarray(x[...]) for path, x in nnx.to_flat_state(nnx.state(model))}


def compare(fresh, source, parts=WHOLE, **classes):
    """The model, its groups by name, and for each array whose values it has as a whole."""
    ours, theirs = arrays(fresh), arrays(source)
    model, groups = take_weights(fresh, source, parts, **classes)
    made = arrays(model)
    assert made.keys() == ours.keys()
    # The new model stays as it was.
    for path, value in arrays(fresh).items():
        np.testing.assert_array_equal(value, ours[path])
    origin = {}
    for path, value in made.items():
        assert value.dtype == ours[path].dtype
        here = np.array_equal(value, ours[path])
        there = path in theirs and np.array_equal(value, theirs[path])
        assert not (here and there)
        origin[path] = "fresh" if here else "taken" if there else "mixed"
    # The counts agree with the values.
    for group in groups:
        assert group.taken >= 0 and group.fresh >= 0
    same = sum(int((made[path] != ours[path]).sum()) for path in made)
    assert same == sum(group.taken for group in groups)
    return model, {group.name: group for group in groups}, origin


@pytest.mark.parametrize("make", [gated, snail, tokenizer])
def test_an_equal_model_is_taken_as_a_whole(make):
    _, groups, origin = compare(make(0), make(1))
    assert set(origin.values()) == {"taken"}
    assert not any(group.fresh or group.notes for group in groups.values())


def test_another_shape_keeps_what_depends_on_positions_fresh():
    other = pp.Grid(height=5, width=6, channels=1, levels=3)
    _, groups, origin = compare(snail(0, other), snail(1))
    assert [path for path, came in origin.items() if came != "taken"] == [("stem", "rows")]
    assert groups["stem"].fresh == 5 * 4
    assert groups["stem"].notes == ("stem.rows is [5, 4] here, [4, 4] there",)


def test_other_levels_keep_embedding_and_output_fresh():
    other = pp.Grid(height=4, width=6, channels=1, levels=16)
    _, groups, origin = compare(gated(0, other), gated(1))
    fresh = {path for path, came in origin.items() if came == "fresh"}
    output = {("head", "output", 0, "kernel"), ("head", "output", 0, "bias")}
    assert fresh == {("embedding", "table"), *output}
    assert groups["embedding"].taken == 0 and groups["head"].taken == 4 * 5 + 5


@pytest.mark.parametrize("null", [False, True])
@pytest.mark.parametrize("source_null", [False, True])
def test_rows_of_a_label_table_are_taken_by_class(null, source_null):
    # As many classes, other names, another order: a row never becomes that of another class.
    ours, theirs = ("dog", "owl", "cat"), ("cat", "dog", "ant")
    fresh = gated(0, num_classes=3, null_class=null)
    source = gated(1, num_classes=3, null_class=source_null)
    model, groups, origin = compare(fresh, source, names=Names(ours), source_names=Names(theirs))
    path = ("context_encoder", "label", "embedding")
    assert {name for name, came in origin.items() if came != "taken"} == {path}
    here, there, rows = arrays(fresh)[path], arrays(source)[path], arrays(model)[path]
    expected = [there[1], here[1], there[0]]
    if null:
        expected.append(there[3] if source_null else here[3])
    np.testing.assert_array_equal(rows, expected)
    new = "owl, the null class" if null and not source_null else "owl"
    assert groups["label table"].notes == (f"no row in the source for {new}",)


def test_rows_for_vectors_are_taken_by_attribute():
    ours, theirs = ("ink", "age", "slant"), ("slant", "ink")
    fresh, source = gated(0, vector_features=3), gated(1, vector_features=2)
    names = {"names": Names((), ours), "source_names": Names((), theirs)}
    model, groups, origin = compare(fresh, source, **names)
    path = ("context_encoder", "vector", "kernel")
    assert {name for name, came in origin.items() if came != "taken"} == {path}
    here, there, rows = arrays(fresh)[path], arrays(source)[path], arrays(model)[path]
    np.testing.assert_array_equal(rows, [there[1], here[1], there[0]])
    assert groups["attributes"] == ("attributes", 8, 4, ("no row in the source for age",))


def test_more_classes_than_a_note_lists():
    names = [f"class {n}" for n in range(9)]
    classes = {"names": Names(names), "source_names": Names(names[:2])}
    fresh, source = gated(0, num_classes=9), gated(1, num_classes=2)
    _, groups, _ = compare(fresh, source, **classes)
    assert groups["label table"].taken == 2 * 4
    assert groups["label table"].notes[0].endswith("class 5, class 6 and 2 more")


def test_classes_for_a_model_without_classes():
    _, groups, origin = compare(gated(0, num_classes=2), gated(1), names=Names(("a", "b")))
    note = "context_encoder.label.embedding is not in the source"
    assert groups["label table"] == ("label table", 0, 2 * 4, (note,))
    for path, came in origin.items():
        assert came == ("fresh" if "context" in path or "label" in path else "taken"), path


@pytest.mark.parametrize("make", [gated, snail])
@pytest.mark.parametrize(("ours", "its"), [(3, 2), (2, 3)])
def test_the_first_layers_are_taken(make, ours, its):
    fresh, source = make(0, num_layers=ours), make(1, num_layers=its)
    model, groups, origin = compare(fresh, source)
    here, there, made = arrays(fresh), arrays(source), arrays(model)
    for path, came in origin.items():
        if path[0] == "blocks":
            np.testing.assert_array_equal(made[path][:2], there[path][:2])
            np.testing.assert_array_equal(made[path][2:], here[path][2:])
        else:
            assert came == "taken"
    expected = {
        (3, 2): "the source has only 2 of 3 layers",
        (2, 3): "the first 2 of the source's 3 layers",
    }
    assert groups["blocks"].notes == (expected[ours, its],)
    assert bool(groups["blocks"].fresh) == (ours > its)


def test_layers_within_layers():
    fresh, source = snail(0, num_residuals=2), snail(1)
    model, _, _ = compare(fresh, source)
    path = ("blocks", "layers", "residuals", "layers", "gate", "kernel")
    here, there, made = (arrays(x)[path] for x in (fresh, source, model))
    assert here.shape[:2] == (2, 2) and there.shape[:2] == (2, 1)
    np.testing.assert_array_equal(made[:, :1], there)
    np.testing.assert_array_equal(made[:, 1:], here[:, 1:])


def codebooks(origin):
    return {path[1]: came for path, came in origin.items() if path[-1] == "codebook_vectors"}


def test_codebooks_of_another_size_stay_fresh_with_their_counts():
    _, groups, origin = compare(tokenizer(0, codebook_size=6), tokenizer(1))
    assert codebooks(origin) == {0: "fresh", 1: "fresh"}
    assert groups["codebook"].taken == 0
    assert {path[2] for path, came in origin.items() if came == "fresh"} == {"quantizer"}


def test_codebooks_stay_fresh_with_an_encoder():
    # Only the arrays that read or write the pixels have another shape.
    _, groups, origin = compare(tokenizer(0, pp.Grid(8, 8, 3, 17)), tokenizer(1))
    assert codebooks(origin) == {0: "fresh", 1: "fresh"}
    fresh = {path[1:3] for path, came in origin.items() if came == "fresh"}
    assert fresh == {(0, "down"), (0, "up"), (0, "quantizer"), (1, "quantizer")}
    assert groups["codebook"].notes == ("it starts from the new encoders",)


def test_images_of_another_size_keep_the_codebooks():
    _, _, origin = compare(tokenizer(0, pp.Grid(16, 8, 1, 17)), tokenizer(1))
    assert set(origin.values()) == {"taken"}


def test_parts_are_matched_as_given():
    fresh, source = tokenizer(0), tokenizer(1)
    parts = [
        Part("bottom", ("_levels", 0), ("_levels", 0)),
        Part("top", ("_levels", 1), None, "left out"),
    ]
    _, groups, origin = compare(fresh, source, parts)
    for path, came in origin.items():
        kept = path[1] == 1 or path[2] == "quantizer"
        assert came == ("fresh" if kept else "taken"), path
    assert groups["top decoder"].notes == groups["top codebook"].notes == ("left out",)
    # Weights outside of all parts are not counted.
    _, groups, origin = compare(fresh, source, parts[:1])
    assert {name.split()[0] for name in groups} == {"bottom"}
    assert {came for path, came in origin.items() if path[1] == 1} == {"fresh"}

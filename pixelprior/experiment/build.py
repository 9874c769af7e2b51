"""Networks from the settings of a config. Wrong settings give clear error messages."""

import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from flax import nnx

from pixelprior.errors import InputError
from pixelprior.experiment.finite import is_finite_number
from pixelprior.grid import Grid
from pixelprior.models import MODELS, GridModel
from pixelprior.models.base import COMMON_DEFAULTS
from pixelprior.prior import Prior
from pixelprior.system.prng import named_key
from pixelprior.tokenizers import TOKENIZERS, VQVAE
from pixelprior.tokenizers.code_maps import level_names
from pixelprior.tokenizers.finite_scalar_quantizer import FiniteScalarQuantizer
from pixelprior.tokenizers.quantizer import Quantizer
from pixelprior.tokenizers.vector_quantizer import VectorQuantizer

QUANTIZERS: dict[str, type[Quantizer]] = {
    "vector": VectorQuantizer,
    "finite_scalar": FiniteScalarQuantizer,
}

LARGEST = 2**20
"""Largest integer of a setting: far more layers or features than any machine holds."""


def build_model(
    settings: Mapping[str, Any],
    grid: Grid,
    *,
    num_classes: int,
    vector_features: int = 0,
    null_class: bool = False,
    turns: bool = False,
    seed: int,
) -> GridModel:
    """Build the model that ``config.model`` describes, with new weights.

    Raises:
        InputError: if there is no such model, or it does not accept a setting.
    """
    make = _model_maker(settings, "config.model")
    return make(
        grid,
        num_classes=num_classes,
        vector_features=vector_features,
        null_class=null_class,
        turns=turns,
        rngs=_weights(seed),
    )


def build_tokenizer(
    settings: Mapping[str, Any], quantizer: Mapping[str, Any], grid: Grid, *, seed: int
) -> VQVAE:
    """Build the tokenizer of ``config.tokenizer`` and ``config.quantizer``, with new weights.

    Raises:
        InputError: if there is no such tokenizer or quantizer, if it does not accept a setting, or
            if its strides do not divide the grid.
    """
    make_quantizer, arguments = _choose(quantizer, QUANTIZERS, "config.quantizer")
    _check_settings(make_quantizer, arguments, "config.quantizer", quantizer["name"])
    make, settings = _choose(settings, TOKENIZERS, "config.tokenizer")
    # All tokenizers are a VQVAE, so its constructor lists their settings.
    _check_settings(
        VQVAE, settings, "config.tokenizer", "a tokenizer", elsewhere=("grid", "quantizer"), least=1
    )
    return make(
        grid,
        quantizer=lambda rngs: make_quantizer(rngs=rngs, **arguments),
        rngs=_weights(seed),
        **settings,
    )


def build_prior(
    models: Mapping[str, Any],
    context: Mapping[str, Any],
    grids: Sequence[Grid],
    *,
    num_classes: int,
    vector_features: int = 0,
    label_dropout: float,
    seed: int,
) -> Prior:
    """Build the prior over codes of ``config.models`` and ``config.context``, with new weights.

    Raises:
        InputError: if ``models`` does not name the levels, or a model does not accept a setting.
    """
    names = level_names(len(grids))
    if set(models) != set(names):
        raise InputError(
            f"the tokenizer's levels are called {', '.join(names)}, but config.models describes "
            f"{', '.join(models) or 'none'}; describe a model for each level"
        )
    makers = [_model_maker(models[name], f"config.models.{name}") for name in names]
    _check_settings(
        Prior,
        {f"context_{key}": value for key, value in context.items()},
        "config.context",
        "the context",
        elsewhere=("grids", "models", "num_classes", "vector_features", "label_dropout"),
        prefix="context_",
        least=1,
    )
    return Prior(
        grids,
        makers,
        num_classes=num_classes,
        vector_features=vector_features,
        label_dropout=label_dropout,
        rngs=_weights(seed),
        **{f"context_{key}": value for key, value in context.items()},
    )


def _weights(seed: int) -> nnx.Rngs:
    return nnx.Rngs(named_key(seed, "weights"))


def _model_maker(settings: Mapping[str, Any], where: str) -> Callable[..., GridModel]:
    """Constructor of a model, with its settings bound."""
    if not isinstance(settings, Mapping):
        raise InputError(f"{where} must be the settings of a model, got {settings!r}")
    make, arguments = _choose(settings, MODELS, where)
    _check_settings(
        make,
        arguments,
        where,
        settings["name"],
        elsewhere=("grid", "num_classes", "null_class", "map_features", "vector_features", "turns"),
        least=1,
        rates=True,
    )
    return functools.partial(make, **arguments)


def _choose(
    settings: Mapping[str, Any], choices: Mapping[str, Any], where: str
) -> tuple[Any, dict[str, Any]]:
    """Look up the name in the settings; return its choice and the other settings."""
    arguments = dict(settings)
    name = arguments.pop("name", None)
    if not isinstance(name, str) or name not in choices:
        raise InputError(f"{where}.name must be one of {', '.join(choices)}, got {name!r}")
    return choices[name], arguments


def constructor_settings(make: type) -> dict[str, Any]:
    """Names and defaults of the arguments of a constructor, without ``rngs``.

    ``**common`` is replaced by the arguments that every model accepts.
    """
    settings: dict[str, Any] = {}
    for key, parameter in inspect.signature(make.__init__).parameters.items():  # type: ignore[misc]
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            settings = {**COMMON_DEFAULTS, **settings}
        elif key not in ("self", "rngs"):
            settings[key] = parameter.default
    return settings


def _check_settings(
    make: type,
    arguments: Mapping[str, Any],
    where: str,
    name: str,
    *,
    elsewhere: Collection[str] = (),
    prefix: str = "",
    least: int = 0,
    rates: bool = False,
) -> None:
    """Raise an InputError unless a constructor accepts these arguments, judged by its defaults.

    Args:
        make: the class.
        arguments: the arguments to check.
        where: the key of the config, for errors.
        name: the name of the object to build, for errors.
        elsewhere: arguments that a config cannot set.
        prefix: the start of the argument names that the config leaves out.
        least: the smallest integer allowed.
        rates: require all floats to be in [0, 1).
    """
    accepted = {
        key: default
        for key, default in constructor_settings(make).items()
        if key not in elsewhere and key.startswith(prefix)
    }
    for key, value in arguments.items():
        shown = key.removeprefix(prefix)
        if key not in accepted:
            known = ", ".join(name.removeprefix(prefix) for name in accepted)
            raise InputError(f"{name} has no setting {shown!r}; {where} may set {known}")
        # Settings without a default, like the features of a quantizer, are one or more integers.
        match accepted[key]:
            case bool():
                fits, wanted = isinstance(value, bool), "True or False"
            case int():
                fits = type(value) is int and least <= value <= LARGEST
                wanted = f"an integer of at least {least}"
                if type(value) is int and value > LARGEST:
                    wanted = f"an integer of at most {LARGEST:,}"
            case float():
                fits, wanted = is_finite_number(value), "a finite number"
                if rates:
                    fits, wanted = fits and 0 <= value < 1, "a number in [0, 1)"
            case str():
                fits, wanted = isinstance(value, str), "a string"
            case tuple():
                fits, wanted = isinstance(value, tuple | list), "a tuple"
            case _:
                fits, wanted = type(value) is int or isinstance(value, tuple | list), "integers"
                # The constructors check the smallest value.
                sizes = value if isinstance(value, tuple | list) else [value]
                if any(type(size) is int and size > LARGEST for size in sizes):
                    fits, wanted = False, f"integers of at most {LARGEST:,}"
        if not fits:
            raise InputError(f"{where}.{shown} must be {wanted}, got {value!r}")
    missing = [key for key, default in accepted.items() if default is inspect.Parameter.empty]
    if not set(missing) <= set(arguments):
        raise InputError(f"{where} must say {', '.join(missing)} of {name}")

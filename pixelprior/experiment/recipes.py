"""The experiments that come along: one recipe for each data set, one variant for each model.

``--config=digits`` is ``configs/digits.py``; ``--config=digits:vqvae`` is its variant of that name.
In a clone they are a folder beside the package; installed, a part of it: ``pixelprior.configs``.
"""

import dataclasses
import difflib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from pixelprior.errors import InputError

_PACKAGE = "pixelprior.configs"
UNTRAINED = (
    "A starting point that was checked but not trained to its end; nothing is claimed for it."
)


@dataclasses.dataclass(frozen=True)
class Variant:
    """One experiment of a recipe, and what is known of it.

    Attributes:
        title: what is trained.
        config: the experiment, with every key of its task.
        measured: the result of a run; empty if nobody has made one.
        source: the publication that describes the model.
    """

    title: str
    config: Mapping[str, Any]
    measured: str = ""
    source: str = ""

    @property
    def result(self) -> str:
        """A sentence that tells what was measured, or that nothing was."""
        return f"Measured: {self.measured}." if self.measured else UNTRAINED


def resolve(variants: Mapping[str, Variant], name: str) -> ConfigDict:
    """The config of one variant, which may be changed; the name "" is that of the default.

    Raises:
        InputError: if there is no such variant.
    """
    if name in variants:
        return ConfigDict(_copied(variants[name].config))
    names = [variant for variant in variants if variant]
    listed = ", ".join(names)
    if not name:
        raise InputError(f"the recipe must be given with a variant, as NAME:VARIANT, of {listed}")
    close = _close(name, names)
    hint = f"did you mean {close}? its" if close else "its"
    raise InputError(f"the recipe has no variant {name!r}; {hint} variants are {listed}")


def _copied(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same values in new dicts: one that is there twice would be set twice by one flag."""
    return {
        key: _copied(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
    }


def _close(name: str, names: Iterable[str]) -> str:
    return " or ".join(difflib.get_close_matches(name, list(names)))


def config_folder() -> Path:
    """The folder of the recipes."""
    package = Path(__file__).parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def recipes() -> dict[str, ModuleType]:
    """All recipes by name: modules with a ``get_config`` and the ``VARIANTS`` that it knows."""
    make_importable()
    stems = sorted(file.stem for file in config_folder().glob("*.py") if file.stem != "__init__")
    modules = {stem: importlib.import_module(f"{_PACKAGE}.{stem}") for stem in stems}
    return {stem: module for stem, module in modules.items() if hasattr(module, "VARIANTS")}


def all_variants() -> dict[str, Variant]:
    """Every experiment by its whole name, such as ``digits`` or ``digits:vqvae``."""
    return {
        f"{recipe}:{name}".removesuffix(":"): variant
        for recipe, module in recipes().items()
        for name, variant in module.VARIANTS.items()
    }


def load_recipe(name: str) -> dict[str, Any]:
    """The config of ``digits``, or ``digits:vqvae``, with every key.

    Raises:
        InputError: if there is no such recipe or variant.
    """
    recipe, variant = _parts(name)
    return recipes()[recipe].get_config(variant).to_dict()


def config_file(config: str) -> str:
    """The file that ``--config`` names, with its variant; a path stays as it is.

    Raises:
        InputError: if it is no file, and no recipe has the name.
    """
    # A folder of the name may be there: the run of that recipe, say.
    if config.endswith(".py") or ".py:" in config or Path(config).is_file():
        return config
    recipe, variant = _parts(config)
    return f"{config_folder() / recipe}.py:{variant}".removesuffix(":")


def _parts(name: str) -> tuple[str, str]:
    """The recipe and the variant that a name is made of."""
    recipe, _, variant = name.partition(":")
    names = list(recipes())
    if recipe in names:
        return recipe, variant
    close = _close(name, all_variants())
    hint = f"did you mean {close}?" if close else "`pixelprior configs` lists them"
    raise InputError(f"config must be a file, or the name of a recipe, got {name!r}; {hint}")


def make_importable() -> None:
    """Has ``from pixelprior.configs import digits`` find the recipes that belong to this package.

    A clone needs it, whether another copy of the package is installed or none.
    """
    folder = config_folder()
    if folder.parent == Path(__file__).parents[1]:
        return
    known = sys.modules.get(_PACKAGE)
    if known is None or str(folder) not in known.__path__:
        spec = importlib.machinery.ModuleSpec(_PACKAGE, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)

"""Included experiments: one recipe for each data set, with one variant for each model.

``--config=digits`` is ``configs/digits.py``. ``--config=digits:vqvae`` is its variant ``vqvae``. In
a clone, the recipes are in the folder ``configs`` next to the package. An installed package has
them inside, as ``pixelprior.configs``.
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
UNTRAINED = "A starting point: the model can be built, but was not trained to its end."


@dataclasses.dataclass(frozen=True)
class Variant:
    """One experiment of a recipe, with its measured result.

    Attributes:
        title: the name of the model that is trained.
        config: the config, with every key of its task.
        measured: the result of a run; empty if there is none.
        source: the publication that describes the model.
    """

    title: str
    config: Mapping[str, Any]
    measured: str = ""
    source: str = ""

    @property
    def result(self) -> str:
        """Sentence with the measured result, or `UNTRAINED` if there is none."""
        return f"Measured: {self.measured}." if self.measured else UNTRAINED


def resolve(variants: Mapping[str, Variant], name: str) -> ConfigDict:
    """Return a new config of one variant. The name "" is the default variant.

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
    """Copy all dicts. If two keys shared one dict, one flag would change both."""
    return {
        key: _copied(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
    }


def _close(name: str, names: Iterable[str]) -> str:
    return " or ".join(difflib.get_close_matches(name, list(names)))


def config_folder() -> Path:
    """Folder of the recipes."""
    package = Path(__file__).parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def recipes() -> dict[str, ModuleType]:
    """All recipes by name: modules with a function ``get_config`` and a mapping ``VARIANTS``."""
    make_importable()
    stems = sorted(file.stem for file in config_folder().glob("*.py") if file.stem != "__init__")
    modules = {stem: importlib.import_module(f"{_PACKAGE}.{stem}") for stem in stems}
    return {stem: module for stem, module in modules.items() if hasattr(module, "VARIANTS")}


def all_variants() -> dict[str, Variant]:
    """Every variant by its full name, such as ``digits`` or ``digits:vqvae``."""
    return {
        f"{recipe}:{name}".removesuffix(":"): variant
        for recipe, module in recipes().items()
        for name, variant in module.VARIANTS.items()
    }


def load_recipe(name: str) -> dict[str, Any]:
    """Load the config of a full name like ``digits`` or ``digits:vqvae``, with every key.

    Raises:
        InputError: if there is no such recipe or variant.
    """
    recipe, variant = _parts(name)
    return recipes()[recipe].get_config(variant).to_dict()


def config_file(config: str) -> str:
    """Replace the name of a recipe by the path of its file, with its variant; keep other paths.

    Raises:
        InputError: if there is no such file and no recipe with that name.
    """
    # A folder may have the name of a recipe, for example the folder of its run.
    if config.endswith(".py") or ".py:" in config or Path(config).is_file():
        return config
    recipe, variant = _parts(config)
    return f"{config_folder() / recipe}.py:{variant}".removesuffix(":")


def _parts(name: str) -> tuple[str, str]:
    """Split a full name into the recipe and the variant."""
    recipe, _, variant = name.partition(":")
    names = list(recipes())
    if recipe in names:
        return recipe, variant
    close = _close(name, all_variants())
    hint = f"did you mean {close}?" if close else "`pixelprior configs` lists them"
    raise InputError(f"config must be a file, or the name of a recipe, got {name!r}; {hint}")


def make_importable() -> None:
    """Make ``from pixelprior.configs import digits`` find the recipes of this package.

    Only a clone needs this. It also works if another copy of the package is installed.
    """
    folder = config_folder()
    if folder.parent == Path(__file__).parents[1]:
        return
    known = sys.modules.get(_PACKAGE)
    if known is None or str(folder) not in known.__path__:
        spec = importlib.machinery.ModuleSpec(_PACKAGE, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)

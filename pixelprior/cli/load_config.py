"""The config of a file, or of a recipe by name. Each error is one sentence with its line."""

import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from pixelprior.errors import InputError
from pixelprior.experiment.recipes import config_file
from pixelprior.system.home import expand_home

_MODULE = "pixelprior_config"


def load_config(name: str) -> ConfigDict:
    """Load the config of a file or a recipe, with its keys locked.

    Args:
        name: the path of a Python file or the name of a recipe, and after a colon the variant.

    Raises:
        InputError: if there is no such file, recipe or variant, or the file gives no config.
    """
    parts = re.fullmatch(r"(.*?\.py)(?::(.*))?", config_file(expand_home(name)), re.DOTALL)
    if parts is None:
        raise InputError(f"config must be a Python file, or the name of a recipe, got {name!r}")
    path, variant = parts.groups()
    _check_readable(path)
    try:
        config = _config_of(path, [variant] if variant else [])
        if isinstance(config, ConfigDict | Mapping):
            return ConfigDict(config).lock()
    except InputError:
        raise
    # The code of the user may raise any error.
    except Exception as error:
        raise InputError(_sentence(error, path)) from error
    raise InputError(f"{path}: get_config must return a ConfigDict, got {config!r:.80}")


def _check_readable(path: str) -> None:
    try:
        open(path, "rb").close()
    except OSError as error:
        raise InputError(
            f"the config file {path} cannot be read ({error.strerror}); give another, or a recipe: "
            "`pixelprior configs` lists them"
        ) from error


def _config_of(path: str, arguments: list[str]) -> Any:
    """Import a config file, and return the result of its ``get_config``."""
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    assert spec is not None and spec.loader is not None  # the file is a Python file
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look up their module by its name.
    sys.modules[_MODULE] = module
    spec.loader.exec_module(module)
    get_config = getattr(module, "get_config", None)
    if not callable(get_config):
        raise InputError(
            f"{path} has no function get_config; it must have one that returns the config"
        )
    return get_config(*arguments)


def _sentence(error: Exception, path: str) -> str:
    """Describe an error, with the line of the config file that it comes from, if there is one."""
    file = os.path.abspath(path)  # as Python names an imported file
    if isinstance(error, SyntaxError) and error.filename == file:
        line, words = error.lineno, error.msg
    else:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in reversed(frames) if frame.filename == file), None)
        words = str(error)
    place = f"{path}, line {line}" if line else path
    return " ".join(f"{place}: {type(error).__name__}: {words}".split()).removesuffix(":")

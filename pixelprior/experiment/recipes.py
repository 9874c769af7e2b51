"""The configs that come along, by name: ``--config=digits`` is that of ``configs/digits.py``.

In a clone they are a folder beside the package; installed, a part of it: ``pixelprior.configs``.
"""

import ast
import difflib
import importlib.machinery
import importlib.util
import sys
from pathlib import Path

from pixelprior.errors import InputError


def config_folder() -> Path:
    """Where the shipped configs are."""
    package = Path(__file__).parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def config_titles() -> dict[str, str]:
    """Their names, each with the first line of what its file says."""
    files = [file for file in sorted(config_folder().glob("*.py")) if file.stem != "__init__"]
    texts = {file.stem: ast.get_docstring(ast.parse(file.read_text())) or "" for file in files}
    return {name: text.partition("\n")[0] for name, text in texts.items()}


def config_file(config: str) -> str:
    """The file that is meant by ``--config``: a path stays as it is, a name is a shipped one's.

    Raises:
        InputError: if it is no file, and no shipped config has the name.
    """
    # A folder of the name may be there: the run of that config, say.
    if config.endswith(".py") or ".py:" in config or Path(config).is_file():
        return config
    names = list(config_titles())
    if config in names:
        return str(config_folder() / f"{config}.py")
    close = difflib.get_close_matches(config, names)
    hint = f"did you mean {' or '.join(close)}?" if close else "`pixelprior configs` lists them"
    raise InputError(
        f"config must be a file, or the name of a shipped config, got {config!r}; {hint}"
    )


def make_importable() -> None:
    """Has ``from pixelprior.configs import digits`` work in a clone that is not installed too.

    Where the package is installed, also from a clone in place (``pip install -e .``), it does so
    anyhow.
    """
    name = "pixelprior.configs"
    if importlib.util.find_spec(name) is None:
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(config_folder())]
        sys.modules[name] = importlib.util.module_from_spec(spec)

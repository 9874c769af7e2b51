"""Configs as plain dicts, from the types in which a caller may have them."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from ml_collections import ConfigDict
from ml_collections.config_dict import RequiredValueError

from pixelprior.errors import InputError

Config: TypeAlias = Mapping[str, Any] | ConfigDict
"""A config or a part of one: a dict, a ``ConfigDict`` or a ``FrozenConfigDict``, also nested."""


def plain(config: Config) -> dict[str, Any]:
    """Return a config as a dict of dicts; its other values stay the same.

    Raises:
        InputError: if it is no config, a key is no string, or a required value is not set.
    """
    if isinstance(config, ConfigDict):
        try:
            config = config.to_dict()
        except RequiredValueError as error:
            raise InputError(
                "the config has a required value that is not set; set it before the config is used"
            ) from error
    if not isinstance(config, Mapping):
        raise InputError(f"a config must be a dict or a ConfigDict, got {config!r:.80}")
    for key in config:
        if not isinstance(key, str):
            raise InputError(f"the keys of a config must be strings, got {key!r:.80}")
    return {
        key: plain(value) if isinstance(value, Mapping | ConfigDict) else value
        for key, value in config.items()
    }

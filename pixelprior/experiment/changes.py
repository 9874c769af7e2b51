"""Changes to a config by keyword arguments."""

import difflib
from collections.abc import Mapping
from typing import Any

from pixelprior.errors import InputError
from pixelprior.experiment.normal_form import in_normal_form
from pixelprior.experiment.plain import Config, plain

FOLLOW_NUM_STEPS = ("warmup_steps", "checkpoint_every", "sample_every", "log_every")


def with_settings(config: Config, settings: Config) -> dict[str, Any]:
    """Return a config with some keys changed, in normal form.

    A new ``num_steps`` scales the keys in `FOLLOW_NUM_STEPS`, unless they are set too.

    Args:
        config: a config with every key of its task.
        settings: keys and new values. A mapping changes only some keys of a nested mapping.

    Raises:
        InputError: if the config does not have a key.
    """
    config, settings = plain(config), plain(settings)
    changed = _changed(config, settings, "")
    steps = settings.get("num_steps")
    # `check_config` raises an InputError for any other value.
    if isinstance(steps, int) and steps > 0:
        for key in FOLLOW_NUM_STEPS:
            if key not in settings:
                least = 0 if key == "warmup_steps" else 1
                changed[key] = max(least, round(config[key] * steps / config["num_steps"]))
    return in_normal_form(changed)


def _changed(config: Mapping[str, Any], settings: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    changed = dict(config)
    for key, value in settings.items():
        if key not in config:
            close = difflib.get_close_matches(key, list(config))
            hint = f"did you mean {close[0]}?" if close else f"the settings are {', '.join(config)}"
            raise InputError(f"there is no setting {prefix}{key}; {hint}")
        nested = config[key]
        if isinstance(nested, Mapping) and isinstance(value, Mapping):
            # Another network has other settings, so the new settings replace those of the recipe.
            replaces = "name" in value and value["name"] != nested.get("name")
            changed[key] = dict(value) if replaces else _changed(nested, value, f"{prefix}{key}.")
        else:
            changed[key] = value
    return changed

"""The recipe that a config comes from."""

import json
from collections.abc import Mapping
from typing import Any

from pixelprior.experiment.recipes import all_variants
from pixelprior.experiment.schema import complete


def recipe_of(config: Mapping[str, Any]) -> str | None:
    """Full name of the recipe with exactly this config, wherever its data are; None if none has."""

    def text(settings: Mapping[str, Any]) -> str:
        return json.dumps({**complete(settings), "data_dir": ""}, sort_keys=True)

    wanted = text(config)
    variants = all_variants().items()
    return next((name for name, variant in variants if text(variant.config) == wanted), None)

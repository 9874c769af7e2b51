"""The recipe that a config comes from."""

import json
from collections.abc import Mapping
from typing import Any

from pixelprior.experiment.recipes import all_variants
from pixelprior.experiment.schema import complete


def recipe_of(config: Mapping[str, Any]) -> str | None:
    """Full name of the recipe of a run, from the run's config; None if no recipe fits.

    The place of the data does not matter. A run records the number of parts of a batch that was
    chosen for it. A recipe that leaves this choice open fits every number.
    """

    def text(settings: Mapping[str, Any]) -> str:
        return json.dumps(settings, sort_keys=True)

    wanted = complete(config)
    for name, variant in all_variants().items():
        recipe = complete(variant.config)
        open_choices: dict[str, Any] = {"data_dir": ""}
        if recipe.get("accumulate_steps") == 0:
            open_choices["accumulate_steps"] = 0
        # As text, because JSON has lists in the place of tuples.
        if text(recipe | open_choices) == text(wanted | open_choices):
            return name
    return None

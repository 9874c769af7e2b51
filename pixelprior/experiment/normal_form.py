"""The normal form of a config, with an ``image_size`` of one number written in full."""

from collections.abc import Mapping
from typing import Any


def in_normal_form(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config whose ``image_size`` is (height, width), also for a square.

    Values of a wrong type stay as they are; `check_config` refuses them.
    """
    size = config.get("image_size")
    side = size[0] if isinstance(size, tuple | list) and len(size) == 1 else size
    if not isinstance(side, int) or isinstance(side, bool):
        return dict(config)
    return {**config, "image_size": (side, side)}

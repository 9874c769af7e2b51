"""Names of the conditions of a config."""

from collections.abc import Mapping
from typing import Any


def conditioning_in_words(config: Mapping[str, Any]) -> str:
    """Describe the conditions of a model: "class-conditional" and the like; "" for none."""
    kinds = [kind for kind in ("class", "attribute") if config.get(f"{kind}_conditional")]
    return f"{'- and '.join(kinds)}-conditional" if kinds else ""

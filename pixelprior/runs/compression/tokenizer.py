"""Identity of the tokenizer that decodes compressed codes."""

from collections.abc import Mapping
from typing import Any

from pixelprior.errors import InputError
from pixelprior.nn.weights_hash import hash_weights
from pixelprior.runs.run import Run

_KEY = "tokenizer"


def facts_of_tokenizer(run: Run) -> dict[str, str]:
    """Return the fingerprint of the tokenizer of a prior, for the header; nothing for others."""
    if run.tokenizer is None:
        return {}
    return {_KEY: hash_weights(run.tokenizer, {"model": type(run.tokenizer).__name__})}


def check_tokenizer(run: Run, about: Mapping[str, Any], name: str) -> None:
    """Raise an InputError if another tokenizer made the codes of a file.

    Its images would be wrong, and the checksums are those of the codes.
    """
    ours = facts_of_tokenizer(run)
    if ours and about.get(_KEY) != ours[_KEY]:
        raise InputError(
            f"another tokenizer than that of {run.place} made the codes of {name}; give the run "
            "that compressed them with --workdir"
        )

"""Exported files on the Hugging Face Hub, by addresses like ``hf://user/repo``."""

import re
from pathlib import Path

from pixelprior.errors import InputError
from pixelprior.runs.one_file.layout import FILE_NAME

START = "hf://"


def download(address: str) -> Path:
    """Download a file of the Hub into the user's cache, unless it is there already.

    Args:
        address: ``hf://user/repo`` for the file ``model.safetensors`` of a repository, or
            ``hf://user/repo/path`` for another one.

    Raises:
        InputError: if the address is malformed, the package huggingface_hub is missing, or the file
            cannot be downloaded.
    """
    parts = re.fullmatch(r"hf://([\w.-]+/[\w.-]+)(?:/([\w./-]+))?", address)
    if parts is None:
        raise InputError(
            f"expected an address like hf://user/repo or hf://user/repo/file, got {address!r:.200}"
        )
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise InputError(
            f"{address} needs the package huggingface_hub; install it with "
            "`pip install pixelprior[hub]`"
        ) from error
    repo, file = parts.groups()
    try:
        return Path(hf_hub_download(repo_id=repo, filename=file or FILE_NAME))
    # The library raises errors of its own, of its HTTP client and of the system.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [repr(error)])[0]
        raise InputError(
            f"{address} cannot be downloaded ({reason[:300]}); check the address, the connection "
            "and your access to the repository"
        ) from error

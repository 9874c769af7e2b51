"""Print a script that completes commands, flags and their values with the Tab key.

source <(pixelprior completion bash)
source <(pixelprior completion zsh)
pixelprior completion fish | source

The line of your shell loads the script. To load it in every session, add the line to ~/.bashrc,
to ~/.zshrc after compinit, or to ~/.config/fish/config.fish.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pixelprior.cli import app
from pixelprior.cli.flags import Flags
from pixelprior.cli.help import FlagGroups
from pixelprior.errors import InputError

FLAGS = Flags()

FLAG_GROUPS: FlagGroups = {}

SHELLS = ("bash", "zsh", "fish")


def main(names: Sequence[str]) -> None:
    """Print the script of one shell."""
    if len(names) != 1 or names[0] not in SHELLS:
        raise InputError(
            f"completion takes one shell of {', '.join(SHELLS)}, got {' '.join(names) or 'none'}; "
            "as in source <(pixelprior completion bash)"
        )
    script = Path(__file__).parent / "shells" / f"complete.{names[0]}"
    print(script.read_text(), end="", flush=True)


def run() -> NoReturn:
    """Run the command line and exit the process."""
    app.run(main, FLAGS, FLAG_GROUPS, takes_names=True, uses_jax=False)

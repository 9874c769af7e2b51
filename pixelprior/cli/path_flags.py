"""Flags that are paths. Shells expand ``~`` only at the start of a word, which a flag is not."""

from absl import flags

from pixelprior.system.home import expand_home
from pixelprior.system.paths import checked_path


class PathParser(flags.ArgumentParser):
    """Parser of a path, with ``~`` for the home folder."""

    def parse(self, argument: str) -> str:
        """Replace ``~`` in a path. The empty path is allowed."""
        path = expand_home(argument)
        return str(checked_path(path, "a path")) if path else path

    def flag_type(self) -> str:
        """Name of the type."""
        return "path"


class RunParser(PathParser):
    """Parser of a run.

    Attributes:
        bundled: an exported file or the name of a bundled model is a run, too.
    """

    def __init__(self, *, bundled: bool) -> None:
        super().__init__()
        self.bundled = bundled

    def flag_type(self) -> str:
        """Name of the type."""
        return "run"

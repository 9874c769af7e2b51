"""Flags that are paths. Shells expand ``~`` only at the start of a word, which a flag is not."""

from absl import flags

from pixelprior.system.home import expand_home
from pixelprior.system.paths import checked_path


class PathParser(flags.ArgumentParser):
    """Parser of a path, with ``~`` for the home folder.

    Attributes:
        may_be_empty: the empty path has a meaning of its own.
    """

    def __init__(self, *, may_be_empty: bool = False) -> None:
        super().__init__()
        self.may_be_empty = may_be_empty

    def parse(self, argument: str) -> str:
        """Replace ``~`` in a path.

        Raises:
            ValueError: if the path is empty and may not be.
        """
        if not argument:
            if self.may_be_empty:
                return argument
            raise ValueError("it is empty; give a path, or leave the flag out")
        return str(checked_path(expand_home(argument), "a path"))

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

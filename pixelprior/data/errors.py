"""The one exception of this package."""

from pixelprior.errors import InputError


class DataError(InputError):
    """Data that cannot be used as asked: its message says what was expected, what came, what to do.

    The message is a whole sentence or two, fit to be shown to a command-line user as it is.
    """

"""Exception of this package."""

from pixelprior.errors import InputError


class DataError(InputError):
    """Data that cannot be used as requested.

    The message names the expected and the actual data, and a remedy. It is one or two sentences
    that the command line can show unchanged.
    """

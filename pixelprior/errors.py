"""The one kind of error that is not a bug: something handed in cannot be used."""


class InputError(ValueError):
    """Something a user handed in cannot be used.

    The message says what was expected, what came, and what to do, and is shown as it is by the
    command lines. Everything else that goes wrong keeps its traceback.
    """

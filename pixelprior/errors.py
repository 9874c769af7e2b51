"""The one error that is not a bug: the user's input cannot be used."""


class InputError(ValueError):
    """User input that cannot be used.

    The message states what was expected, the input that was found, and the remedy. The command
    lines show it unchanged. All other errors keep their traceback.
    """

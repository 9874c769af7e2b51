"""Reasons of the operating system for a failed write, such as a full disk."""

import errno
import os

_CODES = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EIO,
)


def reason_of_system(error: BaseException) -> str | None:
    """Find the reason of the system in an error, in its causes or in its message.

    Returns:
        The reason, such as "No space left on device"; None if there is none.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    # TensorStore has the words of the system in a long message.
    return next((os.strerror(code) for code in _CODES if os.strerror(code) in str(error)), None)

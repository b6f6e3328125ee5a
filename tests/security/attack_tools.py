"""What attacks are written with; runs in the attacked container, not in the tests."""

import ctypes as _ctypes
import errno as _errno
import os as _os


def call(number, *arguments):
    """Make a system call; return its result, or the name of its error."""
    longs = [_ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    outcome = _ctypes.CDLL(None, use_errno=True).syscall(_ctypes.c_long(number), *longs)
    return outcome if outcome >= 0 else _errno.errorcode[_ctypes.get_errno()]


def attempt(work, *arguments):
    """Do something; return what came out as text, or the name of its error."""
    try:
        return repr(work(*arguments))
    except OSError as error:
        return _errno.errorcode.get(error.errno, type(error).__name__)


def read(path, size=4096):
    """Return the first bytes of a file, or the name of the error."""

    def do():
        descriptor = _os.open(path, _os.O_RDONLY | _os.O_NONBLOCK)
        try:
            return _os.read(descriptor, size)
        finally:
            _os.close(descriptor)

    return attempt(do)


def write(path, data=b"x"):
    """Overwrite a file's start; return the name of the error, or the number of bytes."""

    def do():
        descriptor = _os.open(path, _os.O_WRONLY | _os.O_NONBLOCK)
        try:
            return _os.write(descriptor, data)
        finally:
            _os.close(descriptor)

    return attempt(do)

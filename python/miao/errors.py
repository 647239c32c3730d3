"""Exceptions of miao: one class for each error code, all of them miao.Error."""

from __future__ import annotations


class Error(Exception):
    """What a file, an argument, the network or the machine can cause.

    ``code`` is the kind of the error, the same for all of a class; ``where`` is the place: a file with an offset, tensor
    or key, or the name of an argument; it may be empty. ``str(error)`` has both and says how to mend it.
    """

    code: str = "error"

    def __init__(self, message: str = "", where: str = "") -> None:
        super().__init__(message)
        self.where = where

    def __reduce__(self) -> tuple[type[Error], tuple[object, ...]]:  # so that it passes from one process to another
        return type(self), (*self.args, self.where)


class NotFound(Error):
    """There is no such file, model, or part of a model."""

    code = "not_found"


class Corrupt(Error):
    """A file contradicts itself or its format."""

    code = "corrupt"


class Unsupported(Error):
    """The file or request is sound, but miao does not know its kind."""

    code = "unsupported"


class Invalid(Error, ValueError):
    """An argument or a value in a file is not one that can be used."""

    code = "invalid"


class OutOfMemory(Error, MemoryError):
    """More memory is needed than there is; the message has the numbers."""

    code = "out_of_memory"


class Busy(Error):
    """Something that is needed is in use, such as the last thread that the system grants."""

    code = "busy"


class Cancelled(Error):
    """The work was stopped before it was done."""

    code = "cancelled"


class Io(Error, OSError):
    """The system or the network failed to read or write."""

    code = "io"


class Device(Error):
    """A device failed."""

    code = "device"


class Bug(Error):
    """A mistake in miao itself; please report it. The interpreter and the model live on."""

    code = "bug"

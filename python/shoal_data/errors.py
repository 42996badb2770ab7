"""Errors of the data layer, one class for each status of shoal_data.h; the message names the offending value or file."""

from typing import Any


class DataStorageError(Exception):
    """Something the data layer could not do. `status` is shoal_data.h's name for it, such as "NOT_FOUND".

    `partial` holds what could be loaded all the same, and `problems` a sentence for each thing that could not, where
    the call says so (damaged bars or documents, a clean-up that could not remove everything).
    """

    status = "UNKNOWN"

    def __init__(self, message: str, partial: Any = None, problems: tuple[str, ...] = ()):
        super().__init__(message)
        self.message = message
        self.partial = partial
        self.problems = problems

    def __reduce__(self) -> Any:
        return type(self), (self.message, None, self.problems)


class InvalidError(DataStorageError, ValueError):
    """An argument: symbol, timeframe, name, JSON, time or range."""

    status = "INVALID"


class NotFoundError(DataStorageError, LookupError):
    """No such document, checkpoint, version or directory."""

    status = "NOT_FOUND"


class AlreadyExistsError(DataStorageError):
    """It is there already and may not be replaced."""

    status = "EXISTS"


class SchemaMismatchError(DataStorageError, ValueError):
    """Columns, given or stored, that do not fit: missing, of a wrong type, of different length."""

    status = "SCHEMA_MISMATCH"


class DamagedError(DataStorageError):
    """Stored data that cannot be read; the file is named, and `partial` has the rest."""

    status = "DAMAGED"


class ChecksumError(DataStorageError):
    """Stored bytes are not those that were written."""

    status = "CHECKSUM"


class NoSpaceError(DataStorageError):
    """The disk or the quota is full; what was there is intact."""

    status = "NO_SPACE"


class UnavailableError(DataStorageError, TimeoutError):
    """The database did not answer within the bounded wait."""

    status = "UNAVAILABLE"


class BusyError(DataStorageError):
    """Another worker is doing this; try again."""

    status = "BUSY"


class StorageIOError(DataStorageError, OSError):
    """The operating system or the database says no."""

    status = "IO"


class OutOfMemoryError(DataStorageError, MemoryError):
    """No memory for the answer."""

    status = "NO_MEMORY"


class UnsupportedError(DataStorageError):
    """Not by this backend, file system, server or build of the library."""

    status = "UNSUPPORTED"


class StoragePermissionError(DataStorageError, PermissionError):
    """Not allowed by the file system or the database."""

    status = "PERMISSION"


class ClosedError(DataStorageError):
    """The storage was closed before the call."""

    status = "CLOSED"


BY_STATUS: dict[int, type[DataStorageError]] = {
    1: InvalidError, 2: NotFoundError, 3: AlreadyExistsError, 4: SchemaMismatchError, 5: DamagedError,
    6: ChecksumError, 7: NoSpaceError, 8: UnavailableError, 9: BusyError, 10: StorageIOError,
    11: OutOfMemoryError, 12: UnsupportedError, 13: StoragePermissionError,
}

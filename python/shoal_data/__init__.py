"""The workers' data layer: bars, documents, checkpoints and results of many workers, in a directory or in PostgreSQL."""

from ._library import version
from .bars import Bars
from .checkpoints import Checkpoint, CheckpointReader, CheckpointWriter
from .errors import (AlreadyExistsError, BusyError, ChecksumError, ClosedError, DamagedError, DataStorageError,
                     InvalidError, NoSpaceError, NotFoundError, OutOfMemoryError, SchemaMismatchError,
                     StorageIOError, StoragePermissionError, UnavailableError, UnsupportedError)
from .results import CheckpointEntry, Compaction, DirectoryUse, Document, Health, Removed, Report, Series
from .storage import DataStorageInterface, EFSDataStorage, NeonDataStorage, open_storage
from .store import Kind, Store

__all__ = [
    "AlreadyExistsError", "Bars", "BusyError", "Checkpoint", "CheckpointEntry", "CheckpointReader", "CheckpointWriter",
    "ChecksumError", "ClosedError", "Compaction", "DamagedError", "DataStorageError", "DataStorageInterface",
    "DirectoryUse", "Document", "EFSDataStorage", "Health", "InvalidError", "Kind", "NeonDataStorage", "NoSpaceError",
    "NotFoundError", "OutOfMemoryError", "Removed", "Report", "SchemaMismatchError", "Series", "StorageIOError",
    "StoragePermissionError", "Store", "UnavailableError", "UnsupportedError", "open_storage", "version",
]

"""libshoal-data by ctypes: the structs and functions of shoal_data.h, whose comments are the reference.

ctypes gives up Python's global lock during each call, so that calls in several threads run at once.
"""

import ctypes
import os
import pathlib
from ctypes import POINTER, byref, c_char, c_char_p, c_double, c_int32, c_int64, c_uint32, c_uint64, c_void_p
from typing import Any

from . import errors

SONAME = "libshoal-data.so.0"
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
DAMAGED, IO = 5, 10


class Error(ctypes.Structure):
    _fields_ = [("status", c_int32), ("message", c_char * 512)]


class Options(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("create", c_uint32), ("threads", c_uint32), ("timeout_ms", c_uint32),
                ("pool_min", c_uint32), ("pool_max", c_uint32)]


class Item(ctypes.Structure):
    _fields_ = [("id", c_char_p), ("name", c_char_p), ("symbol", c_char_p), ("timeframe", c_char_p),
                ("time_s", c_int64), ("generation", c_int64), ("version", c_uint64), ("size_bytes", c_uint64),
                ("text", c_void_p)]


class Document(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("kind", c_int32), ("symbol", c_char_p), ("timeframe", c_char_p),
                ("name", c_char_p), ("generation", c_int64), ("time_s", c_int64), ("json", c_char_p),
                ("json_size", c_uint64)]


class Query(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("kind", c_int32), ("symbol", c_char_p), ("timeframe", c_char_p),
                ("name", c_char_p), ("generation", c_int64), ("from_s", c_int64), ("to_s", c_int64),
                ("limit", c_uint64), ("flags", c_uint32)]


class Bars(ctypes.Structure):
    _fields_ = [("count", c_uint64), ("timestamp_ns", c_void_p), ("open", c_void_p), ("high", c_void_p),
                ("low", c_void_p), ("close", c_void_p), ("volume", c_void_p)]


class Series(ctypes.Structure):
    _fields_ = [("symbol", c_char_p), ("timeframe", c_char_p), ("bars", Bars)]


class Compaction(ctypes.Structure):
    _fields_ = [("series", c_uint64), ("parts_before", c_uint64), ("parts_after", c_uint64),
                ("bytes_before", c_uint64), ("bytes_after", c_uint64)]


class WriterOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("shard_index", c_uint32), ("shard_count", c_uint32),
                ("session", c_char_p), ("size_bytes", c_uint64)]


class CheckpointInfo(ctypes.Structure):
    _fields_ = [("version", c_uint64), ("size_bytes", c_uint64), ("saved_s", c_int64), ("metadata_json", c_char_p),
                ("shard_count", c_uint32), ("is_verified", c_uint32)]


class Retention(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("minimize", c_uint32), ("keep_last", c_uint64), ("keep_best", c_uint64),
                ("metric", c_char_p), ("dry_run", c_uint32)]


class ReportRow(ctypes.Structure):
    _fields_ = [("directory", c_char_p), ("files", c_uint64), ("bytes", c_uint64)]


class CleanRule(ctypes.Structure):
    _fields_ = [("directory", c_char_p), ("days", c_int64)]


class CleanOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("dry_run", c_uint32), ("days", c_int64), ("rules", POINTER(CleanRule)),
                ("rule_count", c_uint64)]


class Health(ctypes.Structure):
    _fields_ = [("is_ok", c_uint32), ("reserved", c_uint32), ("write_us", c_uint64), ("read_us", c_uint64),
                ("free_bytes", c_uint64), ("backend", c_char * 16), ("location", c_char * 512),
                ("detail", c_char * 512)]


_OUT = POINTER(c_void_p)
_ERROR = POINTER(Error)
_STATUS: dict[str, list[Any]] = {  # functions that give a status; the error comes last in each
    "open": [c_char_p, POINTER(Options), _OUT],
    "save_document": [c_void_p, POINTER(Document), c_char_p, c_uint64],
    "save_documents": [c_void_p, POINTER(Document), c_uint64, POINTER(c_uint64)],
    "load_documents": [c_void_p, POINTER(Query), _OUT],
    "load_document": [c_void_p, c_int32, c_char_p, _OUT],
    "delete_document": [c_void_p, c_int32, c_char_p],
    "append_bars": [c_void_p, c_char_p, c_char_p, POINTER(Bars)],
    "append_bars_many": [c_void_p, POINTER(Series), c_uint64, POINTER(c_uint64)],
    "load_bars": [c_void_p, c_char_p, c_char_p, c_int64, c_int64, c_uint32, _OUT],
    "load_bars_many": [c_void_p, POINTER(c_char_p), c_uint64, c_char_p, c_int64, c_int64, c_uint32, _OUT],
    "list_series": [c_void_p, c_char_p, _OUT],
    "compact_bars": [c_void_p, c_char_p, c_char_p, POINTER(Compaction)],
    "save_checkpoint": [c_void_p, c_char_p, c_void_p, c_uint64, c_char_p, POINTER(c_uint64)],
    "writer_begin": [c_void_p, c_char_p, POINTER(WriterOptions), _OUT],
    "writer_write": [c_void_p, c_uint64, c_void_p, c_uint64],
    "writer_finish": [c_void_p],
    "commit_checkpoint": [c_void_p, c_char_p, c_char_p, c_uint32, c_char_p, POINTER(c_uint64)],
    "abort_checkpoint": [c_void_p, c_char_p, c_char_p],
    "checkpoint_open": [c_void_p, c_char_p, c_uint64, _OUT],
    "checkpoint_shard": [c_void_p, c_uint32, POINTER(c_uint64), POINTER(c_uint64)],
    "checkpoint_read": [c_void_p, c_uint64, c_void_p, c_uint64],
    "list_checkpoints": [c_void_p, _OUT],
    "list_versions": [c_void_p, c_char_p, _OUT],
    "retain_checkpoints": [c_void_p, c_char_p, POINTER(Retention), POINTER(c_uint64), POINTER(c_uint64)],
    "delete_checkpoint": [c_void_p, c_char_p, c_uint64],
    "clean": [c_void_p, POINTER(CleanOptions), _OUT],
    "usage": [c_void_p, _OUT],
    "health": [c_void_p, POINTER(Health)],
}
_PLAIN: dict[str, tuple[Any, list[Any]]] = {
    "version": (c_char_p, []),
    "backend": (c_char_p, [c_void_p]),
    "close": (None, [c_void_p]),
    "list_count": (c_uint64, [c_void_p]),
    "list_item": (POINTER(Item), [c_void_p, c_uint64]),
    "list_json": (c_void_p, [c_void_p, POINTER(c_uint64)]),
    "list_problem_count": (c_uint64, [c_void_p]),
    "list_problem": (c_char_p, [c_void_p, c_uint64]),
    "list_free": (None, [c_void_p]),
    "frame_bars": (None, [c_void_p, POINTER(Bars)]),
    "frame_problem_count": (c_uint64, [c_void_p]),
    "frame_problem": (c_char_p, [c_void_p, c_uint64]),
    "frame_free": (None, [c_void_p]),
    "writer_abort": (None, [c_void_p]),
    "checkpoint_info": (None, [c_void_p, POINTER(CheckpointInfo)]),
    "checkpoint_close": (None, [c_void_p]),
    "report_count": (c_uint64, [c_void_p]),
    "report_row": (POINTER(ReportRow), [c_void_p, c_uint64]),
    "report_total": (None, [c_void_p, POINTER(ReportRow)]),
    "report_problem_count": (c_uint64, [c_void_p]),
    "report_problem": (c_char_p, [c_void_p, c_uint64]),
    "report_free": (None, [c_void_p]),
}


def _find() -> str:
    """$SHOAL_DATA_LIBRARY (a file), else the library inside of this package (a wheel), else the system's."""
    named = os.environ.get("SHOAL_DATA_LIBRARY")
    if named:
        return named
    bundled = pathlib.Path(__file__).with_name(SONAME)
    return str(bundled) if bundled.exists() else SONAME


def _load() -> Any:
    path = _find()
    try:
        library = ctypes.CDLL(path)
    except OSError as failure:
        raise ImportError(f"{path} cannot be loaded: {failure}. Install libshoal-data, or name its file in "
                          "SHOAL_DATA_LIBRARY.") from failure
    for name, arguments in _STATUS.items():
        function = getattr(library, "shoal_data_" + name)
        function.restype, function.argtypes = c_int32, [*arguments, _ERROR]
    for name, (result, arguments) in _PLAIN.items():
        function = getattr(library, "shoal_data_" + name)
        function.restype, function.argtypes = result, arguments
    return library


_loaded = _load()


def plain(name: str) -> Any:
    """A function of shoal_data.h that cannot fail, by its name without "shoal_data_"."""
    return getattr(_loaded, "shoal_data_" + name)


def error_of(status: int, error: Error) -> errors.DataStorageError:
    message = error.message.decode(errors="replace") or f"status {status}"
    return errors.BY_STATUS.get(status, errors.DataStorageError)(message)


def call(name: str, *arguments: Any) -> None:
    """Calls a function that gives a status, and raises what it means."""
    error = Error()
    status = getattr(_loaded, "shoal_data_" + name)(*arguments, byref(error))
    if status != 0:
        raise error_of(status, error)


def try_call(name: str, *arguments: Any) -> errors.DataStorageError | None:
    """As call(), but the error is given: for functions that give results in spite of one."""
    error = Error()
    status = getattr(_loaded, "shoal_data_" + name)(*arguments, byref(error))
    return None if status == 0 else error_of(status, error)


def text(value: str | None, what: str) -> bytes | None:
    """UTF-8 for C; None stays None. A NUL inside would cut the text silently, so it is refused here."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise errors.InvalidError(f"{what} {value!r} is a {type(value).__name__}, not a str")
    if "\0" in value:
        raise errors.InvalidError(f"{what} {value!r} holds a NUL character")
    try:
        return value.encode()
    except UnicodeEncodeError as failure:
        raise errors.InvalidError(f"{what} {value!r} is no Unicode text: {failure}") from failure


def problems(kind: str, handle: Any) -> tuple[str, ...]:
    """Of a "list", "frame" or "report"."""
    count = plain(kind + "_problem_count")(handle)
    return tuple(plain(kind + "_problem")(handle, i).decode(errors="replace") for i in range(count))


def version() -> str:
    """The version of libshoal-data."""
    return str(plain("version")().decode())


__all__ = ["byref", "c_char_p", "c_double", "c_int64", "c_uint64", "c_void_p", "call", "plain", "problems", "text",
           "try_call", "version"]

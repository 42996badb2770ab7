"""The data layer for ordinary (blocking) code: one Store, whatever is behind it. `storage.py` has it for asyncio."""

import ctypes
import enum
import json
import pickle
from typing import Any, Callable, Iterable, Mapping

from . import _library, convert, errors
from ._library import INT64_MAX, INT64_MIN, text
from .bars import Bars, column_mask, columns_of
from .checkpoints import Checkpoint, CheckpointReader, CheckpointWriter, buffer_of
from .convert import Time
from .handles import Connection, Handle
from .results import CheckpointEntry, Compaction, DirectoryUse, Document, DocumentList, Health, Removed, Report, Series

ANY_GENERATION = -1


class Kind(enum.IntEnum):
    """Kinds of documents; the numbers are those of shoal_data.h."""

    MARKET_DATA = 0
    INDICATOR = 1
    BACKTEST = 2
    PERFORMANCE = 3
    GENERATION = 4


def _number(value: int, what: str, low: int, high: int) -> int:
    """ctypes would cut a number that does not fit; this says so instead."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or not low <= value <= high:
        raise errors.InvalidError(f"{what} {value!r} is not a whole number from {low} to {high}")
    return int(value)


def _c_bars(data: Any) -> tuple[_library.Bars, Any]:
    """(the struct, what must live as long)."""
    times, prices = columns_of(data)
    return _library.Bars(len(times), times.ctypes.data, *[column.ctypes.data for column in prices]), (times, prices)


class Store:
    """One store: a directory (a path or file:// URL) or PostgreSQL (postgresql:// URL, or "neon" for the connection
    string in NEON_CONNECTION_STRING). Thread-safe; may be pickled (the copy opens the same store) and forked.

    Every method raises a DataStorageError of the fitting class; see shoal_data.h for what each can raise.
    `threads`: that one call may use; `timeout_s`: longest wait for a database; `pool_min`, `pool_max`: connections.
    """

    def __init__(self, url: str, *, create: bool = True, threads: int = 0, timeout_s: float = 0, pool_min: int = 0,
                 pool_max: int = 0):
        self._arguments = (str(url), {"create": create, "threads": threads, "timeout_s": timeout_s,
                                      "pool_min": pool_min, "pool_max": pool_max})
        top = 2**32 - 1
        timeout_ms = _number(round(timeout_s * 1000), "timeout_s in ms", 0, top)
        self._connection = Connection(str(url), {
            "create": int(bool(create)), "threads": _number(threads, "threads", 0, top), "timeout_ms": timeout_ms,
            "pool_min": _number(pool_min, "pool_min", 0, top), "pool_max": _number(pool_max, "pool_max", 0, top)})

    def __reduce__(self) -> Any:
        return _open_again, self._arguments

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """No new calls; the store is closed when running calls and handed-out arrays have ended."""
        self._connection.close()

    @property
    def backend(self) -> str:
        """"files" or "postgres"."""
        with self._connection.use() as store:
            return str(_library.plain("backend")(store).decode())

    # Bars

    def store_ohlcv_bars(self, symbol: str, timeframe: str, bars: Any) -> int:
        """Appends bars (see bars.columns_of for what they may be), in any order, late ones and corrections too: of bars
        with the same timestamp the one written last counts. Gives how many were given. Durable when it returns."""
        c_bars, keep = _c_bars(bars)
        with self._connection.use() as store:
            _library.call("append_bars", store, text(symbol, "symbol"), text(timeframe, "timeframe"),
                          ctypes.byref(c_bars))
        del keep
        return int(c_bars.count)

    def store_ohlcv_bars_many(self, timeframe: str, bars: Mapping[str, Any]) -> int:
        """Appends to the series of many symbols in parallel; gives how many series were stored. All are tried."""
        series, keep = (_library.Series * len(bars))(), []
        for entry, (symbol, data) in zip(series, bars.items()):
            c_bars, owner = _c_bars(data)
            keep.append(owner)
            entry.symbol, entry.timeframe, entry.bars = text(symbol, "symbol"), text(timeframe, "timeframe"), c_bars
        done = ctypes.c_uint64()
        with self._connection.use() as store:
            error = _library.try_call("append_bars_many", store, series, len(bars), ctypes.byref(done))
        if error is not None:
            error.partial = done.value
            raise error
        return done.value

    def load_ohlcv_bars(self, symbol: str, timeframe: str, start: Time | None = None, end: Time | None = None, *,
                        columns: Iterable[str] | None = None, allow_damaged: bool = False) -> Bars:
        """The bars with start <= timestamp < end, by ascending timestamp, each timestamp once. None is no bound.

        `columns` names those to read. A series that nobody wrote is empty. Raises DamagedError when a part cannot be
        read, with the other bars in `partial`; with `allow_damaged` those are given, with `problems`."""
        pointer = ctypes.c_void_p()
        use = self._connection.use()
        with use as store:
            error = _library.try_call(
                "load_bars", store, text(symbol, "symbol"), text(timeframe, "timeframe"),
                convert.nanoseconds(start, INT64_MIN), convert.nanoseconds(end, INT64_MAX), column_mask(columns),
                ctypes.byref(pointer))
            return self._bars(use, pointer.value, error, allow_damaged)

    @staticmethod
    def _bars(use: Any, address: int | None, error: errors.DataStorageError | None, allow_damaged: bool) -> Bars:
        if not address:
            assert error is not None
            raise error
        frame = Handle(use, ctypes.c_void_p(address), "frame_free")
        bars = Bars._from_frame(frame, _library.problems("frame", frame.pointer))
        if error is not None and not allow_damaged:
            error.partial, error.problems = bars, bars.problems
            raise error
        return bars

    def load_ohlcv_bars_many(self, symbols: Iterable[str], timeframe: str, start: Time | None = None,
                             end: Time | None = None, *, columns: Iterable[str] | None = None) -> dict[str, Bars]:
        """The same range of many symbols, in parallel. After an error `partial` has those that could be read."""
        names = list(symbols)
        c_names = (ctypes.c_char_p * len(names))(*[text(name, "symbol") for name in names])
        frames = (ctypes.c_void_p * len(names))()
        use = self._connection.use()
        with use as store:
            error = _library.try_call(
                "load_bars_many", store, c_names, len(names), text(timeframe, "timeframe"),
                convert.nanoseconds(start, INT64_MIN), convert.nanoseconds(end, INT64_MAX), column_mask(columns),
                frames)
            found = {name: self._bars(use, address, error, True) for name, address in zip(names, frames) if address}
        if error is not None:
            error.partial = found
            error.problems = tuple(problem for bars in found.values() for problem in bars.problems)
            raise error
        return found

    def list_series(self, timeframe: str | None = None) -> list[Series]:
        """The series there are, by symbol, then timeframe."""
        return self._items("list_series", text(timeframe, "timeframe"), make=_series)

    def compact_bars(self, symbol: str | None = None, timeframe: str | None = None) -> Compaction:
        """Puts small parts of bars together, while others read and write. None: all."""
        report = _library.Compaction()
        with self._connection.use() as store:
            _library.call("compact_bars", store, text(symbol, "symbol"), text(timeframe, "timeframe"),
                          ctypes.byref(report))
        return Compaction(report.series, report.parts_before, report.parts_after, report.bytes_before,
                          report.bytes_after)

    # Lists

    def _list(self, function: str, *arguments: Any) -> tuple[ctypes.c_void_p, errors.DataStorageError | None]:
        """(the list, which is the caller's; what was damaged). Raises when there is no list."""
        pointer = ctypes.c_void_p()
        with self._connection.use() as store:
            error = _library.try_call(function, store, *arguments, ctypes.byref(pointer))
        if not pointer.value:
            assert error is not None
            raise error
        if error is not None:
            error.problems = _library.problems("list", pointer)
        return pointer, error

    def _items(self, function: str, *arguments: Any, make: Callable[[Any], Any]) -> list[Any]:
        """What `make` gives for each item. After damage `partial` has the others."""
        pointer, error = self._list(function, *arguments)
        try:
            item_of = _library.plain("list_item")
            found = [make(item_of(pointer, i).contents) for i in range(_library.plain("list_count")(pointer))]
        finally:
            _library.plain("list_free")(pointer)
        if error is not None:
            error.partial = found
            raise error
        return found

    def _documents(self, function: str, *arguments: Any) -> list[Document]:
        pointer, error = self._list(function, *arguments)
        found = DocumentList(pointer).documents()
        if error is not None:
            error.partial = found
            raise error
        return found

    # Documents

    def save_document(self, kind: Kind, data: Any, *, symbol: str | None = None, timeframe: str | None = None,
                      name: str | None = None, generation: int = 0, timestamp: Time | None = None) -> str:
        """Saves a document of any kind and gives its id. `timestamp`: whole seconds count; None is now."""
        text_json = convert.json_bytes(data)
        document = _library.Document(
            ctypes.sizeof(_library.Document), kind, text(symbol, "symbol"), text(timeframe, "timeframe"),
            text(name, "name"), _number(generation, "generation", -1, INT64_MAX), convert.seconds(timestamp),
            text_json, len(text_json))
        if timestamp is not None and document.time_s == 0:
            raise errors.InvalidError(f"time {timestamp!r}: documents begin one second after 1970-01-01T00:00:00Z")
        out = ctypes.create_string_buffer(512)
        with self._connection.use() as store:
            _library.call("save_document", store, ctypes.byref(document), out, len(out))
        return out.value.decode()

    def query_documents(self, kind: Kind, *, symbol: str | None = None, timeframe: str | None = None,
                        name: str | None = None, generation: int | None = None, start: Time | None = None,
                        end: Time | None = None, limit: int = 1000, with_text: bool = True) -> list[Document]:
        """The newest documents with start <= time < end, newest first. None is any. Raises DamagedError when some could
        not be read, with the others in `partial`."""
        if limit == 0:
            return []
        query = _library.Query(
            ctypes.sizeof(_library.Query), kind, text(symbol, "symbol"), text(timeframe, "timeframe"),
            text(name, "name"),
            ANY_GENERATION if generation is None else _number(generation, "generation", 0, INT64_MAX),
            convert.seconds(start), convert.seconds(end), _number(limit, "limit", 1, 2**63 - 1), int(not with_text))
        return self._documents("load_documents", ctypes.byref(query))

    def load_document(self, kind: Kind, id: str) -> Document:  # noqa: A002
        """One document by its id. Raises NotFoundError."""
        return self._documents("load_document", int(kind), text(id, "id"))[0]

    def delete_document(self, kind: Kind, id: str) -> None:  # noqa: A002
        """Removes one. Raises NotFoundError."""
        with self._connection.use() as store:
            _library.call("delete_document", store, int(kind), text(id, "id"))

    def save_market_data(self, symbol: str, timeframe: str, data: Any, timestamp: Time | None = None) -> str:
        """Saves a market-data document and gives its id; two of the same second are two documents."""
        return self.save_document(Kind.MARKET_DATA, data, symbol=symbol, timeframe=timeframe, timestamp=timestamp)

    def load_market_data(self, symbol: str | None = None, timeframe: str | None = None, start: Time | None = None,
                         end: Time | None = None, limit: int = 1000) -> list[Document]:
        """Market-data documents, newest first."""
        return self.query_documents(Kind.MARKET_DATA, symbol=symbol, timeframe=timeframe, start=start, end=end,
                                    limit=limit)

    def save_indicator(self, symbol: str, timeframe: str, name: str, data: Any,
                       timestamp: Time | None = None) -> str:
        """Saves the values of an indicator."""
        return self.save_document(Kind.INDICATOR, data, symbol=symbol, timeframe=timeframe, name=name,
                                  timestamp=timestamp)

    def load_indicators(self, symbol: str | None = None, timeframe: str | None = None, name: str | None = None,
                        start: Time | None = None, end: Time | None = None, limit: int = 1000) -> list[Document]:
        """Indicators, newest first."""
        return self.query_documents(Kind.INDICATOR, symbol=symbol, timeframe=timeframe, name=name, start=start,
                                    end=end, limit=limit)

    def save_backtest_results(self, strategy: str, results: Any, timestamp: Time | None = None) -> str:
        """Saves the results of a backtest of a strategy."""
        return self.save_document(Kind.BACKTEST, results, name=strategy, timestamp=timestamp)

    def query_backtest_results(self, strategy: str | None = None, start: Time | None = None, end: Time | None = None,
                               limit: int = 1000) -> list[Document]:
        """Results of backtests, newest first."""
        return self.query_documents(Kind.BACKTEST, name=strategy, start=start, end=end, limit=limit)

    def save_performance(self, name: str, metrics: Any, timestamp: Time | None = None) -> str:
        """Saves measurements of performance under a name."""
        return self.save_document(Kind.PERFORMANCE, metrics, name=name, timestamp=timestamp)

    def query_performance(self, name: str | None = None, start: Time | None = None, end: Time | None = None,
                          limit: int = 1000) -> list[Document]:
        """Measurements of performance, newest first."""
        return self.query_documents(Kind.PERFORMANCE, name=name, start=start, end=end, limit=limit)

    def save_generation(self, generation: int, name: str, results: Any, timestamp: Time | None = None) -> str:
        """Saves a result of a generation of a search (0 or more)."""
        return self.save_document(Kind.GENERATION, results, name=name, timestamp=timestamp,
                                  generation=_number(generation, "generation", 0, INT64_MAX))

    def query_generations(self, generation: int | None = None, name: str | None = None, start: Time | None = None,
                          end: Time | None = None, limit: int = 1000) -> list[Document]:
        """Results of generations, newest first; generation None: of all."""
        return self.query_documents(Kind.GENERATION, generation=generation, name=name, start=start, end=end,
                                    limit=limit)

    # Checkpoints

    def save_model_checkpoint(self, checkpoint_id: str, model: Any, metadata: Mapping[str, Any] | None = None) -> int:
        """Saves a new version and gives its number. bytes, bytearray, memoryview and NumPy arrays are written as they
        are, without a copy; any other object is pickled."""
        data = model if _is_buffer(model) else pickle.dumps(model, protocol=5)
        address, size, owner = buffer_of(data)
        version = ctypes.c_uint64()
        with self._connection.use() as store:
            _library.call("save_checkpoint", store, text(checkpoint_id, "checkpoint id"), address, size,
                          convert.metadata_bytes(metadata), ctypes.byref(version))
        del owner
        return version.value

    def load_model_checkpoint(self, checkpoint_id: str, version: int = 0) -> Checkpoint:
        """Loads a version (0: the latest) whole, verified; `.data` are its bytes, `.object()` what was pickled."""
        with self.open_model_checkpoint(checkpoint_id, version) as reader:
            return Checkpoint(checkpoint_id, reader.version, reader.read_range(0, reader.size), reader.metadata,
                              reader.is_verified)

    def open_model_checkpoint(self, checkpoint_id: str, version: int = 0) -> CheckpointReader:
        """Opens a version (0: the latest) as a seekable file, for parts of it or when it is larger than memory."""
        pointer = ctypes.c_void_p()
        use = self._connection.use()
        with use as store:
            _library.call("checkpoint_open", store, text(checkpoint_id, "checkpoint id"),
                          _number(version, "version", 0, 2**64 - 1), ctypes.byref(pointer))
            return CheckpointReader(Handle(use, pointer, "checkpoint_close"), checkpoint_id)

    def open_checkpoint_writer(self, checkpoint_id: str, session: str, shard_index: int = 0, shard_count: int = 1,
                               size_bytes: int = 0) -> CheckpointWriter:
        """Begins one shard of a version: N ranks, in any processes, write theirs in the same `session` (a name that no
        other version has); after all have finished one calls commit_model_checkpoint. `size_bytes`: when known."""
        options = _library.WriterOptions(
            ctypes.sizeof(_library.WriterOptions), _number(shard_index, "shard", 0, 2**32 - 1),
            _number(shard_count, "shard count", 1, 2**32 - 1), text(session, "session"),
            _number(size_bytes, "size", 0, 2**64 - 1))
        pointer = ctypes.c_void_p()
        use = self._connection.use()
        with use as store:
            _library.call("writer_begin", store, text(checkpoint_id, "checkpoint id"), ctypes.byref(options),
                          ctypes.byref(pointer))
            return CheckpointWriter(Handle(use, pointer, "writer_abort"))

    def commit_model_checkpoint(self, checkpoint_id: str, session: str, shard_count: int = 1,
                                metadata: Mapping[str, Any] | None = None) -> int:
        """Makes a version of the finished shards. Raises NotFoundError, which says which are not finished."""
        version = ctypes.c_uint64()
        with self._connection.use() as store:
            _library.call("commit_checkpoint", store, text(checkpoint_id, "checkpoint id"), text(session, "session"),
                          _number(shard_count, "shard count", 1, 2**32 - 1), convert.metadata_bytes(metadata),
                          ctypes.byref(version))
        return version.value

    def abort_model_checkpoint(self, checkpoint_id: str, session: str) -> None:
        """Removes what a session wrote that nobody will commit."""
        with self._connection.use() as store:
            _library.call("abort_checkpoint", store, text(checkpoint_id, "checkpoint id"), text(session, "session"))

    def list_model_checkpoints(self) -> list[CheckpointEntry]:
        """The latest version of each checkpoint, by id."""
        return self._items("list_checkpoints", make=_checkpoint)

    def list_model_versions(self, checkpoint_id: str) -> list[CheckpointEntry]:
        """The versions of one, the latest first."""
        return self._items("list_versions", text(checkpoint_id, "checkpoint id"), make=_checkpoint)

    def retain_model_checkpoints(self, checkpoint_id: str, keep_last: int, keep_best: int = 0, *,
                                 metric: str | None = None, minimize: bool = False, dry_run: bool = False) -> Removed:
        """Removes versions that are neither among the last nor among the best by a number in the metadata."""
        rule = _library.Retention(
            ctypes.sizeof(_library.Retention), int(minimize), _number(keep_last, "keep_last", 0, 2**64 - 1),
            _number(keep_best, "keep_best", 0, 2**64 - 1), text(metric, "metric"), int(dry_run))
        removed, size = ctypes.c_uint64(), ctypes.c_uint64()
        with self._connection.use() as store:
            _library.call("retain_checkpoints", store, text(checkpoint_id, "checkpoint id"), ctypes.byref(rule),
                          ctypes.byref(removed), ctypes.byref(size))
        return Removed(removed.value, size.value)

    def delete_model_checkpoint(self, checkpoint_id: str, version: int = 0) -> None:
        """Removes one version, or with 0 the checkpoint with all versions."""
        with self._connection.use() as store:
            _library.call("delete_checkpoint", store, text(checkpoint_id, "checkpoint id"),
                          _number(version, "version", 0, 2**64 - 1))

    # Upkeep

    def cleanup_old_data(self, days: int = 7, rules: Mapping[str, int] | None = None, *,
                         dry_run: bool = False) -> Report:
        """Removes what is older than `days` from market data, results and logs, never models. `rules`: days by
        directory, -1 keeps all. Gives what went. Raises StorageIOError with `partial` when something stayed."""
        if days == 0:
            raise errors.InvalidError("days 0 would be everything; give 1 or more, or -1 to keep all")
        rows = (_library.CleanRule * len(rules or {}))()
        for row, (directory, age) in zip(rows, (rules or {}).items()):
            row.directory, row.days = text(directory, "directory"), _number(age, "days", -1, 2**62)
        options = _library.CleanOptions(ctypes.sizeof(_library.CleanOptions), int(dry_run),
                                        _number(days, "days", -1, 2**62), rows, len(rows))
        return self._report("clean", ctypes.byref(options))

    def usage(self) -> Report:
        """What is stored, by directory (or table)."""
        return self._report("usage")

    def _report(self, function: str, *arguments: Any) -> Report:
        pointer = ctypes.c_void_p()
        with self._connection.use() as store:
            error = _library.try_call(function, store, *arguments, ctypes.byref(pointer))
            if not pointer.value:
                assert error is not None
                raise error
            try:
                count, row = _library.plain("report_count")(pointer), _library.plain("report_row")
                rows = [row(pointer, i).contents for i in range(count)]
                total = _library.ReportRow()
                _library.plain("report_total")(pointer, ctypes.byref(total))
                found = Report(total.files, total.bytes, {r.directory.decode(): DirectoryUse(r.files, r.bytes)
                                                          for r in rows}, _library.problems("report", pointer))
            finally:
                _library.plain("report_free")(pointer)
        if error is not None:
            error.partial, error.problems = found, found.problems
            raise error
        return found

    def health(self) -> Health:
        """Writes, reads back and removes something small. A store that does not work is told by `is_ok`."""
        found = _library.Health()
        with self._connection.use() as store:
            _library.call("health", store, ctypes.byref(found))
        return Health(bool(found.is_ok), found.write_us, found.read_us,
                      None if found.free_bytes == 2**64 - 1 else found.free_bytes, found.backend.decode(),
                      found.location.decode(errors="replace"), found.detail.decode(errors="replace"))


def _open_again(url: str, options: dict[str, Any]) -> Store:
    return Store(url, **options)


def _is_buffer(value: Any) -> bool:
    return isinstance(value, (bytes, bytearray, memoryview)) or hasattr(value, "__array_interface__") \
        and getattr(value, "dtype", None) is not None and not value.dtype.hasobject and value.flags.c_contiguous


def _series(item: Any) -> Series:
    return Series(item.symbol.decode(), item.timeframe.decode(), item.size_bytes)


def _checkpoint(item: Any) -> CheckpointEntry:
    metadata = json.loads(ctypes.string_at(item.text)) if item.text else {}
    return CheckpointEntry(item.name.decode() or item.id.decode(), item.version, item.time_s, item.size_bytes,
                           metadata)

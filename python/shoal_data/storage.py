"""The data layer for asyncio: one interface, over a directory or over PostgreSQL.

Each method runs its namesake of Store in a pool of threads (C works outside of Python's global lock), so that any
number of tasks may wait at once. A task that is cancelled stops waiting; what its call does is still done.
"""

import asyncio
import concurrent.futures
import functools
import os
import pathlib
import threading
from typing import Any, Callable, Iterable, Mapping, TypeVar

from .bars import Bars
from .checkpoints import Checkpoint, CheckpointReader, CheckpointWriter
from .convert import Time
from .results import CheckpointEntry, Compaction, Document, Health, Removed, Report, Series
from .store import Kind, Store

_T = TypeVar("_T")


class DataStorageInterface:
    """What workers share, whatever is behind it; made by EFSDataStorage, NeonDataStorage or open_storage.

    Errors are those of `errors.py`, and the whole descriptions those of Store's methods. `sync` is that Store, for
    blocking code. An instance may be used by many tasks, threads and event loops, and pickled: the copy, in another
    process, opens the same store.
    """

    def __init__(self, url: str, *, workers: int = 16, **options: Any):
        """`workers`: calls that run at once in this process; the rest wait. `options`: Store's."""
        if workers < 1:
            raise ValueError(f"workers {workers} is not 1 or more")
        self.sync = Store(url, **options)
        self._workers = workers
        self._lock = threading.Lock()
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None
        self._pool_pid = 0
        self._closed = False

    def __reduce__(self) -> Any:
        url, options = self.sync._arguments
        return _open_again, (type(self), url, {**options, "workers": self._workers})

    async def __aenter__(self) -> "DataStorageInterface":
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    @property
    def backend(self) -> str:
        """"files" or "postgres"."""
        return self.sync.backend

    async def _run(self, function: Callable[..., _T], *arguments: Any, **options: Any) -> _T:
        if self._pool is None or self._pool_pid != os.getpid():
            self._start_pool()
        work = functools.partial(function, *arguments, **options)
        assert self._pool is not None
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _start_pool(self) -> None:
        """The threads do not survive fork(): a child begins with its own."""
        if self._pool_pid not in (0, os.getpid()):
            self._lock = threading.Lock()
        with self._lock:
            if self._pool is None or self._pool_pid != os.getpid():
                self._pool_pid = os.getpid()
                self._pool = concurrent.futures.ThreadPoolExecutor(self._workers, "shoal-data")

    async def close(self) -> None:
        """Waits for the calls that run, and closes. Calls after it raise ClosedError."""
        self.sync.close()
        pool, self._pool = self._pool, None
        if pool is not None and self._pool_pid == os.getpid():
            await asyncio.get_running_loop().run_in_executor(None, pool.shutdown)

    async def store_ohlcv_bars(self, symbol: str, timeframe: str, bars: Any) -> int:
        """Appends bars (see bars.columns_of for what they may be), in any order, late ones and corrections too: of
        bars with the same timestamp the one written last counts."""
        return await self._run(self.sync.store_ohlcv_bars, symbol, timeframe, bars)

    async def store_ohlcv_bars_many(self, timeframe: str, bars: Mapping[str, Any]) -> int:
        """Appends to the series of many symbols in parallel; gives how many series were stored."""
        return await self._run(self.sync.store_ohlcv_bars_many, timeframe, bars)

    async def load_ohlcv_bars(self, symbol: str, timeframe: str, start: Time | None = None, end: Time | None = None,
                              *, columns: Iterable[str] | None = None, allow_damaged: bool = False) -> Bars:
        """The bars with start <= timestamp < end, by ascending timestamp, each timestamp once."""
        return await self._run(self.sync.load_ohlcv_bars, symbol, timeframe, start, end, columns=columns,
                               allow_damaged=allow_damaged)

    async def load_ohlcv_bars_many(self, symbols: Iterable[str], timeframe: str, start: Time | None = None,
                                   end: Time | None = None, *,
                                   columns: Iterable[str] | None = None) -> dict[str, Bars]:
        """The same range of many symbols, in parallel."""
        return await self._run(self.sync.load_ohlcv_bars_many, symbols, timeframe, start, end, columns=columns)

    async def list_series(self, timeframe: str | None = None) -> list[Series]:
        """The series there are, by symbol, then timeframe."""
        return await self._run(self.sync.list_series, timeframe)

    async def compact_bars(self, symbol: str | None = None, timeframe: str | None = None) -> Compaction:
        """Puts small parts of bars together, while others read and write."""
        return await self._run(self.sync.compact_bars, symbol, timeframe)

    async def save_document(self, kind: Kind, data: Any, *, symbol: str | None = None, timeframe: str | None = None,
                            name: str | None = None, generation: int = 0, timestamp: Time | None = None) -> str:
        """Saves a document of any kind and gives its id."""
        return await self._run(self.sync.save_document, kind, data, symbol=symbol, timeframe=timeframe, name=name,
                               generation=generation, timestamp=timestamp)

    async def query_documents(self, kind: Kind, *, symbol: str | None = None, timeframe: str | None = None,
                              name: str | None = None, generation: int | None = None, start: Time | None = None,
                              end: Time | None = None, limit: int = 1000, with_text: bool = True) -> list[Document]:
        """The newest documents with start <= time < end, newest first."""
        return await self._run(self.sync.query_documents, kind, symbol=symbol, timeframe=timeframe, name=name,
                               generation=generation, start=start, end=end, limit=limit, with_text=with_text)

    async def load_document(self, kind: Kind, id: str) -> Document:
        """One document by its id."""
        return await self._run(self.sync.load_document, kind, id)

    async def delete_document(self, kind: Kind, id: str) -> None:
        """Removes one."""
        return await self._run(self.sync.delete_document, kind, id)

    async def save_market_data(self, symbol: str, timeframe: str, data: Any, timestamp: Time | None = None) -> str:
        """Saves a market-data document and gives its id; two of the same second are two documents."""
        return await self._run(self.sync.save_market_data, symbol, timeframe, data, timestamp)

    async def load_market_data(self, symbol: str | None = None, timeframe: str | None = None,
                               start: Time | None = None, end: Time | None = None,
                               limit: int = 1000) -> list[Document]:
        """Market-data documents, newest first."""
        return await self._run(self.sync.load_market_data, symbol, timeframe, start, end, limit)

    async def save_indicator(self, symbol: str, timeframe: str, name: str, data: Any,
                             timestamp: Time | None = None) -> str:
        """Saves the values of an indicator."""
        return await self._run(self.sync.save_indicator, symbol, timeframe, name, data, timestamp)

    async def load_indicators(self, symbol: str | None = None, timeframe: str | None = None, name: str | None = None,
                              start: Time | None = None, end: Time | None = None,
                              limit: int = 1000) -> list[Document]:
        """Indicators, newest first."""
        return await self._run(self.sync.load_indicators, symbol, timeframe, name, start, end, limit)

    async def save_backtest_results(self, strategy: str, results: Any, timestamp: Time | None = None) -> str:
        """Saves the results of a backtest of a strategy."""
        return await self._run(self.sync.save_backtest_results, strategy, results, timestamp)

    async def query_backtest_results(self, strategy: str | None = None, start: Time | None = None,
                                     end: Time | None = None, limit: int = 1000) -> list[Document]:
        """Results of backtests, newest first."""
        return await self._run(self.sync.query_backtest_results, strategy, start, end, limit)

    async def save_performance(self, name: str, metrics: Any, timestamp: Time | None = None) -> str:
        """Saves measurements of performance under a name."""
        return await self._run(self.sync.save_performance, name, metrics, timestamp)

    async def query_performance(self, name: str | None = None, start: Time | None = None, end: Time | None = None,
                                limit: int = 1000) -> list[Document]:
        """Measurements of performance, newest first."""
        return await self._run(self.sync.query_performance, name, start, end, limit)

    async def save_generation(self, generation: int, name: str, results: Any, timestamp: Time | None = None) -> str:
        """Saves a result of a generation of a search (0 or more)."""
        return await self._run(self.sync.save_generation, generation, name, results, timestamp)

    async def query_generations(self, generation: int | None = None, name: str | None = None,
                                start: Time | None = None, end: Time | None = None,
                                limit: int = 1000) -> list[Document]:
        """Results of generations, newest first; generation None: of all."""
        return await self._run(self.sync.query_generations, generation, name, start, end, limit)

    async def save_model_checkpoint(self, checkpoint_id: str, model: Any,
                                    metadata: Mapping[str, Any] | None = None) -> int:
        """Saves a new version and gives its number."""
        return await self._run(self.sync.save_model_checkpoint, checkpoint_id, model, metadata)

    async def load_model_checkpoint(self, checkpoint_id: str, version: int = 0) -> Checkpoint:
        """Loads a version (0: the latest) whole, verified; `.data` are its bytes, `.object()` what was pickled."""
        return await self._run(self.sync.load_model_checkpoint, checkpoint_id, version)

    async def open_model_checkpoint(self, checkpoint_id: str, version: int = 0) -> CheckpointReader:
        """Opens a version (0: the latest) as a seekable file, for parts of it or when it is larger than memory."""
        return await self._run(self.sync.open_model_checkpoint, checkpoint_id, version)

    async def open_checkpoint_writer(self, checkpoint_id: str, session: str, shard_index: int = 0,
                                     shard_count: int = 1, size_bytes: int = 0) -> CheckpointWriter:
        """Begins one shard of a version: N ranks, in any processes, write theirs in the same `session` (a name that
        no other version has); after all have finished one calls commit_model_checkpoint."""
        return await self._run(self.sync.open_checkpoint_writer, checkpoint_id, session, shard_index, shard_count,
                               size_bytes)

    async def commit_model_checkpoint(self, checkpoint_id: str, session: str, shard_count: int = 1,
                                      metadata: Mapping[str, Any] | None = None) -> int:
        """Makes a version of the finished shards."""
        return await self._run(self.sync.commit_model_checkpoint, checkpoint_id, session, shard_count, metadata)

    async def abort_model_checkpoint(self, checkpoint_id: str, session: str) -> None:
        """Removes what a session wrote that nobody will commit."""
        return await self._run(self.sync.abort_model_checkpoint, checkpoint_id, session)

    async def list_model_checkpoints(self) -> list[CheckpointEntry]:
        """The latest version of each checkpoint, by id."""
        return await self._run(self.sync.list_model_checkpoints)

    async def list_model_versions(self, checkpoint_id: str) -> list[CheckpointEntry]:
        """The versions of one, the latest first."""
        return await self._run(self.sync.list_model_versions, checkpoint_id)

    async def retain_model_checkpoints(self, checkpoint_id: str, keep_last: int, keep_best: int = 0, *,
                                       metric: str | None = None, minimize: bool = False,
                                       dry_run: bool = False) -> Removed:
        """Removes versions that are neither among the last nor among the best by a number in the metadata."""
        return await self._run(self.sync.retain_model_checkpoints, checkpoint_id, keep_last, keep_best, metric=metric,
                               minimize=minimize, dry_run=dry_run)

    async def delete_model_checkpoint(self, checkpoint_id: str, version: int = 0) -> None:
        """Removes one version, or with 0 the checkpoint with all versions."""
        return await self._run(self.sync.delete_model_checkpoint, checkpoint_id, version)

    async def cleanup_old_data(self, days: int = 7, rules: Mapping[str, int] | None = None, *,
                               dry_run: bool = False) -> Report:
        """Removes what is older than `days` from market data, results and logs, never models."""
        return await self._run(self.sync.cleanup_old_data, days, rules, dry_run=dry_run)

    async def usage(self) -> Report:
        """What is stored, by directory (or table)."""
        return await self._run(self.sync.usage)

    async def health(self) -> Health:
        """Writes, reads back and removes something small."""
        return await self._run(self.sync.health)


class EFSDataStorage(DataStorageInterface):
    """In a directory: any mounted one, best a shared mount."""

    def __init__(self, mount_path: str | os.PathLike[str], **options: Any):
        path = os.fspath(mount_path)
        if "://" not in path:
            path = str(pathlib.Path(path).absolute())
        elif not path.startswith("file://"):
            raise ValueError(f"{path.split('://')[0]}:// is no directory; NeonDataStorage takes databases")
        super().__init__(path, **options)


class NeonDataStorage(DataStorageInterface):
    """In PostgreSQL (Neon is one): a postgresql:// URL; by default the one in NEON_CONNECTION_STRING."""

    def __init__(self, url: str = "neon", **options: Any):
        if url != "neon" and not url.startswith(("postgres://", "postgresql://")):
            raise ValueError("the URL of a database begins with postgresql://")
        super().__init__(url, **options)


def open_storage(url: str | os.PathLike[str], **options: Any) -> DataStorageInterface:
    """The storage that a URL means: "neon" or postgresql://... is a database, anything else a directory."""
    text = os.fspath(url)
    if text == "neon" or text.startswith(("postgres://", "postgresql://")):
        return NeonDataStorage(text, **options)
    return EFSDataStorage(text, **options)


def _open_again(kind: type[DataStorageInterface], url: str, options: dict[str, Any]) -> DataStorageInterface:
    return kind(url, **options)

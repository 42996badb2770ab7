"""What calls give: documents, checkpoints' entries, reports. Plain records."""

import ctypes
import dataclasses
import os
from typing import Any

from . import _library, convert


class DocumentList:
    """What C loaded at once: documents take their fields from it when they are asked for. It goes with the last."""

    __slots__ = ("items", "_pointer", "_values", "_free", "_pid")

    def __init__(self, pointer: Any):
        count = _library.plain("list_count")(pointer)
        self._pointer, self._values, self._pid = pointer, None, os.getpid()
        self._free = _library.plain("list_free")
        first = _library.plain("list_item")(pointer, 0)
        self.items: Any = (_library.Item * count).from_address(ctypes.addressof(first.contents)) if count else ()

    def __del__(self) -> None:
        if os.getpid() == self._pid:  # a child of fork leaves it to the parent
            self._free(self._pointer)

    def documents(self) -> "list[Document]":
        return [Document(self, index) for index in range(len(self.items))]

    def values(self) -> list[Any]:
        """All texts, parsed; once."""
        if self._values is None:
            size = ctypes.c_uint64()
            text = _library.plain("list_json")(self._pointer, ctypes.byref(size))
            if not text:
                raise MemoryError
            self._values = convert.parse_json(ctypes.string_at(text, size.value))
        return self._values


_FIELDS = ("id", "name", "symbol", "timeframe", "time_s", "generation", "text")


class Document:
    """A document of market data, an indicator or a result: `id`, `name`, `symbol`, `timeframe` (strings), `time_s`,
    `generation` (numbers), `text` (the JSON as bytes, or None when the document was queried without it).

    `data` is the JSON's value, or None. Documents that were loaded together are parsed together, when the first is
    asked for its data, and their memory goes with the last of them."""

    __slots__ = (*_FIELDS, "_data", "_list", "_index")
    id: str
    name: str
    symbol: str
    timeframe: str
    time_s: int
    generation: int
    text: bytes | None

    def __init__(self, source: DocumentList | None, index: int):
        self._list, self._index, self._data = source, index, Document

    def __getattr__(self, name: str) -> Any:  # of a field that has no value yet
        source = self._list
        if source is None or name not in _FIELDS:
            raise AttributeError(name)
        item = source.items[self._index]
        self.id, self.name, self.symbol = item.id.decode(), item.name.decode(), item.symbol.decode()
        self.timeframe, self.time_s, self.generation = item.timeframe.decode(), item.time_s, item.generation
        self.text = ctypes.string_at(item.text, item.size_bytes) if item.text else None
        return getattr(self, name)

    @property
    def data(self) -> Any:
        if self._data is Document:  # not parsed yet
            if self._list is not None:
                self._data = self._list.values()[self._index]
            else:
                self._data = None if self.text is None else convert.parse_json(self.text)
        return self._data

    def __reduce__(self) -> Any:  # a copy elsewhere has its own memory
        return _document_of, tuple(getattr(self, field) for field in _FIELDS)

    def __repr__(self) -> str:
        return f"<Document {self.id!r} of {self.time_s}>"


def _document_of(*fields: Any) -> Document:
    document = Document(None, 0)
    for name, value in zip(_FIELDS, fields):
        setattr(document, name, value)
    return document


@dataclasses.dataclass(frozen=True)
class Series:
    """A symbol and timeframe that has bars; `size_bytes` is 0 when that is not known."""

    symbol: str
    timeframe: str
    size_bytes: int


@dataclasses.dataclass(frozen=True)
class CheckpointEntry:
    """One version of a checkpoint, in a list."""

    id: str
    version: int
    saved_s: int
    size_bytes: int
    metadata: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Compaction:
    """What a compaction of bars did; zeros where there is nothing to compact."""

    series: int
    parts_before: int
    parts_after: int
    bytes_before: int
    bytes_after: int


@dataclasses.dataclass(frozen=True)
class DirectoryUse:
    """Files (or rows) and bytes of one directory (or table)."""

    files: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class Report:
    """Of a clean-up (what went) or of usage (what is there): the sum, and each directory."""

    files: int
    bytes: int
    directories: dict[str, DirectoryUse]
    problems: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Health:
    """`free_bytes` is None when it is not known; `detail` says what is wrong when `is_ok` is false."""

    is_ok: bool
    write_us: int
    read_us: int
    free_bytes: int | None
    backend: str
    location: str
    detail: str


@dataclasses.dataclass(frozen=True)
class Removed:
    """Versions of a checkpoint that retention removed, or with dry_run would have."""

    versions: int
    bytes: int

"""What calls give: documents, checkpoints' entries, reports. Plain records."""

import dataclasses
import json
from typing import Any


class Document:
    """A document of market data, an indicator or a result. `data` is parsed when it is first asked for."""

    __slots__ = ("id", "name", "symbol", "timeframe", "time_s", "generation", "text", "_data")

    def __init__(self, id: str, name: str, symbol: str, timeframe: str, time_s: int, generation: int,  # noqa: A002
                 text: bytes | None):
        self.id, self.name, self.symbol, self.timeframe = id, name, symbol, timeframe
        self.time_s, self.generation, self.text = time_s, generation, text
        self._data: Any = Document

    @property
    def data(self) -> Any:
        """The JSON's value; None when the document was queried without its text."""
        if self._data is Document:
            self._data = None if self.text is None else json.loads(self.text)
        return self._data

    def __repr__(self) -> str:
        return f"<Document {self.id!r} of {self.time_s}>"


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

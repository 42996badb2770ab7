"""OHLCV bars: what goes in (pandas, Arrow, NumPy, dicts) and what comes out, without copying where that is possible."""

import ctypes
from typing import TYPE_CHECKING, Any, Mapping

import numpy

from . import _library, convert, errors

if TYPE_CHECKING:
    import pandas
    import pyarrow

COLUMNS = ("open", "high", "low", "close", "volume")
TIMESTAMP_NAMES = ("timestamp_ns", "timestamp", "time", "date", "datetime")


class _Memory:
    """One column in the memory of a C frame: NumPy keeps this object, and so the frame, as long as the array lives."""

    def __init__(self, frame: Any, address: int, count: int, kind: str):
        self._frame = frame
        self.__array_interface__ = {"shape": (count,), "typestr": kind, "data": (address, True), "version": 3}


class Bars:
    """Bars of one series: `timestamp_ns` (int64, nanoseconds since 1970 UTC) and float64 columns, those asked for.

    The arrays are read-only views of the library's memory, which lives as long as one of them does.
    `problems` names parts that could not be read, when the caller allowed damage.
    """

    def __init__(self, columns: Mapping[str, numpy.ndarray], problems: tuple[str, ...] = ()):
        self._columns = dict(columns)
        self.problems = problems

    @classmethod
    def _from_frame(cls, frame: Any, problems: tuple[str, ...]) -> "Bars":
        found = _library.Bars()
        _library.plain("frame_bars")(frame.pointer, ctypes.byref(found))
        columns = {}
        for name in ("timestamp_ns", *COLUMNS):
            address, kind = getattr(found, name), "<i8" if name == "timestamp_ns" else "<f8"
            if address and found.count:
                columns[name] = numpy.asarray(_Memory(frame, address, found.count, kind))
            elif address or name == "timestamp_ns":
                columns[name] = numpy.empty(0, kind)
        return cls(columns, problems)

    def __len__(self) -> int:
        return len(self._columns["timestamp_ns"])

    def __getitem__(self, name: str) -> numpy.ndarray:
        return self._columns[name]

    def __getattr__(self, name: str) -> numpy.ndarray:
        columns = self.__dict__.get("_columns", {})
        if name in columns:
            return columns[name]
        raise AttributeError(f"these bars have no {name!r}, only {', '.join(columns)}")

    def __repr__(self) -> str:
        return f"<Bars: {len(self)} of {', '.join(self.columns)}>"

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that were loaded, the timestamps first."""
        return tuple(self._columns)

    @property
    def timestamp(self) -> numpy.ndarray:
        """The timestamps as datetime64[ns] (the same memory). INT64_MIN, a legal timestamp, shows as NaT there."""
        return self._columns["timestamp_ns"].view("datetime64[ns]")

    def to_numpy(self) -> dict[str, numpy.ndarray]:
        """The columns by name: the same memory."""
        return dict(self._columns)

    def to_pandas(self) -> "pandas.DataFrame":
        """A DataFrame with a UTC index named "timestamp". pandas may copy what it puts together."""
        import pandas
        index = pandas.DatetimeIndex(self.timestamp, name="timestamp").tz_localize("UTC")
        values = {name: self._columns[name] for name in self._columns if name != "timestamp_ns"}
        return pandas.DataFrame(values, index=index, copy=False)

    def to_arrow(self) -> "pyarrow.Table":
        """A table whose columns are the library's memory: "timestamp" (ns, UTC), then the values."""
        import pyarrow
        arrays = {"timestamp": self._arrow_column("timestamp_ns", pyarrow.timestamp("ns", "UTC"))}
        for name in self._columns:
            if name != "timestamp_ns":
                arrays[name] = self._arrow_column(name, pyarrow.float64())
        return pyarrow.table(arrays)

    def _arrow_column(self, name: str, kind: Any) -> "pyarrow.Array":
        import pyarrow
        values = self._columns[name]
        return pyarrow.Array.from_buffers(kind, len(values), [None, pyarrow.py_buffer(values)])


def _timestamps(values: Any) -> numpy.ndarray:
    array = numpy.asarray(values)
    if array.dtype == object or array.dtype.kind in "US":
        array = numpy.array([convert.nanoseconds(value, 0) for value in array.tolist()], "<i8")
    if array.dtype.kind == "M":
        counts = array.astype("datetime64[ns]")
        if array.dtype != counts.dtype and not (counts.astype(array.dtype) == array).all():
            raise errors.InvalidError("a timestamp is outside of the years 1677 to 2262, or NaT")
        if numpy.isnat(counts).any():
            raise errors.InvalidError(f"the timestamp of bar {int(numpy.isnat(counts).argmax())} is NaT")
        return numpy.ascontiguousarray(counts).view("<i8")
    if array.dtype.kind not in "iu" or (array.dtype.kind == "u" and array.size and int(array.max()) >= 2**63):
        raise errors.SchemaMismatchError(f"timestamps are {array.dtype}, not int64 nanoseconds or datetime64")
    return numpy.ascontiguousarray(array, "<i8")


def _prices(name: str, values: Any) -> numpy.ndarray:
    try:
        array = numpy.ascontiguousarray(values, "<f8")
    except (TypeError, ValueError) as failure:
        raise errors.SchemaMismatchError(f"column {name!r} is no column of numbers: {failure}") from failure
    if array.ndim != 1:
        raise errors.SchemaMismatchError(f"column {name!r} has {array.ndim} dimensions, not 1")
    return array


def _frame_columns(data: Any) -> dict[str, Any]:
    """The columns of whatever was given, by their names in lower case."""
    if isinstance(data, Bars):
        return data.to_numpy()
    if isinstance(data, numpy.ndarray) and data.dtype.names:
        return {name.lower(): data[name] for name in data.dtype.names}
    if hasattr(data, "column_names") and hasattr(data, "schema"):  # pyarrow.Table or RecordBatch
        return {name.lower(): _arrow_values(data.column(name)) for name in data.column_names}
    if hasattr(data, "iloc") and hasattr(data, "columns"):  # pandas.DataFrame
        columns = {str(name).lower(): data[name] for name in data.columns}
        if not any(name in columns for name in TIMESTAMP_NAMES):
            columns["timestamp"] = data.index
        return {name: _pandas_values(values) for name, values in columns.items()}
    if isinstance(data, Mapping):
        return {str(name).lower(): values for name, values in data.items()}
    if isinstance(data, (list, tuple)):
        if not all(isinstance(row, Mapping) for row in data):
            raise errors.SchemaMismatchError("a list of bars is a list of dicts with timestamp, open, high, low, close, volume")
        names = {str(name).lower(): name for name in data[0]} if data else {}
        try:
            return {low: [row[name] for row in data] for low, name in names.items()}
        except KeyError as failure:
            raise errors.SchemaMismatchError(f"a bar has no {failure.args[0]!r}, which the first one has") from failure
    raise errors.SchemaMismatchError(f"bars are a DataFrame, an Arrow table, arrays by name, or dicts; not {type(data).__name__}")


def _arrow_values(column: Any) -> Any:
    kind = str(column.type)
    if kind.startswith("timestamp"):
        if column.null_count:
            raise errors.InvalidError("a timestamp is null")
        unit = kind.split("[")[1].split("]")[0].split(",")[0]
        return column.cast("int64").to_numpy().view(f"datetime64[{unit}]")
    return column.to_numpy()  # a view when it has one chunk and no nulls


def _pandas_values(values: Any) -> Any:
    if getattr(values.dtype, "tz", None) is not None:
        values = values.dt.tz_convert("UTC").dt.tz_localize(None) if hasattr(values, "dt") \
            else values.tz_convert("UTC").tz_localize(None)
    return values.to_numpy()


def columns_of(data: Any) -> tuple[numpy.ndarray, list[numpy.ndarray]]:
    """(timestamps, [open, high, low, close, volume]) as contiguous arrays; a copy only where the memory does not fit.

    Takes a pandas.DataFrame (timestamps in a column or the index), a pyarrow.Table, a structured array, arrays or
    lists by name, dicts in a list, or Bars. Raises SchemaMismatchError when a column is missing, extra lengths differ.
    """
    columns = _frame_columns(data)
    if not columns and not len(data):
        return numpy.empty(0, "<i8"), [numpy.empty(0, "<f8")] * len(COLUMNS)
    found = [name for name in TIMESTAMP_NAMES if name in columns]
    if not found:
        raise errors.SchemaMismatchError(f"there is no column \"timestamp\", only {', '.join(sorted(columns))}")
    for name in COLUMNS:
        if name not in columns:
            raise errors.SchemaMismatchError(f"there is no column {name!r}, only {', '.join(sorted(columns))}")
    times = _timestamps(columns[found[0]])
    prices = [_prices(name, columns[name]) for name in COLUMNS]
    if times.ndim != 1:
        raise errors.SchemaMismatchError(f"timestamps have {times.ndim} dimensions, not 1")
    for name, values in zip(COLUMNS, prices):
        if len(values) != len(times):
            raise errors.SchemaMismatchError(f"column {name!r} has {len(values)} values, the timestamps {len(times)}")
    return times, prices


def column_mask(columns: Any) -> int:
    """The bits of enum shoal_data_columns; None is all."""
    if columns is None:
        return 0
    mask = 0
    for name in [columns] if isinstance(columns, str) else columns:
        if name in TIMESTAMP_NAMES:
            continue
        if name not in COLUMNS:
            raise errors.InvalidError(f"column {name!r} is none of {', '.join(COLUMNS)}")
        mask |= 1 << COLUMNS.index(name)
    if mask == 0:
        raise errors.InvalidError("no column was named")
    return mask

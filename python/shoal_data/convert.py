"""Python's values to C's and back: times, JSON."""

import datetime
import json
from typing import Any

import numpy

try:
    import orjson
except ImportError:  # the standard library's parser does it, in twice the time
    orjson = None  # type: ignore[assignment]

from . import errors
from ._library import INT64_MAX, INT64_MIN

UTC = datetime.timezone.utc
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)

Time = int | float | str | datetime.datetime | datetime.date | numpy.datetime64


def _datetime_us(value: datetime.datetime) -> int:
    """Microseconds since 1970, exactly. A time without a zone counts as UTC."""
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return (value - _EPOCH) // datetime.timedelta(microseconds=1)


def _parse(value: Any) -> Any:
    """Text and dates as a datetime or numpy.datetime64; the rest as it is."""
    if isinstance(value, str):
        try:
            return datetime.datetime.fromisoformat(value)
        except ValueError as failure:
            raise errors.InvalidError(f"time {value!r} is not ISO 8601: {failure}") from failure
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return datetime.datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value


def nanoseconds(value: Time | None, default: int) -> int:
    """A timestamp of bars: an int is nanoseconds since 1970 already. Beyond the range of int64 is INVALID."""
    if value is None:
        return default
    value = _parse(value)
    if isinstance(value, numpy.datetime64):
        if numpy.isnat(value):
            raise errors.InvalidError("time NaT is no point in time")
        unit, count = numpy.datetime_data(value.dtype)
        factor = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}.get(unit)
        if factor is None:
            value, factor, count = value.astype("datetime64[s]"), 10**9, 1
        result = int(value.astype("int64")) * factor * count
    elif hasattr(value, "as_unit"):  # pandas.Timestamp, which has nanoseconds
        result = int(value.as_unit("ns").value)
    elif isinstance(value, datetime.datetime):
        result = _datetime_us(value) * 1000
    elif isinstance(value, (int, numpy.integer)) and not isinstance(value, bool):
        result = int(value)
    else:
        raise errors.InvalidError(f"time {value!r} is neither an int (nanoseconds since 1970), nor a datetime, nor text")
    if not INT64_MIN <= result <= INT64_MAX:
        raise errors.InvalidError(f"time {value!r} is outside of the years 1677 to 2262")
    return result


def seconds(value: Time | None) -> int:
    """A time of documents: an int or float is seconds since 1970 already; None is 0, which C takes as "none"."""
    if value is None:
        return 0
    value = _parse(value)
    if isinstance(value, numpy.datetime64):
        result = int(value.astype("datetime64[s]").astype("int64"))
    elif isinstance(value, datetime.datetime):
        result = _datetime_us(value) // 1_000_000
    elif isinstance(value, (int, float, numpy.integer, numpy.floating)) and not isinstance(value, bool) \
            and abs(value) < 2**62:
        result = int(value // 1)
    else:
        raise errors.InvalidError(f"time {value!r} is neither seconds since 1970, nor a datetime, nor text")
    return result


def _plain_value(value: Any) -> Any:
    """What json does not know by itself: NumPy's numbers and arrays, times, sets."""
    if isinstance(value, numpy.generic):
        return value.item()
    if isinstance(value, numpy.ndarray):
        return value.tolist()
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{value!r} ({type(value).__name__}) has no form in JSON")


def json_bytes(value: Any) -> bytes:
    """`value` as JSON. bytes are JSON already (the library checks them); NaN and infinity have no form in JSON."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    try:
        return json.dumps(value, allow_nan=False, default=_plain_value, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as failure:
        raise errors.InvalidError(f"this is no JSON: {failure}") from failure


def metadata_bytes(value: Any) -> bytes | None:
    return None if value is None else json_bytes(value)


def parse_json(text: bytes) -> Any:
    """The value of a JSON text. NaN and Infinity, and integers of any size, are read as Python writes them."""
    if orjson is not None:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass  # stricter than json
    return json.loads(text)

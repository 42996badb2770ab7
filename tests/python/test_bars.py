"""Bars through the Python package: what goes in comes out, in every form, over both backends."""

import datetime
import gc
import importlib.resources

import numpy
import pandas
import pyarrow
import pytest

import shoal_data
from shoal_data.bars import COLUMNS

MIN, MAX = -2**63, 2**63 - 1


def bars_at(times, value=1.0):
    times = numpy.array(times, "<i8")
    return {"timestamp": times, **{name: numpy.full(len(times), value + i) for i, name in enumerate(COLUMNS)}}


def stock():
    """Daily prices of a company that the package bokeh-sampledata ships."""
    with importlib.resources.files("bokeh_sampledata").joinpath("_data/stocks.csv.gz").open("rb") as file:
        frame = pandas.read_csv(file, compression="gzip", parse_dates=["Date"])
    frame = frame[frame["Ticker"] == "AAPL"].reset_index(drop=True)
    return frame[["Date", *[name.capitalize() for name in COLUMNS]]]


def test_real_prices_from_pandas_and_back(store):
    prices = stock()
    assert len(prices) > 2000
    assert store.store_ohlcv_bars("GOOG", "1d", prices) == len(prices)
    expected = prices.sort_values("Date")
    loaded = store.load_ohlcv_bars("GOOG", "1d")
    frame = loaded.to_pandas()
    assert str(frame.index.tz) == "UTC"
    assert (frame.index.tz_localize(None) == expected["Date"].to_numpy()).all()
    for name in COLUMNS:
        numpy.testing.assert_array_equal(frame[name], expected[name.capitalize()].astype(float))
    # The index as timestamps, and zones.
    assert store.store_ohlcv_bars("COPY", "1d", frame) == len(frame)
    assert store.store_ohlcv_bars("NY", "1d", frame.tz_convert("America/New_York")) == len(frame)
    pandas.testing.assert_frame_equal(store.load_ohlcv_bars("COPY", "1d").to_pandas(), frame)
    pandas.testing.assert_frame_equal(store.load_ohlcv_bars("NY", "1d").to_pandas(), frame)


def test_arrow_in_and_out(store):
    table = pyarrow.Table.from_pandas(stock().rename(columns=str.lower), preserve_index=False)
    store.store_ohlcv_bars("GOOG", "1d", table)
    out = store.load_ohlcv_bars("GOOG", "1d").to_arrow()
    out.validate(full=True)
    assert out.schema.field("timestamp").type == pyarrow.timestamp("ns", "UTC")
    store.store_ohlcv_bars("AGAIN", "1d", out)
    assert store.load_ohlcv_bars("AGAIN", "1d").to_arrow().equals(out)
    store.store_ohlcv_bars("BATCH", "1d", out.to_batches()[0])
    assert store.load_ohlcv_bars("BATCH", "1d").to_arrow().equals(out)


def test_columns_are_the_librarys_memory_and_outlive_the_store(url):
    with shoal_data.Store(url, pool_min=2) as store:
        store.store_ohlcv_bars("A", "1m", bars_at(range(1000)))
        bars = store.load_ohlcv_bars("A", "1m")
        close = bars.close
        table = bars.to_arrow()
        assert numpy.shares_memory(close, table["close"].chunk(0).to_numpy())
        assert bars.timestamp.dtype == "datetime64[ns]" and numpy.shares_memory(bars.timestamp, bars.timestamp_ns)
        assert not close.flags.writeable and not close.flags.owndata
    view = close[10:20]
    del bars, close
    gc.collect()
    assert (view == 4.0).all() and table["open"].chunk(0).to_numpy()[0] == 1.0


def test_dicts_structured_arrays_and_bars(store):
    rows = [{"timestamp": datetime.datetime(2024, 1, 1, 0, i), "open": 1, "high": 2, "low": 0.5, "close": 1.5,
             "volume": 10} for i in range(3)]
    store.store_ohlcv_bars("ROWS", "1m", rows)
    loaded = store.load_ohlcv_bars("ROWS", "1m")
    assert loaded.timestamp[0] == numpy.datetime64("2024-01-01") and list(loaded.volume) == [10, 10, 10]
    structured = numpy.zeros(2, [("timestamp", "<i8"), *[(name, "<f8") for name in COLUMNS]])
    structured["timestamp"] = [5, 6]
    store.store_ohlcv_bars("STRUCT", "1m", structured)
    store.store_ohlcv_bars("COPY", "1m", store.load_ohlcv_bars("STRUCT", "1m"))
    assert list(store.load_ohlcv_bars("COPY", "1m").timestamp_ns) == [5, 6]


def test_order_duplicates_corrections_and_late_bars(store):
    store.store_ohlcv_bars("A", "1m", bars_at([30, 10, 20, 10], 1.0))
    store.store_ohlcv_bars("A", "1m", bars_at([20, 5], 7.0))
    loaded = store.load_ohlcv_bars("A", "1m")
    assert list(loaded.timestamp_ns) == [5, 10, 20, 30]
    assert list(loaded.open) == [7.0, 1.0, 7.0, 1.0]
    twice = {**bars_at([1, 1]), "close": [1.0, 2.0]}
    store.store_ohlcv_bars("B", "1m", twice)
    assert list(store.load_ohlcv_bars("B", "1m").close) == [2.0]


def test_empty_and_never_written(store):
    assert store.store_ohlcv_bars("A", "1m", bars_at([])) == 0
    assert store.store_ohlcv_bars("A", "1m", []) == 0
    bars = store.load_ohlcv_bars("NOBODY", "1m")
    assert len(bars) == 0 and bars.to_pandas().empty and bars.to_arrow().num_rows == 0


def test_values_are_kept_bit_for_bit(store):
    odd = numpy.array([numpy.nan, numpy.inf, -numpy.inf, -0.0, 5e-324, 1.7976931348623157e308])
    store.store_ohlcv_bars("A", "1m", {**bars_at(range(6)), "close": odd})
    assert store.load_ohlcv_bars("A", "1m").close.tobytes() == odd.tobytes()


def test_the_whole_range_of_time(store):
    times = [MIN + 1, -10**18, -1, 0, 1, 10**18, MAX - 1, MAX]
    store.store_ohlcv_bars("A", "1d", bars_at(times))
    loaded = store.load_ohlcv_bars("A", "1d")
    assert list(loaded.timestamp_ns) == times
    assert str(loaded.timestamp[0])[:4] == "1677" and str(loaded.timestamp[-1])[:4] == "2262"
    assert list(store.load_ohlcv_bars("A", "1d", start=0, end=10**18).timestamp_ns) == [0, 1]
    for far in ("1600-01-01", "2300-01-01"):
        with pytest.raises(shoal_data.InvalidError, match="1677 to 2262"):
            store.load_ohlcv_bars("A", "1d", start=far)
    with pytest.raises(shoal_data.InvalidError, match="1677 to 2262"):
        store.store_ohlcv_bars("A", "1d", {**bars_at([0]), "timestamp": numpy.array(["2300-01-01"], "datetime64[s]")})


def test_ranges_and_columns(store):
    start = datetime.datetime(2024, 3, 1, tzinfo=datetime.timezone.utc)
    minutes = pandas.date_range(start, periods=100, freq="min")
    store.store_ohlcv_bars("A", "1m", {**bars_at(range(100)), "timestamp": minutes})
    for first in (start + datetime.timedelta(minutes=10), "2024-03-01T00:10:00+00:00", "2024-03-01T00:10",
                  numpy.datetime64("2024-03-01T00:10"), minutes[10]):
        loaded = store.load_ohlcv_bars("A", "1m", first, minutes[20], columns=["close"])
        assert len(loaded) == 10 and loaded.columns == ("timestamp_ns", "close")
        with pytest.raises(AttributeError, match="no 'open'"):
            _ = loaded.open
    with pytest.raises(shoal_data.InvalidError, match="'vwap'"):
        store.load_ohlcv_bars("A", "1m", columns=["vwap"])


@pytest.mark.parametrize("symbol", ["BRK.B", "BTC/USD", "€/¥", "株式会社", "a b", "A%2FB", "AUX", "x" * 64])
def test_symbols(store, symbol):
    store.store_ohlcv_bars(symbol, "1m", bars_at([1]))
    store.store_ohlcv_bars("OTHER", "1h", bars_at([1, 2]))
    assert len(store.load_ohlcv_bars(symbol, "1m")) == 1
    assert {(s.symbol, s.timeframe) for s in store.list_series()} == {(symbol, "1m"), ("OTHER", "1h")}
    assert [s.symbol for s in store.list_series("1h")] == ["OTHER"]


@pytest.mark.parametrize("symbol", ["", ".", "..", "../../etc/passwd", "/etc/passwd", "a/../b", "a//b", "a\\b", "a\0b",
                                    "a\nb", " a", "a ", ".hidden", "x" * 65, "\ud800", None, 7])
def test_symbols_that_are_refused(store, url, symbol, tmp_path):
    with pytest.raises(shoal_data.DataStorageError) as caught:
        store.store_ohlcv_bars(symbol, "1m", bars_at([1]))
    assert isinstance(caught.value, ValueError) and caught.value.message
    with pytest.raises(ValueError):
        store.load_ohlcv_bars(symbol, "1m")
    assert store.list_series() == []
    assert {path.name for path in tmp_path.iterdir()} <= {"store"}


@pytest.mark.parametrize("timeframe", ["", "m", "1", "../1m", "1m/..", "1234567890123m"])
def test_timeframes_that_are_refused(store, timeframe):
    with pytest.raises(shoal_data.InvalidError):
        store.store_ohlcv_bars("A", timeframe, bars_at([1]))


def test_columns_that_do_not_fit(store):
    good = bars_at([1, 2])
    with pytest.raises(shoal_data.SchemaMismatchError, match="'volume' has 1 values, the timestamps 2"):
        store.store_ohlcv_bars("A", "1m", {**good, "volume": [1.0]})
    with pytest.raises(shoal_data.SchemaMismatchError, match="no column 'low'"):
        store.store_ohlcv_bars("A", "1m", {name: good[name] for name in good if name != "low"})
    with pytest.raises(shoal_data.SchemaMismatchError, match="timestamp"):
        store.store_ohlcv_bars("A", "1m", {name: good[name] for name in COLUMNS})
    with pytest.raises(shoal_data.SchemaMismatchError, match="'open'"):
        store.store_ohlcv_bars("A", "1m", {**good, "open": ["x", "y"]})
    with pytest.raises(shoal_data.SchemaMismatchError, match="float64"):
        store.store_ohlcv_bars("A", "1m", {**good, "timestamp": [1.5, 2.5]})
    with pytest.raises(shoal_data.InvalidError, match="NaT"):
        store.store_ohlcv_bars("A", "1m", {**good, "timestamp": numpy.array(["2024-01-01", "NaT"], "datetime64[ns]")})
    assert store.list_series() == []


def test_many_series_at_once(store):
    data = {f"S{i}": bars_at(range(50), float(i)) for i in range(40)}
    assert store.store_ohlcv_bars_many("1m", data) == 40
    loaded = store.load_ohlcv_bars_many(data, "1m", 10, 20)
    assert list(loaded) == list(data)
    assert all(len(bars) == 10 and (bars.open == i).all() for i, bars in enumerate(loaded.values()))
    with pytest.raises(shoal_data.InvalidError) as caught:
        store.store_ohlcv_bars_many("1m", {"GOOD": bars_at([1]), "../BAD": bars_at([1])})
    assert "../BAD" in caught.value.message
    with pytest.raises(shoal_data.InvalidError):
        store.load_ohlcv_bars_many(["S1", ".."], "1m")


def test_damage_is_named_and_the_rest_still_loads(tmp_path):
    with shoal_data.Store(str(tmp_path / "store")) as store:
        for month in (1, 2):
            times = pandas.date_range(f"2024-{month:02}-01", periods=5, freq="min")
            store.store_ohlcv_bars("A", "1m", {**bars_at(range(5)), "timestamp": times})
        parts = sorted((tmp_path / "store/market_data/ohlcv").rglob("*.parquet"))
        assert len(parts) == 2
        content = bytearray(parts[0].read_bytes())
        content[len(content) // 4] ^= 0xff
        content[-6] ^= 0xff
        parts[0].write_bytes(content)
        with pytest.raises(shoal_data.DamagedError, match=parts[0].name) as caught:
            store.load_ohlcv_bars("A", "1m")
        assert len(caught.value.partial) == 5 and parts[0].name in caught.value.problems[0]
        allowed = store.load_ohlcv_bars("A", "1m", allow_damaged=True)
        assert len(allowed) == 5 and allowed.problems


def test_files_are_read_by_others(tmp_path):
    import duckdb
    import pyarrow.dataset
    with shoal_data.Store(str(tmp_path)) as store:
        prices = stock()
        store.store_ohlcv_bars("GOOG", "1d", prices)
        store.compact_bars()
    parts = [str(path) for path in (tmp_path / "market_data/ohlcv").rglob("*.parquet")]
    closes = sorted(prices["Close"])
    assert sorted(pandas.concat(pandas.read_parquet(part) for part in parts)["close"]) == closes
    assert sorted(pyarrow.dataset.dataset(parts).to_table()["close"].to_pylist()) == closes
    assert sorted(row[0] for row in duckdb.sql(f"SELECT close FROM read_parquet({parts})").fetchall()) == closes

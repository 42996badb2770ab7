"""Bars that the store keeps are read by pandas, pyarrow and DuckDB as they are, and theirs by the store."""

import importlib.resources
import math
import random
import struct
import subprocess

import duckdb
import numpy
import pandas
import pyarrow
import pyarrow.dataset
import pyarrow.parquet
import pytest

from conftest import BUILD

ROW = numpy.dtype([("timestamp", "<i8"), ("open", "<f8"), ("high", "<f8"), ("low", "<f8"), ("close", "<f8"),
                   ("volume", "<f8")])
COLUMNS = list(ROW.names)
MIN, MAX = -2**63, 2**63 - 1
INVALID, DAMAGED = 1, 5


class Store:
    def __init__(self, path):
        self.path = path
        self.ohlcv = path / "market_data/ohlcv"

    def run(self, *arguments, stdin=None, status=0):
        done = subprocess.run([BUILD / "tests/data/bars_tool", arguments[0], self.path, *map(str, arguments[1:])],
                              input=stdin, capture_output=True, timeout=60, check=False)
        assert done.returncode == status, (done.returncode, done.stderr.decode(errors="replace")[-2000:])
        return done

    def append(self, symbol, rows, timeframe="1m", status=0):
        return self.run("append", symbol, timeframe, stdin=numpy.array(rows, ROW).tobytes(), status=status)

    def load(self, symbol, timeframe="1m", first=MIN, end=MAX, status=0):
        done = self.run("load", symbol, timeframe, first, end, status=status)
        return numpy.frombuffer(done.stdout, ROW)

    def directory(self, symbol, timeframe="1m"):
        return self.ohlcv / f"symbol={symbol}" / f"timeframe={timeframe}"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def rows_of(times, seed=1):
    rng = random.Random(seed)
    return [(int(t), *(rng.choice([round(rng.uniform(1, 500), 2), rng.random(), math.nan, 0.0]) for _ in range(5)))
            for t in times]


def same_rows(got, expected):
    """Bit for bit, NaN too."""
    expected = numpy.array(expected, ROW)
    assert len(got) == len(expected)
    for name in COLUMNS:
        assert (got[name].view("<i8") == expected[name].view("<i8")).all(), name


def as_rows(table):
    """An Arrow table or frame as rows, by time."""
    if isinstance(table, pandas.DataFrame):
        table = pyarrow.Table.from_pandas(table, preserve_index=False)
    rows = numpy.empty(len(table), ROW)
    rows["timestamp"] = table["timestamp"].cast(pyarrow.timestamp("ns", "UTC")).cast(pyarrow.int64()).to_numpy()
    for name in COLUMNS[1:]:
        rows[name] = table[name].to_numpy()
    return rows[numpy.argsort(rows["timestamp"], kind="stable")]


SYMBOLS = ["BRK.B", "BTC/USD", "日経225", "A=B", "a b", "_x", "x'y", "50%", "TRUE", "007"]


def test_three_readers_see_what_was_written(store):
    expected = {}
    for i, symbol in enumerate(SYMBOLS):
        times = 1_704_067_200_000_000_000 + numpy.arange(300 + i) * 60_000_000_000
        expected[symbol] = rows_of(times, i)
        store.append(symbol, expected[symbol])
        store.append(symbol, rows_of(times[:5] + 300 * 86_400_000_000_000), timeframe="1h")
    partitioning = pyarrow.dataset.partitioning(
        pyarrow.schema([(name, pyarrow.string()) for name in ("symbol", "timeframe", "period")]), flavor="hive")
    table = pyarrow.dataset.dataset(store.ohlcv, format="parquet", partitioning=partitioning).to_table(
        filter=pyarrow.dataset.field("timeframe") == "1m")
    frame = pandas.read_parquet(store.ohlcv, partitioning=partitioning)
    duck = duckdb.sql(f"SELECT * FROM read_parquet('{store.ohlcv}/**/*.parquet', hive_partitioning=true, "
                      "hive_types_autocast=false) WHERE timeframe = '1m'").to_arrow_table()
    for symbol, rows in expected.items():
        same_rows(as_rows(table.filter(pyarrow.compute.equal(table["symbol"], symbol))), rows)
        same_rows(as_rows(frame[(frame["symbol"] == symbol) & (frame["timeframe"] == "1m")][COLUMNS]), rows)
        same_rows(as_rows(duck.filter(pyarrow.compute.equal(duck["symbol"], symbol))), rows)
        same_rows(store.load(symbol), rows)
    assert set(frame["period"]) == {"2024-01", "2024"}
    listed = [line.rsplit(" ", 1)[0] for line in store.run("series").stdout.decode().splitlines()]
    assert sorted(set(listed)) == sorted(SYMBOLS) and len(listed) == 2 * len(SYMBOLS)


def test_the_plain_defaults_of_the_readers_work(store):
    rows = rows_of(1_704_067_200_000_000_000 + numpy.arange(10) * 60_000_000_000)
    store.append("AAPL", rows)
    same_rows(as_rows(pandas.read_parquet(store.ohlcv)[COLUMNS]), rows)
    same_rows(as_rows(pyarrow.parquet.read_table(store.ohlcv)), rows)
    same_rows(as_rows(duckdb.sql(f"FROM '{store.ohlcv}/*/*/*/*.parquet'").to_arrow_table()), rows)


def test_times_from_1677_to_2262_and_in_any_order(store):
    rng = random.Random(4)
    times = [MIN, MIN + 1, -1, 0, 1, MAX - 1, MAX, *(rng.randrange(MIN, MAX) for _ in range(60))]
    rows = rows_of(times)
    rng.shuffle(rows)
    store.append("OLD", rows, timeframe="1d")
    rows.sort()
    same_rows(store.load("OLD", "1d"), rows)
    same_rows(store.load("OLD", "1d", 0, MAX), [row for row in rows if row[0] >= 0])
    same_rows(store.load("OLD", "1d", MIN, 0), [row for row in rows if row[0] < 0])
    years = sorted(path.name for path in store.directory("OLD", "1d").iterdir())
    assert years[0] == "period=1677" and years[-1] == "period=2262"
    table = pyarrow.dataset.dataset(store.directory("OLD", "1d"), format="parquet").to_table()
    same_rows(as_rows(table), rows)


def test_duplicates_late_bars_and_corrections(store):
    rng = random.Random(5)
    expected = {}
    for turn in range(12):
        times = [1_704_067_200_000_000_000 + rng.randrange(3000) * 60_000_000_000 for _ in range(400)]
        rows = rows_of(times, turn)
        expected.update((row[0], row) for row in rows)
        store.append("LATE", rows)
        if turn in (4, 11):
            same_rows(store.load("LATE"), [expected[t] for t in sorted(expected)])
            store.run("compact")
        same_rows(store.load("LATE"), [expected[t] for t in sorted(expected)])
    files = list(store.directory("LATE").rglob("*.parquet"))
    assert len(files) == 1
    same_rows(as_rows(pyarrow.parquet.read_table(files[0])), [expected[t] for t in sorted(expected)])


def test_sql_of_the_format_gives_the_corrected_bars(store):
    start = 1_704_067_200_000_000_000
    store.append("A", rows_of([start, start + 1], 1))
    corrected = rows_of([start + 1, start + 2], 2)
    store.append("A", corrected)
    duck = duckdb.sql(f"""SELECT * FROM read_parquet('{store.directory("A")}/**/*.parquet', hive_partitioning=true,
        filename=true) QUALIFY row_number() OVER (PARTITION BY timestamp ORDER BY filename DESC) = 1
        ORDER BY timestamp""").to_arrow_table()
    same_rows(as_rows(duck)[1:], corrected)
    same_rows(store.load("A"), as_rows(duck))


@pytest.mark.parametrize("unit", ["ns", "us", "ms"])
def test_files_of_pandas_in_a_partition_are_read(store, unit):
    start = 1_704_067_200_000_000_000
    store.append("P", rows_of([start + 60_000_000_000], 1))
    frame = pandas.DataFrame(numpy.array(rows_of(start + numpy.arange(200)[::-1] * 60_000_000_000, 2), ROW))
    frame["timestamp"] = pandas.to_datetime(frame["timestamp"], utc=True).astype(f"datetime64[{unit}, UTC]")
    frame.to_parquet(store.directory("P") / "period=2024-01" / "part-0.parquet", index=False)
    got = store.load("P")
    expected = as_rows(frame)
    same_rows(got[2:], expected[2:])
    same_rows(got[1:2], rows_of([start + 60_000_000_000], 1))  # the store's own part counts


def test_real_stocks_by_day(store):
    with importlib.resources.files("bokeh_sampledata").joinpath("_data/stocks.csv.gz").open("rb") as file:
        stocks = pandas.read_csv(file, compression="gzip", index_col=None)
    stocks.columns = [name.lower().strip("#") for name in stocks.columns]
    total = 0
    for symbol, frame in stocks.groupby("ticker" if "ticker" in stocks else "symbol"):
        rows = numpy.empty(len(frame), ROW)
        rows["timestamp"] = pandas.to_datetime(frame["date"]).astype("datetime64[ns]").astype("int64")
        for name in COLUMNS[1:]:
            rows[name] = frame[name]
        store.append(symbol, rows, timeframe="1d")
        rows = rows[numpy.argsort(rows["timestamp"], kind="stable")]
        same_rows(store.load(symbol, "1d"), rows)
        first = int(rows["timestamp"][len(rows) // 3])
        same_rows(store.load(symbol, "1d", first), rows[rows["timestamp"] >= first])
        total += len(rows)
    store.run("compact")
    partitioned = pyarrow.dataset.dataset(store.ohlcv, format="parquet")
    assert partitioned.count_rows() == total > 1000


@pytest.mark.parametrize("symbol", ["../x", "a/../../b", "/etc", "", ".", "a\nb", "x" * 65, "a//b", "\\x"])
def test_symbols_that_lead_out_are_refused(store, symbol):
    done = store.append(symbol, rows_of([1]), status=INVALID)
    assert b"symbol" in done.stderr
    assert not list(store.path.rglob("*.parquet")) and not list(store.path.parent.glob("*.parquet"))


def test_a_file_that_is_no_parquet_is_named(store):
    start = 1_704_067_200_000_000_000
    rows = rows_of([start, start + 60_000_000_000])
    store.append("D", rows)
    bad = store.directory("D") / "period=2024-01" / "notes.parquet"
    bad.write_bytes(struct.pack("<20q", *range(20)))
    done = store.run("load", "D", "1m", MIN, MAX, status=DAMAGED)
    assert b"notes.parquet" in done.stderr
    same_rows(numpy.frombuffer(done.stdout, ROW), rows)
    wrong = pandas.DataFrame({"timestamp": [1, 2], "open": [1.0, 2.0]})
    wrong.to_parquet(bad, index=False)
    done = store.run("load", "D", "1m", MIN, MAX, status=DAMAGED)
    assert b"notes.parquet: the column 'timestamp' is not of timestamps" in done.stderr

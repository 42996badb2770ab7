"""What src/parquet writes, pyarrow, pandas and DuckDB read."""

import datetime
import math
import random

import duckdb
import pandas
import pyarrow
import pyarrow.parquet
import pytest

NS_MIN = -9223372036854775807  # 1677-09-21; one less is pandas' NaT
NS_MAX = 9223372036854775807   # 2262-04-11


def same(a, b):
    """Equal, where NaN is equal to NaN and -0.0 differs from 0.0."""
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return a == b


def assert_same(got, expected):
    assert len(got) == len(expected)
    wrong = [i for i, (a, b) in enumerate(zip(got, expected)) if not same(a, b)]
    assert not wrong, f"row {wrong[0]}: {got[wrong[0]]!r} is not {expected[wrong[0]]!r}"


def random_columns(seed, rows):
    """Columns of every type, required and optional, of values that make every encoding happen."""
    rng = random.Random(seed)
    makers = {
        "steady": ("int64", lambda i: 1_700_000_000_000_000_000 + i * 60_000_000_000),
        "wild": ("int64", lambda i: rng.randrange(-2**63, 2**63)),
        "few": ("int64", lambda i: rng.choice([-2**63, 2**63 - 1, 0, 7])),
        "small": ("int32", lambda i: rng.randrange(-2**31, 2**31)),
        "walk": ("int32", lambda i: i * 3 - rng.randrange(100)),
        "flag": ("boolean", lambda i: rng.random() < 0.5),
        "price": ("double", lambda i: round(100 + rng.random() * 9, 2)),
        "real": ("double", lambda i: rng.choice([rng.random(), math.nan, math.inf, -math.inf, 0.0, -0.0])),
        "single": ("float", lambda i: rng.randrange(1000) / 8),
        "word": ("bytes", lambda i: rng.choice(["", "a", "žluťoučký kůň", "日本", "BRK.B"]).encode()),
        "text": ("bytes", lambda i: rng.randbytes(rng.randrange(90)).hex().encode()),
    }
    columns = []
    for name, (kind, make) in makers.items():
        for optional in (False, True):
            null_share = rng.choice([0, 0.01, 0.5, 1]) if optional else 0
            values = [None if rng.random() < null_share else make(i) for i in range(rows)]
            columns.append({"name": f"{name}_{'opt' if optional else 'req'}", "type": kind,
                            "logical": "string" if kind == "bytes" else "", "optional": optional,
                            "values": values})
    return columns


def as_python(column):
    if column["type"] == "bytes":
        return [None if v is None else v.decode() for v in column["values"]]
    return column["values"]


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd"])
@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 1000, 5003])
def test_every_type_is_read_by_pyarrow_and_duckdb(tool, tmp_path, codec, rows):
    columns = random_columns(rows, rows)
    path = tmp_path / "file.parquet"
    tool.write(path, columns, codec=codec, row_group_rows=2000, page_rows=300)
    table = pyarrow.parquet.read_table(path, page_checksum_verification=True)
    duck = duckdb.sql(f"SELECT * FROM '{path}'").fetchall()
    assert table.num_rows == len(duck) == rows
    for i, column in enumerate(columns):
        assert_same(table.column(column["name"]).to_pylist(), as_python(column))
        assert_same([row[i] for row in duck], as_python(column))
        assert table.schema.field(i).nullable == column["optional"]
    again = tool.read(path)
    assert [c["values"] for c in again["columns"] if "real" not in c["name"]] == [
        c["values"] for c in columns if "real" not in c["name"]]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("local", [False, True])
def test_timestamps_keep_their_unit_and_zone(tool, tmp_path, unit, local):
    path = tmp_path / "t.parquet"
    values = [NS_MIN, -1, 0, 1, 1_700_000_000_000_000_000, NS_MAX]
    if unit != "ns":
        values = [v // (10**6 if unit == "ms" else 10**3) for v in values]
    tool.write(path, [{"name": "t", "type": "int64", "logical": unit, "local": local, "values": values}])
    table = pyarrow.parquet.read_table(path)
    assert table.schema.field("t").type == pyarrow.timestamp(unit, None if local else "UTC")
    assert table.column("t").cast(pyarrow.int64()).to_pylist() == values
    frame = pandas.read_parquet(path)
    assert list(frame["t"].astype("int64")) == values
    if unit == "ns" and not local:
        assert frame["t"].iloc[0].year == 1677 and frame["t"].iloc[-1].year == 2262
    kind = "TIMESTAMP" if local else "TIMESTAMPTZ"
    duck = duckdb.sql(f"SELECT epoch_us(t::{kind}) FROM '{path}'").fetchall()
    assert duck[4][0] == 1_700_000_000_000_000


def test_statistics_and_page_index_are_right(tool, tmp_path):
    path = tmp_path / "s.parquet"
    nan = math.nan
    tool.write(path, [
        {"name": "i", "type": "int64", "values": [5, -3, 9, 2**62]},
        {"name": "d", "type": "double", "values": [nan, 2.5, nan, -1.5]},
        {"name": "n", "type": "double", "values": [nan] * 4},
        {"name": "s", "type": "bytes", "logical": "string", "optional": True,
         "values": [b"b", None, "é".encode(), b"a"]}], page_rows=2)
    group = pyarrow.parquet.ParquetFile(path).metadata.row_group(0)
    statistics = [group.column(i).statistics for i in range(4)]
    assert (statistics[0].min, statistics[0].max, statistics[0].null_count) == (-3, 2**62, 0)
    assert (statistics[1].min, statistics[1].max) == (-1.5, 2.5)
    assert not statistics[2].has_min_max
    assert (statistics[3].min, statistics[3].max, statistics[3].null_count) == ("a", "é", 1)
    assert [group.column(i).has_column_index for i in range(4)] == [True, True, False, True]
    assert all(group.column(i).has_offset_index for i in range(4))


def test_readers_filter_by_our_statistics(tool, tmp_path):
    path = tmp_path / "f.parquet"
    tool.write(path, [{"name": "i", "type": "int64", "values": list(range(10000))}],
               row_group_rows=1000, page_rows=100)
    table = pyarrow.parquet.read_table(path, filters=[("i", ">=", 4321), ("i", "<", 4330)])
    assert table.column("i").to_pylist() == list(range(4321, 4330))
    assert duckdb.sql(f"SELECT i FROM '{path}' WHERE i BETWEEN 777 AND 779").fetchall() == [(777,), (778,), (779,)]


def test_metadata_of_the_file(tool, tmp_path):
    path = tmp_path / "m.parquet"
    tool.write(path, [{"name": "i", "type": "int32", "values": [1]}], pairs={"note": "čau", "empty": ""})
    metadata = pyarrow.parquet.read_metadata(path)
    assert metadata.metadata[b"note"] == "čau".encode() and metadata.metadata[b"empty"] == b""
    assert metadata.created_by.startswith("shoal")
    assert tool.read(path)["note"] == "čau"


def test_pandas_reads_a_frame_of_bars(tool, tmp_path):
    path = tmp_path / "bars.parquet"
    times = [1_700_000_000_000_000_000 + i * 60_000_000_000 for i in range(1000)]
    prices = [100 + i % 17 / 4 for i in range(1000)]
    tool.write(path, [{"name": "timestamp", "type": "int64", "logical": "ns", "values": times},
                      {"name": "close", "type": "double", "values": prices}])
    frame = pandas.read_parquet(path)
    assert str(frame["timestamp"].dtype) == "datetime64[ns, UTC]"
    assert frame["timestamp"].iloc[0] == pandas.Timestamp(datetime.datetime(2023, 11, 14, 22, 13, 20),
                                                          tz="UTC")
    assert list(frame["close"]) == prices

"""What pyarrow, pandas and DuckDB write, src/parquet reads; and what it says of damaged files."""

import math
import random

import duckdb
import pandas
import pyarrow
import pyarrow.parquet
import pytest

from conftest import Damaged, run_tool
from test_parquet_write import assert_same, random_columns

ARROW = {"int64": pyarrow.int64(), "int32": pyarrow.int32(), "boolean": pyarrow.bool_(),
         "double": pyarrow.float64(), "float": pyarrow.float32(), "bytes": pyarrow.binary()}


def arrow_table(seed, rows):
    columns = random_columns(seed, rows)
    return columns, pyarrow.table(
        {c["name"]: pyarrow.array(c["values"], ARROW[c["type"]]) for c in columns},
        schema=pyarrow.schema([pyarrow.field(c["name"], ARROW[c["type"]], c["optional"]) for c in columns]))


def check(tool, path, columns):
    got = tool.read(path)
    assert [c["name"] for c in got["columns"]] == [c["name"] for c in columns]
    for mine, theirs in zip(got["columns"], columns):
        assert mine["type"] == theirs["type"]
        assert_same(mine["values"], theirs["values"])


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd"])
@pytest.mark.parametrize("rows", [0, 1, 9, 3000])
def test_files_of_pyarrow(tool, tmp_path, version, codec, rows):
    path = tmp_path / "a.parquet"
    columns, table = arrow_table(rows, rows)
    pyarrow.parquet.write_table(table, path, data_page_version=version, compression=codec,
                                row_group_size=1111, data_page_size=2000, write_page_index=True,
                                write_page_checksum=True)
    check(tool, path, columns)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_every_encoding_of_pyarrow(tool, tmp_path, version):
    columns, table = arrow_table(5, 2500)
    choices = {"int64": ["PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"],
               "int32": ["PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"],
               "double": ["PLAIN", "BYTE_STREAM_SPLIT"], "float": ["PLAIN", "BYTE_STREAM_SPLIT"],
               "boolean": ["PLAIN", "RLE"],
               "bytes": ["PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"]}
    for turn in range(3):
        path = tmp_path / f"{turn}.parquet"
        encodings = {c["name"]: choices[c["type"]][turn % len(choices[c["type"]])] for c in columns}
        pyarrow.parquet.write_table(table, path, use_dictionary=False, column_encoding=encodings,
                                    data_page_version=version, data_page_size=3000)
        check(tool, path, columns)


@pytest.mark.parametrize("version", ["V1", "V2"])
@pytest.mark.parametrize("codec", ["uncompressed", "snappy", "gzip", "zstd"])
def test_files_of_duckdb(tool, tmp_path, version, codec):
    columns, table = arrow_table(9, 5000)
    path = tmp_path / "d.parquet"
    connection = duckdb.connect()
    connection.register("source", table)
    connection.execute(f"COPY source TO '{path}' (FORMAT parquet, COMPRESSION {codec}, "
                       f"PARQUET_VERSION {version}, ROW_GROUP_SIZE 2048)")
    check(tool, path, columns)


def test_frames_of_pandas(tool, tmp_path):
    path = tmp_path / "p.parquet"
    times = pandas.date_range("2024-01-02 09:30", periods=390, freq="1min", tz="UTC")
    frame = pandas.DataFrame({"timestamp": times.as_unit("ns"), "close": [100 + i / 7 for i in range(390)],
                              "symbol": ["BTC/USD"] * 390})
    frame.to_parquet(path, index=False)
    got = {c["name"]: c for c in tool.read(path)["columns"]}
    assert got["timestamp"]["logical"] == "ns" and not got["timestamp"]["local"]
    assert got["timestamp"]["values"] == list(times.as_unit("ns").astype("int64"))
    assert got["close"]["values"] == list(frame["close"])
    assert got["symbol"]["values"] == [b"BTC/USD"] * 390


def test_nested_columns_are_refused_by_name_and_others_listed(tool, tmp_path):
    path = tmp_path / "n.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"a": [1, 2], "list": [[1], [2, 3]]}), path)
    with pytest.raises(Damaged) as caught:
        tool.read(path)
    assert "'element'" in str(caught.value) and "not supported" in str(caught.value)


@pytest.mark.parametrize("index", [True, False])
def test_pages_outside_of_a_range_are_skipped(tool, tmp_path, index):
    path = tmp_path / "r.parquet"
    rng = random.Random(3)
    others = [None if rng.random() < 0.3 else str(rng.randrange(50)) for _ in range(20000)]
    table = pyarrow.table({"s": others, "t": list(range(0, 40000, 2)), "f": [i / 3 for i in range(20000)]})
    pyarrow.parquet.write_table(table, path, row_group_size=5000, data_page_size=4000,
                                write_page_index=index, use_dictionary=["s"])
    got = tool.read(path, ["t", 21000, 21100])
    columns = {c["name"]: c["values"] for c in got["columns"]}
    wanted = [i for i, t in enumerate(columns["t"]) if 21000 <= t <= 21100]
    assert len(wanted) == 51
    first = columns["t"][0] // 2
    assert columns["t"] == list(range(first * 2, first * 2 + len(columns["t"]) * 2, 2))
    assert columns["f"] == [(first + i) / 3 for i in range(len(columns["f"]))]
    assert [None if v is None else v.decode() for v in columns["s"]] == others[first:first + len(columns["s"])]
    assert len(columns["t"]) <= (2000 if index else 5000)


def test_own_files_skip_to_the_page(tool, tmp_path):
    path = tmp_path / "o.parquet"
    tool.write(path, [{"name": "t", "type": "int64", "values": list(range(10000))},
                      {"name": "d", "type": "double", "values": [float(i % 9) for i in range(10000)]}],
               row_group_rows=5000, page_rows=100)
    got = tool.read(path, ["t", 7250, 7349])
    assert got["batches"] == [7200, 7300]
    assert got["columns"][0]["values"] == list(range(7200, 7400))
    assert got["columns"][1]["values"] == [float(i % 9) for i in range(7200, 7400)]
    assert got["columns"][0]["bounds"] == [0, 9999]
    assert tool.read(path, ["t", 20000, 30000])["batches"] == []


def test_a_damaged_page_is_named(tool, tmp_path):
    path = tmp_path / "x.parquet"
    rng = random.Random(1)
    tool.write(path, [{"name": "a", "type": "int64", "values": [rng.randrange(2**62) for _ in range(1000)]},
                      {"name": "b", "type": "double", "values": [rng.random() for _ in range(1000)]}],
               page_rows=100, codec="none")
    data = bytearray(path.read_bytes())
    offset = pyarrow.parquet.read_metadata(path).row_group(0).column(1).data_page_offset
    data[offset + 3 * 830 + 400] ^= 1
    path.write_bytes(data)
    with pytest.raises(Damaged) as caught:
        tool.read(path)
    report = caught.value.report
    assert (report["column"], report["page"], report["row_group"]) == (1, 3, 0)
    assert "x.parquet: column 'b', row group 0, page 3: damaged: the CRC is wrong" in report["error"]


def test_cut_and_foreign_files_are_refused(tool, tmp_path):
    path = tmp_path / "c.parquet"
    tool.write(path, random_columns(1, 50))
    whole = path.read_bytes()
    for size in (0, 3, 11, 12, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(Damaged) as caught:
            tool.read(path)
        assert caught.value.report["code"] == -74 and "c.parquet" in str(caught.value)


def test_changed_bytes_never_crash_the_reader(tool, tmp_path):
    """Every byte of the metadata is changed in turn: the answer is an error or some values, never a crash."""
    path = tmp_path / "b.parquet"
    pyarrow.parquet.write_table(arrow_table(2, 40)[1].select([0, 5, 13, 18]), path,
                                write_page_index=True, data_page_version="2.0")
    whole = path.read_bytes()
    rng = random.Random(7)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 1, 4])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        try:
            run_tool(["read", path])
        except Damaged:
            pass


def test_nan_and_zeros_survive(tool, tmp_path):
    path = tmp_path / "z.parquet"
    values = [0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308]
    pyarrow.parquet.write_table(pyarrow.table({"d": values}), path)
    assert_same(tool.read(path)["columns"][0]["values"], values)

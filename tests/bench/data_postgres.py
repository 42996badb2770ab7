#!/usr/bin/env python3
"""Bars, documents and checkpoints by libshoal-data in PostgreSQL, beside psql's COPY of the same bars, interleaved:
tests/bench/data_postgres.py [--build build] [--symbols 500] [--bars 1000000] [--rounds 3] [--name NAME].

  append      one day of 1-minute bars (390) to each symbol, in one call; then the same again as corrections
  bulk        --bars bars of one symbol in one call, and psql's \\copy of them from CSV into a table with the same key
  load        those bars as arrays, and psql's \\copy of them to CSV
  documents   1,000 of 200 bytes in one call
  checkpoint  --checkpoint-mib, saved and loaded with its checksums

The server is the script's own, with PostgreSQL's default settings, on a Unix socket: all is durable when a call returns.
Only the standard library is needed. Results go to tests/bench/results/.
"""
import argparse
import array
import ctypes
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))
import pg_server  # noqa: E402 (needs the path above)

MINUTE = 60_000_000_000
PRICES = ("open", "high", "low", "close", "volume")


class Bars(ctypes.Structure):
    _fields_ = [("count", ctypes.c_uint64), ("timestamp_ns", ctypes.c_void_p),
                *[(name, ctypes.c_void_p) for name in PRICES]]


class Series(ctypes.Structure):
    _fields_ = [("symbol", ctypes.c_char_p), ("timeframe", ctypes.c_char_p), ("bars", Bars)]


class Document(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("kind", ctypes.c_int32), ("symbol", ctypes.c_char_p),
                ("timeframe", ctypes.c_char_p), ("name", ctypes.c_char_p), ("generation", ctypes.c_int64),
                ("time_s", ctypes.c_int64), ("json", ctypes.c_char_p), ("json_size", ctypes.c_uint64)]


class Options(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in
                ("struct_size", "create", "threads", "timeout_ms", "pool_min", "pool_max")]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int32), ("message", ctypes.c_char * 512)]


class Store:
    def __init__(self, library, url):
        self.library = library
        self.handle = ctypes.c_void_p()
        options = Options(ctypes.sizeof(Options), 1)
        self.call("open", url.encode(), ctypes.byref(options), ctypes.byref(self.handle))

    def call(self, name, *arguments):
        error = Error()
        status = getattr(self.library, "shoal_data_" + name)(*arguments, ctypes.byref(error))
        assert status == 0, error.message.decode()

    def append_many(self, series):
        many = (Series * len(series))(*series)
        self.call("append_bars_many", self.handle, many, ctypes.c_uint64(len(series)), None)

    def load(self, symbol):
        frame, bars = ctypes.c_void_p(), Bars()
        self.call("load_bars", self.handle, symbol, b"1m", ctypes.c_int64(-2**63), ctypes.c_int64(2**63 - 1),
                  ctypes.c_uint32(0), ctypes.byref(frame))
        self.library.shoal_data_frame_bars(frame, ctypes.byref(bars))
        self.library.shoal_data_frame_free(frame)
        return bars.count

    def close(self):
        self.library.shoal_data_close(self.handle)


def make_series(symbol, start, count, keep, shift=0.0):
    times = array.array("q", range(start, start + count * MINUTE, MINUTE))
    prices = array.array("d", [100 + (i % 97) * 0.25 + shift for i in range(count)])
    keep += (times, prices)
    address = prices.buffer_info()[0]
    return Series(symbol, b"1m", Bars(count, times.buffer_info()[0], *[address] * 5))


def timed(function, *arguments):
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def psql(url, command):
    subprocess.run([pg_server.find_bin() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", command],
                   check=True, stdout=subprocess.DEVNULL)


def one_round(store, url, csv, arguments, number):
    """Seconds of each work."""
    keep, seconds = [], {}
    names = [b"S%04d" % i for i in range(arguments.symbols)]
    day = [make_series(name, number * 1440 * MINUTE, 390, keep) for name in names]
    seconds["append"] = timed(store.append_many, day)
    fixed = [make_series(name, number * 1440 * MINUTE, 390, keep, 0.5) for name in names]
    seconds["correct"] = timed(store.append_many, fixed)
    bulk = make_series(b"BULK%d" % number, 0, arguments.bars, keep)
    seconds["bulk"] = timed(store.append_many, [bulk])
    psql(url, "DROP TABLE IF EXISTS peer; CREATE TABLE peer (id int, ts bigint, open float8, high float8, low float8,"
              " close float8, volume float8, PRIMARY KEY (id, ts))")
    seconds["bulk psql"] = timed(psql, url, f"\\copy peer from '{csv}' csv")
    seconds["load"] = timed(store.load, b"BULK%d" % number)
    with tempfile.NamedTemporaryFile() as out:
        seconds["load psql"] = timed(psql, url, f"\\copy (SELECT * FROM peer WHERE id = 1 ORDER BY ts) to '{out.name}' csv")
    text = json.dumps({"close": 1.5, "text": "x" * 170}).encode()
    documents = (Document * 1000)(*[Document(ctypes.sizeof(Document), 0, b"AAPL", b"1m", None, -1, 1700000000 + i, text,
                                             len(text)) for i in range(1000)])
    seconds["documents"] = timed(store.call, "save_documents", store.handle, documents, ctypes.c_uint64(1000), None)
    size = arguments.checkpoint_mib << 20
    data = os.urandom(1 << 20) * arguments.checkpoint_mib
    seconds["checkpoint save"] = timed(store.call, "save_checkpoint", store.handle, b"net", data, ctypes.c_uint64(size),
                                       None, None)
    reader, buffer = ctypes.c_void_p(), ctypes.create_string_buffer(size)
    store.call("checkpoint_open", store.handle, b"net", ctypes.c_uint64(0), ctypes.byref(reader))
    seconds["checkpoint load"] = timed(store.call, "checkpoint_read", reader, ctypes.c_uint64(0), buffer,
                                       ctypes.c_uint64(size))
    assert buffer.raw == data
    store.library.shoal_data_checkpoint_close(reader)
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--checkpoint-mib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--name", default="data-postgres")
    arguments = parser.parse_args()
    library = ctypes.CDLL(str(arguments.build / "src/datastore/libshoal-data.so.0"))
    library.shoal_data_frame_bars.restype = None
    rounds = []
    with pg_server.PgServer(["fsync=on"]) as server, tempfile.NamedTemporaryFile("w", suffix=".csv") as csv:
        for i in range(arguments.bars):
            price = 100 + (i % 97) * 0.25
            csv.write(f"1,{i * MINUTE},{price},{price},{price},{price},{price}\n")
        csv.flush()
        url = server.url(server.new_database())
        store = Store(library, url)
        for number in range(arguments.rounds):
            rounds.append(one_round(store, url, csv.name, arguments, number))
            print(" ".join(f"{name} {seconds:.2f}s" for name, seconds in rounds[-1].items()), flush=True)
        store.close()
        version = server.ask("postgres", "SHOW server_version")
    amounts = {"append": arguments.symbols * 390, "correct": arguments.symbols * 390, "bulk": arguments.bars,
               "bulk psql": arguments.bars, "load": arguments.bars, "load psql": arguments.bars, "documents": 1000,
               "checkpoint save": arguments.checkpoint_mib, "checkpoint load": arguments.checkpoint_mib}
    middle = {name: statistics.median(each[name] for each in rounds) for name in amounts}
    report = {
        "date": datetime.date.today().isoformat(), "what": "libshoal-data in PostgreSQL (data_postgres.py)",
        "server": f"PostgreSQL {version}, default settings, Unix socket, same machine",
        "processors": os.cpu_count(), "machine": platform.machine(), "rounds": rounds,
        "symbols": arguments.symbols, "bars": arguments.bars, "checkpoint_mib": arguments.checkpoint_mib,
        "median_per_second": {name: round(amount / middle[name], 1) for name, amount in amounts.items()},
        "ratio_to_psql": {name: round(middle[name + " psql"] / middle[name], 2) for name in ("bulk", "load")},
    }
    path = ROOT / "tests/bench/results" / f"{report['date']}-{arguments.name}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report["median_per_second"]), json.dumps(report["ratio_to_psql"]))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Bars by libshoal-data against pandas+pyarrow, interleaved, on directories of the same layout:
tests/bench/data_bench.py [--build build] [--symbols 500] [--rounds 5] [--directory DIR] [--name NAME].

  append      one day of 1-minute bars (390) to each symbol. Ours is durable when it returns; pandas is measured
              twice: as people write it (nothing is synced), and with an fsync of file and directory
  range       one day of one symbol out of --days, for 50 symbols, one after the other: as arrays and as Arrow
              tables, and as frames of pandas
  scan        all bars of all symbols, as arrays, an Arrow table or a frame

What all read is the same directory; sums are compared. Results go to tests/bench/results/.
"""
import argparse
import ctypes
import json
import os
import pathlib
import platform
import shutil
import statistics
import sys
import tempfile
import time

import numpy
import pandas
import pyarrow
import pyarrow.compute
import pyarrow.dataset
import pyarrow.parquet

ROOT = pathlib.Path(__file__).resolve().parents[2]
MINUTE = 60_000_000_000
DAY = 1440 * MINUTE
COLUMNS = ["open", "high", "low", "close", "volume"]


class Bars(ctypes.Structure):
    _fields_ = [("count", ctypes.c_uint64), ("timestamp_ns", ctypes.c_void_p),
                *[(name, ctypes.c_void_p) for name in COLUMNS]]


class Series(ctypes.Structure):
    _fields_ = [("symbol", ctypes.c_char_p), ("timeframe", ctypes.c_char_p), ("bars", Bars)]


class Options(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in
                ("struct_size", "create", "threads", "timeout_ms", "pool_min", "pool_max")]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int32), ("message", ctypes.c_char * 512)]


class Store:
    """As much of libshoal-data as is measured."""

    def __init__(self, build, path):
        self.lib = ctypes.CDLL(str(build / "src/datastore/libshoal-data.so.0"))
        self.handle = ctypes.c_void_p()
        self.error = Error()
        options = Options(ctypes.sizeof(Options), 1)
        self.check(self.lib.shoal_data_open(str(path).encode(), ctypes.byref(options),
                                            ctypes.byref(self.handle), ctypes.byref(self.error)))

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.error.message.decode())

    def append_many(self, frames):
        series = (Series * len(frames))()
        keep = []
        for entry, (symbol, (times, columns)) in zip(series, frames.items()):
            keep.append((times, columns))
            entry.symbol, entry.timeframe = symbol.encode(), b"1m"
            entry.bars = Bars(len(times), times.ctypes.data, *[c.ctypes.data for c in columns])
        self.check(self.lib.shoal_data_append_bars_many(
            self.handle, series, ctypes.c_uint64(len(frames)), None, ctypes.byref(self.error)))

    def load_many(self, symbols, start, end):
        """[{column: array}]; the arrays are views of the library's memory."""
        names = (ctypes.c_char_p * len(symbols))(*[s.encode() for s in symbols])
        frames = (ctypes.c_void_p * len(symbols))()
        self.check(self.lib.shoal_data_load_bars_many(
            self.handle, names, ctypes.c_uint64(len(symbols)), b"1m", ctypes.c_int64(start),
            ctypes.c_int64(end), 0, frames, ctypes.byref(self.error)))
        result = []
        for frame in frames:
            bars = Bars()
            self.lib.shoal_data_frame_bars(ctypes.c_void_p(frame), ctypes.byref(bars))
            data = {}
            for name in ("timestamp_ns", *COLUMNS):
                kind = ctypes.c_int64 if name == "timestamp_ns" else ctypes.c_double
                pointer = ctypes.cast(getattr(bars, name), ctypes.POINTER(kind))
                data[name] = numpy.ctypeslib.as_array(pointer, (bars.count,))
            result.append((frame, data))
        return result

    def free(self, frames):
        for frame, _ in frames:
            self.lib.shoal_data_frame_free(ctypes.c_void_p(frame))

    def compact(self):
        self.check(self.lib.shoal_data_compact_bars(self.handle, None, None, None, ctypes.byref(self.error)))

    def close(self):
        self.lib.shoal_data_close(self.handle)


def day_of_bars(rng, day, price):
    """(times, [open, high, low, close, volume]) of a trading day: a walk in cents."""
    start = 1_704_067_200_000_000_000 + day * DAY + 570 * MINUTE
    times = start + numpy.arange(390, dtype=numpy.int64) * MINUTE
    close = numpy.round(price + numpy.cumsum(rng.normal(0, 0.05, 390)), 2)
    opened = numpy.concatenate(([price], close[:-1]))
    high = numpy.round(numpy.maximum(opened, close) + rng.integers(0, 5, 390) / 100, 2)
    low = numpy.round(numpy.minimum(opened, close) - rng.integers(0, 5, 390) / 100, 2)
    volume = rng.integers(100, 50000, 390).astype(numpy.float64)
    return times, [opened, high, low, close, volume]


def pandas_append(root, frames, name, sync):
    for symbol, (times, columns) in frames.items():
        month = str(times[0].astype("datetime64[ns]").astype("datetime64[M]"))
        directory = root / f"market_data/ohlcv/symbol={symbol}/timeframe=1m/period={month}"
        directory.mkdir(parents=True, exist_ok=True)
        frame = pandas.DataFrame({"timestamp": pandas.to_datetime(times, utc=True),
                                  **dict(zip(COLUMNS, columns))})
        frame.to_parquet(directory / f"{name}.parquet", index=False)
        if sync:
            for path in (directory / f"{name}.parquet", directory):
                fd = os.open(path, os.O_RDONLY)
                os.fsync(fd)
                os.close(fd)


def pandas_range(root, symbol, start, end):
    """As a user does it: the dataset of the symbol, filtered by time."""
    bounds = [pandas.Timestamp(value, tz="UTC") for value in (start, end)]
    return pandas.read_parquet(root / f"market_data/ohlcv/symbol={symbol}/timeframe=1m",
                               filters=[("timestamp", ">=", bounds[0]), ("timestamp", "<", bounds[1])])


def arrow_range(root, symbol, start, end):
    """The same, as an Arrow table: no frame is made."""
    bounds = [pyarrow.scalar(value, pyarrow.timestamp("ns", "UTC")) for value in (start, end)]
    return pyarrow.parquet.read_table(root / f"market_data/ohlcv/symbol={symbol}/timeframe=1m",
                                      columns=["timestamp", *COLUMNS], partitioning=None,
                                      filters=[("timestamp", ">=", bounds[0]), ("timestamp", "<", bounds[1])])


def arrow_scan(root):
    dataset = pyarrow.dataset.dataset(root / "market_data/ohlcv", format="parquet")
    return dataset.to_table(columns=["timestamp", *COLUMNS])


def timed(function):
    """((seconds on the clock, seconds of processor), result)"""
    started, processor = time.perf_counter(), time.process_time()
    result = function()
    return (time.perf_counter() - started, time.process_time() - processor), result


def bench_append(build, place, symbols, rounds, rng):
    seconds = {"shoal": [], "pandas": [], "pandas+fsync": []}
    prices = {symbol: 50.0 + i for i, symbol in enumerate(symbols)}
    roots = {name: place / f"append-{name.replace('+', '-')}" for name in seconds}
    for root in roots.values():
        root.mkdir()
    store = Store(build, roots["shoal"])
    for day in range(rounds + 1):  # the first one, which makes the directories, does not count
        frames = {symbol: day_of_bars(rng, day, prices[symbol]) for symbol in symbols}
        turns = {
            "shoal": lambda frames=frames: store.append_many(frames),
            "pandas": lambda frames=frames, day=day: pandas_append(roots["pandas"], frames, f"d{day}", False),
            "pandas+fsync": lambda frames=frames, day=day: pandas_append(
                roots["pandas+fsync"], frames, f"d{day}", True),
        }
        names = list(turns)
        for name in names[day % 3:] + names[:day % 3]:
            os.sync()
            spent, _ = timed(turns[name])
            if day > 0:
                seconds[name].append(spent)
    store.close()
    return seconds


def fill(build, root, symbols, days, rng):
    store = Store(build, root)
    for i, symbol in enumerate(symbols):
        days_of = [day_of_bars(rng, day, 50.0 + i) for day in range(days)]
        times = numpy.concatenate([d[0] for d in days_of])
        columns = [numpy.ascontiguousarray(numpy.concatenate([d[1][c] for d in days_of])) for c in range(5)]
        store.append_many({symbol: (times, columns)})
    store.compact()
    return store


def bench_reads(store, root, symbols, days, rounds):
    ranges = {"shoal": [], "shoal frames": [], "pyarrow": [], "pandas": []}
    scans = {"shoal": [], "pyarrow": [], "pandas": []}
    for turn in range(rounds):
        chosen = symbols[turn::max(1, len(symbols) // 50)][:50]
        start = 1_704_067_200_000_000_000 + (7 + 3 * turn) % days * DAY

        def ours(as_frames, chosen=chosen, start=start):
            count = 0
            for symbol in chosen:
                frames = store.load_many([symbol], start, start + DAY)
                data = frames[0][1]
                if as_frames:
                    times = pandas.DatetimeIndex(data["timestamp_ns"].view("M8[ns]")).tz_localize("UTC")
                    data = pandas.DataFrame({"timestamp": times, **{name: data[name] for name in COLUMNS}},
                                            copy=False)
                count += len(data["close"])
                del data
                store.free(frames)
            return count, 0

        def theirs(read, chosen=chosen, start=start):
            return sum(len(read(root, symbol, start, start + DAY)) for symbol in chosen), 0

        def our_scan():
            frames = store.load_many(symbols, -2**63, 2**63 - 1)
            total = sum(float(data["close"].sum()) for _, data in frames)
            count = sum(len(data["close"]) for _, data in frames)
            store.free(frames)
            return count, total

        def pandas_scan():
            frame = arrow_scan(root).to_pandas()
            return len(frame), float(frame["close"].sum())

        def pyarrow_scan():
            table = arrow_scan(root)
            return len(table), pyarrow.compute.sum(table["close"]).as_py()

        turns = ((ranges, {"shoal": lambda: ours(False), "shoal frames": lambda: ours(True),
                           "pyarrow": lambda: theirs(arrow_range), "pandas": lambda: theirs(pandas_range)}),
                 (scans, {"shoal": our_scan, "pyarrow": pyarrow_scan, "pandas": pandas_scan}))
        for into, functions in turns:
            order = list(functions.items())
            order = order[turn % len(order):] + order[:turn % len(order)]
            results = []
            for name, function in order:
                spent, result = timed(function)
                into[name].append(spent)
                results.append(result)
            for count, total in results:
                assert count == results[0][0] > 0 and abs(total - results[0][1]) <= 1e-6 * abs(total), results
    return ranges, scans


def report(what, seconds, rows):
    """Medians: time on the clock, and of processors, which other programs on the machine disturb less."""
    medians = {name: [statistics.median(values) for values in zip(*pairs)] for name, pairs in seconds.items()}
    result = {"work": what, "rows": rows, "seconds": {}, "ratio": {}}
    for name, pairs in seconds.items():
        wall, processor = medians[name]
        ours = medians.get("shoal frames", medians["shoal"]) if name == "pandas" else medians["shoal"]
        result["seconds"][name] = {"clock": round(wall, 4), "processor": round(processor, 4),
                                   "all": [[round(value, 4) for value in pair] for pair in pairs]}
        ratio = ""
        if not name.startswith("shoal"):
            result["ratio"][name] = {"clock": round(wall / ours[0], 2), "processor": round(processor / ours[1], 2)}
            ratio = f"   {wall / ours[0]:6.2f}x, of processor {processor / ours[1]:6.2f}x"
        print(f"{what:8} {name:13} {wall:8.3f} s ({processor:7.3f} s of processor) {rows / wall / 1e6:7.2f} M rows/s"
              f"{ratio}", flush=True)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--days", type=int, default=60, help="of the directory that is read")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=pathlib.Path, help="where to work; else the system's temporary one")
    parser.add_argument("--name", help="writes tests/bench/results/NAME.json")
    arguments = parser.parse_args()
    symbols = [f"S{i:03}" for i in range(arguments.symbols)]
    rng = numpy.random.default_rng(7)
    place = pathlib.Path(tempfile.mkdtemp(prefix="shoal-bars-", dir=arguments.directory))
    try:
        results = [report("append", bench_append(arguments.build, place, symbols, arguments.rounds, rng),
                          390 * len(symbols))]
        root = place / "read"
        root.mkdir()
        store = fill(arguments.build, root, symbols, arguments.days, rng)
        ranges, scans = bench_reads(store, root, symbols, arguments.days, arguments.rounds)
        results.append(report("range", ranges, 390 * min(50, len(symbols))))
        results.append(report("scan", scans, 390 * arguments.days * len(symbols)))
        store.close()
    finally:
        shutil.rmtree(place)
    if arguments.name:
        about = {"processors": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "machine": platform.machine(), "kernel": platform.release(),
                 "pandas": pandas.__version__, "pyarrow": pyarrow.__version__, "python": sys.version.split()[0],
                 "command": f"data_bench.py --symbols {arguments.symbols} --days {arguments.days} "
                            f"--rounds {arguments.rounds}"}
        path = ROOT / "tests/bench/results" / f"{arguments.name}.json"
        path.write_text(json.dumps({"about": about, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The Python package against plain Python and pandas+pyarrow, in turns, on the same directory:
tests/bench/data_python.py [--build build] [--rounds 9] [--directory DIR] [--name NAME].

  documents   loading 1,000 small market-data documents, newest first, each parsed (and not yet: they are parsed when
              asked for), from the cache: against the loop that people write (list, sort, open, json.load)
  save        saving 200 small documents, each durable: by asyncio tasks against one after the other, both by us, and
              against the plain loop with fsync and rename
  range       one day of one symbol out of 60 days of minutes, for 20 symbols, as frames: against pandas.read_parquet
  append      one day of minutes to each of 50 symbols, durable: against DataFrame.to_parquet with fsync
  scan        all bars of the 20 symbols, as arrays: against a pyarrow dataset's table

Needs the packages of tests/requirements.txt (tools/python-env.sh). What each gives is compared with the other's.
"""
import argparse
import asyncio
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
import pyarrow.dataset

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLUMNS = ["open", "high", "low", "close", "volume"]
MINUTE = 60_000_000_000
START = 1_704_067_200_000_000_000
DOCUMENTS = 1000


def day_of_bars(symbol_index, day):
    rng = numpy.random.default_rng([symbol_index, day])
    close = numpy.round(100 + numpy.cumsum(rng.normal(0, 0.05, 390)), 2)
    return {"timestamp": START + day * 1440 * MINUTE + numpy.arange(390, dtype="int64") * MINUTE,
            "open": close, "high": close + 0.05, "low": close - 0.05, "close": close,
            "volume": rng.integers(100, 50000, 390).astype(float)}


def compare(turns, rounds, same):
    """{name: [(seconds, seconds of processor)]} of the functions, in turns whose order changes; the first round does
    not count."""
    seconds = {name: [] for name in turns}
    for number in range(rounds + 1):
        names = list(turns)
        results = []
        for name in names[number % len(names):] + names[:number % len(names)]:
            started, processor = time.perf_counter(), time.process_time()
            result = turns[name](number)
            if number > 0:
                seconds[name].append((time.perf_counter() - started, time.process_time() - processor))
            results.append(same(result))
            del result
        assert all(result == results[0] for result in results), results
    return seconds


def plain_documents(directory):
    """The loop that people write."""
    found = []
    for path in sorted(directory.glob("*_1m_*.json"), key=lambda path: int(path.stem.split("_")[2]), reverse=True):
        with open(path) as file:
            found.append(json.load(file))
    return found[:DOCUMENTS]


def plain_save(directory, number):
    for i in range(200):
        path = directory / f"S_1m_{1_700_000_000 + number * 200 + i}.json"
        with open(f"{path}.tmp", "w") as file:
            json.dump({"i": i}, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(f"{path}.tmp", path)
    return 200


def bench_documents(shoal_data, place, rounds):
    with shoal_data.Store(str(place)) as store:
        rng = numpy.random.default_rng(1)
        for i in range(DOCUMENTS):
            store.save_market_data("BTC-USD", "1m", {
                "symbol": "BTC-USD", "sequence": i, "source": "generated",
                "bars": [dict(zip(COLUMNS, rng.random(5).round(4))) for _ in range(2)]}, 1_700_000_000 + i)
        directory = place / "market_data/ohlcv"
        return compare({
            "shoal, not parsed": lambda _: store.load_market_data("BTC-USD", "1m"),
            "shoal": lambda _: [document.data for document in store.load_market_data("BTC-USD", "1m")],
            "plain": lambda _: plain_documents(directory),
        }, rounds, lambda found: [getattr(document, "data", document)["sequence"] for document in found])


def bench_save(shoal_data, place, rounds):
    async def tasks(storage, number):
        await asyncio.gather(*(storage.save_market_data("T", "1m", {"i": i}, 1_700_000_000 + number * 200 + i)
                               for i in range(200)))
        return 200

    def one_by_one(storage, number):
        for i in range(200):
            storage.sync.save_market_data("O", "1m", {"i": i}, 1_700_000_000 + number * 200 + i)
        return 200

    storage = shoal_data.EFSDataStorage(place / "save")
    plain = place / "plain"
    plain.mkdir()
    seconds = compare({"shoal": lambda number: asyncio.run(tasks(storage, number)),
                       "shoal, one by one": lambda number: one_by_one(storage, number),
                       "plain": lambda number: plain_save(plain, number)}, rounds, int)
    storage.sync.close()
    return seconds


def pandas_append(root, frames, number):
    for symbol, columns in frames.items():
        directory = root / f"symbol={symbol}/timeframe=1m"
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{number}.parquet"
        frame = pandas.DataFrame({**columns, "timestamp": pandas.to_datetime(columns["timestamp"], utc=True)})
        frame.to_parquet(path, index=False)
        for name in (path, directory):
            fd = os.open(name, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
    return len(frames)


def bench_bars(shoal_data, place, rounds):
    symbols = [f"S{i:02}" for i in range(20)]
    store = shoal_data.Store(str(place / "bars"))
    for i, symbol in enumerate(symbols):
        days = [day_of_bars(i, day) for day in range(60)]
        store.store_ohlcv_bars(symbol, "1m", {name: numpy.concatenate([d[name] for d in days]) for name in days[0]})
    store.compact_bars()
    root = place / "bars/market_data/ohlcv"

    def bounds(number):
        first = START + (7 * number % 60) * 1440 * MINUTE
        return first, first + 1440 * MINUTE

    def our_range(number):
        return [store.load_ohlcv_bars(symbol, "1m", *bounds(number)).to_pandas() for symbol in symbols]

    def pandas_range(number):
        first, end = (pandas.Timestamp(value, tz="UTC") for value in bounds(number))
        return [pandas.read_parquet(root / f"symbol={symbol}/timeframe=1m",
                                    filters=[("timestamp", ">=", first), ("timestamp", "<", end)]) for symbol in symbols]

    def our_scan(_):
        return sum(float(bars.close.sum()) for bars in store.load_ohlcv_bars_many(symbols, "1m").values())

    def arrow_scan(_):
        table = pyarrow.dataset.dataset(root, format="parquet").to_table(columns=["timestamp", *COLUMNS])
        return float(table["close"].to_numpy().sum())

    yield "range", compare({"shoal": our_range, "pandas": pandas_range}, rounds,
                           lambda frames: [(len(frame), float(frame["close"].sum())) for frame in frames])
    yield "scan", compare({"shoal": our_scan, "pyarrow": arrow_scan}, rounds, lambda total: round(total, 3))
    appended = [f"A{i:02}" for i in range(50)]
    yield "append", compare({
        "shoal": lambda day: store.store_ohlcv_bars_many("1m", {s: day_of_bars(i, day) for i, s in enumerate(appended)}),
        "pandas": lambda day: pandas_append(place / "theirs", {s: day_of_bars(i, day) for i, s in enumerate(appended)},
                                            day)}, rounds, int)
    store.close()


def report(what, seconds):
    """Medians by the clock and of processors; the latter are disturbed less by other programs on the machine."""
    medians = {name: [statistics.median(values) for values in zip(*pairs)] for name, pairs in seconds.items()}
    result = {"work": what, "median_ms": {}, "ratio": {}, "all_ms": {}}
    for name, (clock, processor) in medians.items():
        ratios = [round(value / ours, 2) for value, ours in zip((clock, processor), medians["shoal"])]
        result["median_ms"][name] = {"clock": round(clock * 1000, 2), "processor": round(processor * 1000, 2)}
        result["ratio"][name] = dict(zip(("clock", "processor"), ratios))
        result["all_ms"][name] = [[round(value * 1000, 2) for value in pair] for pair in seconds[name]]
        print(f"{what:10} {name:18} {clock * 1000:9.1f} ms ({processor * 1000:8.1f} ms of processor) {ratios[0]:6.2f}x, "
              f"of processor {ratios[1]:6.2f}x", flush=True)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--directory", type=pathlib.Path, help="where to work; else the system's temporary one")
    parser.add_argument("--name", help="writes tests/bench/results/NAME.json")
    arguments = parser.parse_args()
    os.environ["SHOAL_DATA_LIBRARY"] = str(arguments.build.resolve() / "src/datastore/libshoal-data.so.0")
    sys.path.insert(0, str(ROOT / "python"))
    import shoal_data
    place = pathlib.Path(tempfile.mkdtemp(prefix="shoal-python-", dir=arguments.directory))
    try:
        results = [report("documents", bench_documents(shoal_data, place / "documents", arguments.rounds)),
                   report("save", bench_save(shoal_data, place, arguments.rounds))]
        results += [report(what, seconds) for what, seconds in bench_bars(shoal_data, place, arguments.rounds)]
    finally:
        shutil.rmtree(place)
    if arguments.name:
        about = {"processors": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "machine": platform.machine(),
                 "kernel": platform.release(), "python": sys.version.split()[0], "pandas": pandas.__version__,
                 "pyarrow": pyarrow.__version__, "command": f"data_python.py --rounds {arguments.rounds}"}
        path = ROOT / "tests/bench/results" / f"{arguments.name}.json"
        path.write_text(json.dumps({"about": about, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()

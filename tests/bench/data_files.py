#!/usr/bin/env python3
"""Measures the files backend of the data layer against dd and a plain Python loop, interleaved, on one directory.

    tests/bench/data_files.py --build build --directory /srv/scratch [--gib 4] [--rounds 5] [--name NAME]

A checkpoint: shoal_data_save_checkpoint() of memory, durable with checksums, against `dd conv=fsync` of as many bytes.
Documents: shoal_data_load_documents() of 1,000 small ones, against sorted(glob), open, json.load in a loop.
The ratio is the median over rounds of that round's own ratio. With --name the figures go to tests/bench/results/.
"""
import argparse
import ctypes
import json
import mmap
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import tempfile
import time

MIB = 1 << 20


class Document(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("kind", ctypes.c_int32), ("symbol", ctypes.c_char_p),
                ("timeframe", ctypes.c_char_p), ("name", ctypes.c_char_p), ("generation", ctypes.c_int64),
                ("time_s", ctypes.c_int64), ("json", ctypes.c_char_p), ("json_size", ctypes.c_uint64)]


class Query(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("kind", ctypes.c_int32), ("symbol", ctypes.c_char_p),
                ("timeframe", ctypes.c_char_p), ("name", ctypes.c_char_p), ("generation", ctypes.c_int64),
                ("from_s", ctypes.c_int64), ("to_s", ctypes.c_int64), ("limit", ctypes.c_uint64),
                ("flags", ctypes.c_uint32)]


class Options(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in
                ("struct_size", "create", "threads", "timeout_ms", "pool_min", "pool_max")]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int32), ("message", ctypes.c_char * 512)]


class Store:
    def __init__(self, library, directory):
        self.library = library
        self.error = Error()
        self.handle = ctypes.c_void_p()
        options = Options(ctypes.sizeof(Options), 1)
        self.call("shoal_data_open", os.fsencode(directory), ctypes.byref(options), ctypes.byref(self.handle))

    def call(self, name, *arguments):
        status = getattr(self.library, name)(*arguments, ctypes.byref(self.error))
        if status != 0:
            raise OSError(f"{name}: {self.error.message.decode()}")


def timed(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def measure_checkpoint(library, directory, gib, rounds):
    size = int(gib * (1 << 30))
    memory = mmap.mmap(-1, size)
    block = os.urandom(MIB)
    for at in range(0, size, MIB):
        memory[at:at + MIB] = block[: min(MIB, size - at)]
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    source = directory / "dd.source"
    rows = []
    for number in range(rounds):
        store = Store(library, directory / "store")

        def ours():
            store.call("shoal_data_save_checkpoint", store.handle, b"big", ctypes.c_void_p(address),
                       ctypes.c_uint64(size), None, None)

        def dd():
            subprocess.run(["dd", "if=/dev/zero", f"of={source}", "bs=1M", f"count={size // MIB}", "conv=fsync"],
                           check=True, capture_output=True)

        seconds = {}
        for name, work in ((("dd", dd), ("shoal", ours)) if number % 2 == 0 else (("shoal", ours), ("dd", dd))):
            os.sync()
            seconds[name] = timed(work)[0]
            source.unlink(missing_ok=True)
        library.shoal_data_delete_checkpoint(store.handle, b"big", ctypes.c_uint64(0), None)
        library.shoal_data_close(store.handle)
        rows.append({name: round(size / MIB / value) for name, value in seconds.items()})
        print("checkpoint", rows[-1], "MiB/s", flush=True)
    return {"mib_per_s": rows, "ratio": round(statistics.median(row["shoal"] / row["dd"] for row in rows), 2)}


def measure_documents(library, directory, count, rounds):
    store = Store(library, directory / "store")
    text = json.dumps({"symbol": "AAPL", "bars": [{"t": 1700000000 + i, "c": 190.5 + i} for i in range(8)]}).encode()
    for number in range(count):
        document = Document(ctypes.sizeof(Document), 0, b"AAPL", b"1m", None, 0, 1700000000 + number, text, len(text))
        store.call("shoal_data_save_document", store.handle, ctypes.byref(document), None, ctypes.c_uint64(0))
    documents = directory / "store/market_data/ohlcv"

    def plain():
        result = []
        for path in sorted(documents.glob("AAPL_1m_*.json"), reverse=True)[:1000]:
            with open(path) as file:
                result.append(json.load(file))
        return len(result)

    def ours():
        query = Query(ctypes.sizeof(Query), 0, b"AAPL", b"1m", None, -1, 0, 0, 0, 0)
        loaded = ctypes.c_void_p()
        store.call("shoal_data_load_documents", store.handle, ctypes.byref(query), ctypes.byref(loaded))
        found = library.shoal_data_list_count(loaded)
        library.shoal_data_list_free(loaded)
        return found

    rows = []
    for _ in range(rounds):
        seconds = {}
        for name, work in (("python", plain), ("shoal", ours)):
            seconds[name], found = timed(work)
            assert found == min(count, 1000), found
        rows.append({name: round(value * 1e6) for name, value in seconds.items()})
    library.shoal_data_close(store.handle)
    return {"us": rows, "bytes_each": len(text),
            "times_faster": round(statistics.median(row["python"] / row["shoal"] for row in rows), 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--directory", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()))
    parser.add_argument("--gib", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--name", help="writes tests/bench/results/NAME.json")
    given = parser.parse_args()
    library = ctypes.CDLL(str(given.build / "src/datastore/libshoal-data.so.0"))
    library.shoal_data_list_count.restype = ctypes.c_uint64
    library.shoal_data_list_count.argtypes = library.shoal_data_list_free.argtypes = [ctypes.c_void_p]
    library.shoal_data_close.argtypes = [ctypes.c_void_p]
    directory = pathlib.Path(tempfile.mkdtemp(prefix="shoal-bench-", dir=given.directory))
    try:
        results = {"machine": f"{platform.machine()}, {os.cpu_count()} processors, Linux {platform.release()}",
                   "documents": measure_documents(library, directory, 1000, 3 * given.rounds),
                   "checkpoint": {"gib": given.gib, **measure_checkpoint(library, directory, given.gib, given.rounds)}}
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    print(json.dumps(results, indent=1))
    if given.name:
        (pathlib.Path(__file__).parent / "results" / f"{given.name}.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""The asyncio interface, with many tasks, threads and processes, and the wheel."""

import asyncio
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import zipfile

import numpy
import pytest

import shoal_data
from conftest import BUILD, ROOT
from shoal_data.bars import COLUMNS


def bars_at(times, value=1.0):
    return {"timestamp": numpy.array(times, "<i8"), **{name: numpy.full(len(times), value) for name in COLUMNS}}


def test_the_interface_by_its_names(url):
    async def work():
        async with shoal_data.open_storage(url, pool_min=2, pool_max=8) as storage:
            kind = shoal_data.EFSDataStorage if storage.backend == "files" else shoal_data.NeonDataStorage
            assert type(storage) is kind and isinstance(storage, shoal_data.DataStorageInterface)
            assert await storage.store_ohlcv_bars("A", "1m", bars_at([1, 2])) == 2
            assert len(await storage.load_ohlcv_bars("A", "1m", columns=["close"])) == 2
            await storage.save_market_data("A", "1m", {"x": 1})
            assert (await storage.load_market_data("A"))[0].data == {"x": 1}
            assert await storage.save_model_checkpoint("m", {"w": 1}) == 1
            assert (await storage.load_model_checkpoint("m")).object() == {"w": 1}
            assert [entry.id for entry in await storage.list_model_checkpoints()] == ["m"]
            await storage.save_backtest_results("s", {})
            assert len(await storage.query_backtest_results("s")) == 1
            await storage.save_performance("p", {})
            await storage.save_generation(0, "g", {})
            assert len(await storage.query_generations(0)) == len(await storage.query_performance("p")) == 1
            assert (await storage.cleanup_old_data()).files == 0
            assert (await storage.health()).is_ok and (await storage.usage()).files > 0
            with pytest.raises(shoal_data.InvalidError):
                await storage.store_ohlcv_bars("..", "1m", bars_at([1]))
        with pytest.raises(shoal_data.ClosedError):
            await storage.usage()

    asyncio.run(work())


def test_every_method_has_its_twin():
    own = {name for name in vars(shoal_data.Store) if not name.startswith("_")}
    assert own <= {name for name in vars(shoal_data.DataStorageInterface)}


def test_many_tasks(url):
    async def work():
        async with shoal_data.open_storage(url, pool_min=2, pool_max=8) as storage:
            async def one(i):
                await storage.store_ohlcv_bars("SHARED", "1m", bars_at([i], float(i)))
                await storage.save_generation(0, "g", {"i": i}, 1700000000)
                await storage.save_model_checkpoint(f"m{i % 4}", bytes([i]) * 1000)
                return len(await storage.load_ohlcv_bars("SHARED", "1m"))

            seen = await asyncio.gather(*(one(i) for i in range(60)))
            assert all(1 <= count <= 60 for count in seen)
            assert list((await storage.load_ohlcv_bars("SHARED", "1m")).open) == list(range(60))
            assert sorted(d.data["i"] for d in await storage.query_generations(0)) == list(range(60))
            versions = [len(await storage.list_model_versions(f"m{i}")) for i in range(4)]
            assert versions == [15] * 4

    asyncio.run(work())


def test_the_event_loop_goes_on_during_a_call(tmp_path):
    async def work():
        async with shoal_data.EFSDataStorage(tmp_path) as storage:
            ticks = 0
            call = asyncio.ensure_future(storage.save_model_checkpoint("m", bytes(64 << 20)))
            while not call.done():
                ticks += 1
                await asyncio.sleep(0)
            assert await call == 1 and ticks > 1

    asyncio.run(work())


def write_some(storage, number):
    for i in range(10):
        storage.sync.store_ohlcv_bars("SHARED", "1m", bars_at([number * 10 + i], float(number)))
        storage.sync.save_market_data("SHARED", "1m", {"number": number, "i": i}, 1700000000)


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_many_processes(url, method):
    """A storage is given to children, who open it for themselves."""
    storage = shoal_data.open_storage(url, pool_min=2, pool_max=8)
    storage.sync.list_series()
    context = multiprocessing.get_context(method)
    children = [context.Process(target=write_some, args=(storage, number)) for number in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert list(storage.sync.load_ohlcv_bars("SHARED", "1m").timestamp_ns) == list(range(30))
    found = {(d.data["number"], d.data["i"]) for d in storage.sync.load_market_data("SHARED")}
    assert found == {(number, i) for number in range(3) for i in range(10)}
    asyncio.run(storage.close())


def test_pickled_copies_open_the_same_store(url):
    storage = shoal_data.open_storage(url, pool_min=2, workers=3)
    copy = pickle.loads(pickle.dumps(storage))
    assert type(copy) is type(storage) and copy._workers == 3
    storage.sync.save_market_data("A", "1m", {"x": 1})
    assert copy.sync.load_market_data()[0].data == {"x": 1}
    error = pickle.loads(pickle.dumps(shoal_data.NotFoundError("gone")))
    assert isinstance(error, shoal_data.NotFoundError) and error.message == "gone"
    storage.sync.close()
    copy.sync.close()


def test_what_cannot_be_opened(tmp_path):
    with pytest.raises(shoal_data.NotFoundError, match="nowhere"):
        shoal_data.EFSDataStorage(tmp_path / "nowhere", create=False)
    with pytest.raises(shoal_data.UnavailableError):
        shoal_data.NeonDataStorage(f"postgresql://ada:s3cret@/db?host={tmp_path}", timeout_s=1)
    with pytest.raises(ValueError, match="postgresql://"):
        shoal_data.NeonDataStorage("http://localhost/")
    with pytest.raises(ValueError):
        shoal_data.EFSDataStorage("postgresql://x")
    with pytest.raises(shoal_data.InvalidError):
        shoal_data.Store(str(tmp_path), threads=-1)


def test_the_wheel_stands_alone(tmp_path):
    """`make wheel` bundles the library; installed elsewhere, the package finds it without any help."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "SHOAL_DATA_LIBRARY")}
    subprocess.run([sys.executable, ROOT / "tools/make-wheel.py", BUILD, tmp_path / "dist"], check=True, timeout=120,
                   env=environment)
    [wheel] = (tmp_path / "dist").glob("shoal_data-*.whl")
    assert "linux" in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    assert "shoal_data/libshoal-data.so.0" in names and "shoal_data/py.typed" in names
    site = tmp_path / "site"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", site, wheel],
                   check=True, timeout=120, env=environment)
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv[1]); import shoal_data;"
         "s = shoal_data.Store(sys.argv[2]); s.save_market_data('A', '1m', {});"
         "print(shoal_data.__file__, len(s.load_market_data()))", site, tmp_path / "store"],
        check=True, timeout=60, env=environment, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert str(site) in done.stdout and done.stdout.split()[-1] == "1"


def test_a_child_of_fork_ends_what_it_inherited(url):
    """Handles and arrays of the parent stay the parent's, whichever lock was held while it forked."""
    with shoal_data.Store(url, pool_min=2) as store:
        store.store_ohlcv_bars("A", "1m", bars_at([1, 2]))
        bars = store.load_ohlcv_bars("A", "1m")
        writer = store.open_checkpoint_writer("m", "run")
        writer.write(b"parent")
        held, forked = threading.Event(), threading.Event()
        lock = store._connection._open._lock
        holder = threading.Thread(target=lambda: (lock.acquire(), held.set(), forked.wait(), lock.release()))
        holder.start()
        held.wait()
        child = os.fork()
        if child == 0:
            try:
                signal.alarm(30)
                del bars, writer
                gc.collect()
                same = list(store.load_ohlcv_bars("A", "1m").timestamp_ns) == [1, 2]
                store.close()
                os._exit(0 if same else 1)
            finally:
                os._exit(2)
        forked.set()
        holder.join()
        assert os.waitpid(child, 0)[1] == 0
        writer.finish()
        store.commit_model_checkpoint("m", "run")
        assert store.load_model_checkpoint("m").data == b"parent" and list(bars.timestamp_ns) == [1, 2]

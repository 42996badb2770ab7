"""shoal data migrate: whole stores between directories and PostgreSQL, killed in the middle, and with workers that write."""

import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import pg_server as pg_harness
import pytest
from shoal_server import find_program

KINDS = ("market", "indicator", "backtest", "performance", "generation")


def shoal(store, *words, status=0, stdin=b""):
    done = subprocess.run([find_program("shoal"), "data", *map(str, words)], input=stdin, capture_output=True,
                          env={**os.environ, "SHOAL_STORE": str(store)}, timeout=120)
    assert done.returncode == status, (words, done.returncode, done.stderr)
    return done.stdout if status == 0 else done.stderr.decode()


def put_checkpoint(store, name, data, **metadata):
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        shoal(store, "put", "checkpoint", name, file.name, "--metadata", json.dumps(metadata))


def get_checkpoint(store, name, version):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "copy")
        shoal(store, "get", "checkpoint", name, "--version", version, "-o", path)
        with open(path, "rb") as file:
            return file.read()


def migrate(source, target, **options):
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return json.loads(shoal(source, "migrate", "--from", source, "--to", target, "--json", *words))


def bars_csv(seed, count, start=0):
    generator = random.Random(seed)
    lines = ["timestamp_ns,open,high,low,close,volume"]
    for i in range(start, start + count):
        values = [repr(generator.uniform(-1e9, 1e9)) for _ in range(5)]
        if i % 97 == 5:
            values[i % 5] = "nan"
        lines.append(",".join([str(i * 60_000_000_000), *values]))
    return "\n".join(lines).encode() + b"\n"


def fill(store, bars=5000):
    """Something of each kind; names that need care, and two documents of one second."""
    shoal(store, "init")
    for index, symbol in enumerate(("AAPL", "BRK.B", "BTC/USD", "Ünï")):
        shoal(store, "put", "bars", symbol, "1m", "-", stdin=bars_csv(index, bars))
    for number in range(6):
        text = json.dumps({"n": number, "text": "ü\u0000€", "x": 1e300}).encode()
        shoal(store, "put", "market", "BTC/USD", "1m", "-", "--time", 1700000000 + number // 2, stdin=text)
    for text in (b"[1]", b"[1]", b"[2]"):  # twice the same is two documents
        shoal(store, "put", "backtest", "mean_reversion", "-", "--time", 1700000000, stdin=text)
    shoal(store, "put", "indicator", "AAPL", "1d", "rsi", "-", stdin=b'{"rsi": [1.5]}')
    shoal(store, "put", "performance", "daily", "-", stdin=b"{}")
    shoal(store, "put", "generation", 7, "best", "-", stdin=b'{"fitness": 0.25}')
    for version in (1, 2, 3):
        put_checkpoint(store, "net", random.Random(version).randbytes(3_000_000 + version), loss=version)
    put_checkpoint(store, "empty", b"")


def texts(store):
    """The texts of all documents, sorted."""
    if "://" in str(store):
        rows = pg_harness.ask_url(store, "SELECT encode(convert_to(body, 'UTF8'), 'hex') FROM shoal_data.documents")
        return sorted(bytes.fromhex(row) for row in rows.splitlines())
    return sorted(path.read_bytes() for top in ("market_data", "results")
                  for path in (store / top).rglob("*.json") if not path.name.startswith("."))


def content(store):
    """All that a store holds, without what names it there: ids, version numbers, times of saving."""
    everything = {"texts": texts(store)}
    for series in json.loads(shoal(store, "ls", "bars", "--json")):
        name = (series["symbol"], series["timeframe"])
        everything["bars", *name] = shoal(store, "get", "bars", *name)
    for kind in KINDS:
        rows = json.loads(shoal(store, "ls", kind, "--limit", 100000, "--json"))
        everything[kind] = sorted(str({name: row[name] for name in sorted(row) if name != "id"}) for row in rows)
    for row in json.loads(shoal(store, "ls", "checkpoint", "--json")):
        versions = json.loads(shoal(store, "ls", "checkpoint", row["id"], "--json"))
        everything["checkpoint", row["id"]] = [
            (get_checkpoint(store, row["id"], each["version"]), each["metadata"].get("loss")) for each in versions]
    return everything


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A store with something of each kind. Tests take a copy of it."""
    store = tmp_path_factory.mktemp("filled") / "store"
    fill(store)
    return store


@pytest.fixture
def source(filled, tmp_path):
    return shutil.copytree(filled, tmp_path / "source", symlinks=True)


@pytest.fixture
def database(pg_server):
    return pg_server.url(pg_server.new_database())


def test_there_and_back_again(tmp_path, source, database):
    before = content(source)
    result = migrate(source, database)
    assert result["bars"] == 4 * 5000 and result["versions"] == 4 and result["documents"] == 12, result
    assert result["verified"] == {"series": 4, "documents": 12, "versions": 4}
    assert content(database) == before
    rows = pg_harness.ask_url(database, "SELECT time_s, body FROM shoal_data.documents WHERE symbol = 'BTC/USD' ORDER BY time_s, id")
    assert [json.loads(row.split("|")[1])["n"] for row in rows.splitlines()] == list(range(6))
    assert [row.split("|")[0] for row in rows.splitlines()] == [str(1700000000 + n // 2) for n in range(6)]
    again = migrate(source, database)
    assert (again["bars"], again["documents"], again["versions"], again["passes"]) == (0, 0, 0, 1), again
    back = tmp_path / "back"
    migrate(database, back)
    assert content(back) == before
    assert migrate(source, tmp_path / "copy")["verified"] == result["verified"]


def test_what_comes_later_and_what_differs_is_copied(source, database):
    migrate(source, database)
    shoal(source, "put", "bars", "AAPL", "1m", "-", stdin=bars_csv(99, 2, start=4999))  # a correction and a new one
    shoal(source, "put", "backtest", "mean_reversion", "-", "--time", 1700000000, stdin=b"[1]")  # a third time
    put_checkpoint(source, "net", b"newer")
    result = migrate(source, database)
    assert (result["bars"], result["documents"], result["versions"]) == (2, 1, 1), result
    assert content(database) == content(source)


@pytest.mark.parametrize("to_files", [False, True])
def test_killed_it_goes_on(tmp_path, source, pg_server, to_files):
    seed = random.randrange(1 << 30)
    generator = random.Random(seed)
    if to_files:
        database = pg_server.url(pg_server.new_database())
        migrate(source, database)
        source = database
    killed = 0
    limit_s = 0.6
    while killed < 4:
        if killed == 0:  # the last target is whole
            target = tmp_path / f"target-{limit_s}" if to_files else pg_server.url(pg_server.new_database())
        process = subprocess.Popen([find_program("shoal"), "data", "migrate", "--from", source, "--to", target,
                                    "-q", "--threads", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(generator.uniform(limit_s / 10, limit_s))
            if killed > 0:
                break
            limit_s /= 2
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
    migrate(source, target)
    assert content(target) == content(source), seed


def test_workers_may_write_meanwhile(source, database):
    stop = threading.Event()
    written = []

    def write():
        while not stop.is_set() and len(written) < 8:
            number = len(written)
            shoal(source, "put", "performance", "live", "-", "--time", 1700000000 + number, stdin=b"%d" % number)
            shoal(source, "put", "bars", "LIVE", "1m", "-", stdin=bars_csv(number, 10, start=number * 5))
            written.append(number)

    worker = threading.Thread(target=write)
    worker.start()
    while not written:
        time.sleep(0.01)
    first = migrate(source, database)
    stop.set()
    worker.join()
    assert first["passes"] >= 2
    migrate(source, database)
    assert content(database) == content(source)


def test_a_damaged_item_fails_the_call_and_not_the_others(source, database):
    (source / "results/performance/torn_1700000000.json").write_bytes(b'{"cut": ')
    said = shoal(source, "migrate", "--from", source, "--to", database, status=1)
    assert "torn_1700000000" in said
    assert len(json.loads(shoal(database, "ls", "backtest", "--json"))) == 3


def test_wrong_words_are_refused(tmp_path, database):
    assert "same store" in shoal(tmp_path, "migrate", "--from", tmp_path, "--to", tmp_path, status=2)
    assert "--to" in shoal(tmp_path, "migrate", "--from", tmp_path, status=2)
    missing = tmp_path / "missing"
    shoal(tmp_path, "migrate", "--from", missing, "--to", database, status=1)
    secret = shoal(tmp_path, "migrate", "--from", tmp_path, "--to", "postgresql://a:s3cret@127.0.0.1:1x/b", status=2)
    assert "s3cret" not in secret

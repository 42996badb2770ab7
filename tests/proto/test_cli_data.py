"""shoal data: documents, checkpoints and clean-up in a directory, judged by looking at the files with Python."""

import json
import os
import random
import subprocess
import time

import pytest
from shoal_server import find_program


@pytest.fixture
def store(tmp_path):
    directory = tmp_path / "store"
    run(directory, "init")
    return directory


def run(store, *words, status=0, stdin=b""):
    """Runs `shoal data`; gives its standard output."""
    done = subprocess.run([find_program("shoal"), "data", *map(str, words)], input=stdin, capture_output=True,
                          env={**os.environ, "SHOAL_STORE": str(store)}, timeout=60)
    assert done.returncode == status, (words, done.returncode, done.stderr)
    if status != 0:
        lines = done.stderr.decode().splitlines()
        assert lines and all(line.startswith("shoal: ") for line in lines), done.stderr
        return lines[-1]
    return done.stdout


def listed(store, *words):
    return json.loads(run(store, "ls", *words, "--json"))


def test_init_makes_the_layout(store):
    for directory in ("market_data/ohlcv", "market_data/indicators", "models/trained", "models/checkpoints",
                      "results/backtests", "results/performance", "logs"):
        assert (store / directory).is_dir(), directory
        assert (store / directory).stat().st_mode & 0o777 == 0o755


def test_documents_go_in_and_come_out(store):
    text = json.dumps({"close": [1.5, 2.5], "note": "日本"}).encode()
    name = run(store, "put", "market", "BTC/USD", "1m", "-", "--time", "2026-01-02T03:04:05", stdin=text).decode().strip()
    assert name == "BTC%2FUSD_1m_1767323045"
    assert (store / f"market_data/ohlcv/{name}.json").read_bytes() == text
    second = json.loads(run(store, "put", "market", "BTC/USD", "1m", "-", "--time", "1767323045", "--json", stdin=b"{}"))
    assert second["id"] != name
    assert [item["id"] for item in listed(store, "market", "--symbol", "BTC/USD")] == [second["id"], name]
    assert run(store, "get", "market", name) == text
    assert b"BTC%2FUSD" in run(store, "ls", "market")
    run(store, "put", "generation", "7", "best", "-", stdin=b"[]")
    run(store, "put", "backtest", "mean_reversion", "-", stdin=b"[]")
    run(store, "put", "indicator", "AAPL", "1h", "rsi_14", "-", stdin=b"[]")
    assert listed(store, "generation", "--generation", "7")[0]["name"] == "best"
    assert listed(store, "backtest")[0]["name"] == "mean_reversion"
    assert listed(store, "indicator", "--name", "rsi_14")[0]["symbol"] == "AAPL"
    run(store, "rm", "market", name)
    assert name in run(store, "get", "market", name, status=1)
    assert len(listed(store, "market")) == 1


def test_damage_is_named_and_the_rest_listed(store):
    run(store, "put", "checkpoint", "net", __file__)
    (store / "models/checkpoints/net/versions/00000001/metadata.json").write_text("{")
    run(store, "put", "checkpoint", "other", __file__)
    assert "models/checkpoints/net" in run(store, "ls", "checkpoint", status=1)


@pytest.mark.parametrize("words, part", [
    (("put", "market", "../../etc/passwd", "1m", "-"), "etc/passwd"),
    (("put", "market", "AAPL", "1_m", "-"), "1_m"),
    (("put", "market", "AAPL", "1m", "-", "--time", "yesterday"), "yesterday"),
    (("get", "market", "../../../etc/passwd"), "etc/passwd"),
    (("ls", "nothing"), "nothing"),
    (("frobnicate",), "frobnicate"),
    (("clean", "--rules", "models=1"), "models"),
    (("retain", "net"), "--keep-last"),
    (("put", "checkpoint", "net"), "checkpoint"),
])
def test_wrong_words_are_refused_by_name(store, words, part):
    assert part in run(store, *words, status=2, stdin=b"{}")


def test_text_that_is_no_json_is_refused(store):
    assert "line 1 column" in run(store, "put", "market", "A", "1m", "-", status=2, stdin=b'{"a": ')
    assert listed(store, "market") == []


def test_a_missing_store_is_told(tmp_path):
    assert "none" in run(tmp_path / "none", "usage", status=1)


def test_checkpoints_have_versions(store, tmp_path):
    source = tmp_path / "source"
    content = random.Random(1).randbytes(5_000_001)
    source.write_bytes(content)
    for loss in (3, 1, 2, 4):
        run(store, "put", "checkpoint", "net", source, "--metadata", json.dumps({"loss": loss}))
    assert [item["version"] for item in listed(store, "checkpoint", "net")] == [4, 3, 2, 1]
    assert listed(store, "checkpoint")[0]["metadata"]["loss"] == 4
    run(store, "get", "checkpoint", "net", "-o", tmp_path / "copy", "-q")
    assert (tmp_path / "copy").read_bytes() == content
    assert run(store, "get", "checkpoint", "net", "--version", 2) == content
    assert (store / "models/checkpoints/net/model.pkl").read_bytes() == content
    metadata = json.loads((store / "models/checkpoints/net/metadata.json").read_text())
    assert metadata["loss"] == 4 and metadata["saved_at"] and metadata["checkpoint_path"].endswith("net/model.pkl")
    shown = json.loads(run(store, "get", "checkpoint", "net", "--json"))
    assert shown["verified"] and shown["size_bytes"] == len(content)
    run(store, "retain", "net", "--keep-last", 1, "--keep-best", 1, "--metric", "loss", "--minimize")
    assert [item["version"] for item in listed(store, "checkpoint", "net")] == [4, 2]

    data = store / "models/checkpoints/net/versions/00000004/model.pkl"
    data.chmod(0o644)
    with data.open("r+b") as file:
        file.seek(3_000_000)
        file.write(bytes([content[3_000_000] ^ 1]))
    assert "checksum" in run(store, "get", "checkpoint", "net", "-o", tmp_path / "bad", status=1)
    assert not (tmp_path / "bad").exists()


def test_clean_reports_and_removes(store):
    week = time.time() - 8 * 86400
    for name in ("market_data/ohlcv/A_1m_1.json", "results/backtests/s_1.json", "logs/app.log"):
        (store / name).write_text("{}")
        os.utime(store / name, (week, week))
    (store / "logs/new.log").write_text("new")
    usage = json.loads(run(store, "usage", "--json"))
    assert usage["files"] == 4 and usage["bytes"] == 9
    would = json.loads(run(store, "clean", "--days", 7, "--dry-run", "--rules", "results=keep", "--json"))
    assert would["files"] == 2 and would["bytes"] == 4
    assert (store / "logs/app.log").exists()
    assert b"in all" in run(store, "clean", "--rules", "results=keep")
    assert not (store / "logs/app.log").exists() and (store / "results/backtests/s_1.json").exists()
    assert json.loads(run(store, "clean", "--days", 0, "--json"))["files"] == 2
    assert json.loads(run(store, "usage", "--json"))["files"] == 0


def test_health_is_told(store):
    health = json.loads(run(store, "health", "--json"))
    assert health["ok"] and health["backend"] == "files" and health["location"] == str(store)
    assert b"ok" in run(store, "health")

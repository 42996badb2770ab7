"""Documents, clean-up, usage and health through the Python package, over both backends."""

import datetime
import json
import os
import pickle

import numpy
import pytest

import shoal_data
from shoal_data import Kind


def test_market_data(store):
    first = store.save_market_data("BTC/USD", "1m", {"price": 1, "text": "€"}, 1700000000)
    second = store.save_market_data("BTC/USD", "1m", {"price": 2}, 1700000000)
    store.save_market_data("ETH/USD", "1m", [1, 2], datetime.datetime(2024, 1, 1))
    assert first != second
    found = store.load_market_data("BTC/USD", "1m")
    assert [document.data for document in found] == [{"price": 2}, {"price": 1, "text": "€"}]
    assert {document.id for document in found} == {first, second}
    assert found[0].time_s == 1700000000 and found[0].symbol == "BTC/USD" and found[0].timeframe == "1m"
    assert [d.data for d in store.load_market_data(start="2024-01-01")] == [[1, 2]]
    assert len(store.load_market_data(end=1700000001)) == 2
    assert [d.data for d in store.load_market_data(limit=1)] == [[1, 2]]
    assert store.load_market_data("BTC/USD", limit=0) == []
    assert store.load_document(Kind.MARKET_DATA, first).data["text"] == "€"
    store.delete_document(Kind.MARKET_DATA, first)
    for call in (store.load_document, store.delete_document):
        with pytest.raises(shoal_data.NotFoundError) as caught:
            call(Kind.MARKET_DATA, first)
        assert isinstance(caught.value, LookupError)


def test_results_and_indicators(store):
    store.save_backtest_results("momentum", {"sharpe": numpy.float64(1.5), "trades": numpy.arange(3)}, 1700000000)
    store.save_backtest_results("mean-reversion", {"sharpe": 0.5}, 1700000001)
    store.save_performance("fund", {"return": 0.1})
    store.save_indicator("A", "1d", "rsi", {"value": 70})
    for generation in range(3):
        store.save_generation(generation, "worker-1", {"best": generation})
    assert [d.data for d in store.query_backtest_results("momentum")] == [{"sharpe": 1.5, "trades": [0, 1, 2]}]
    assert [d.name for d in store.query_backtest_results()] == ["mean-reversion", "momentum"]
    assert store.query_performance("fund")[0].data == {"return": 0.1}
    assert store.load_indicators("A", "1d", "rsi")[0].data == {"value": 70}
    assert store.load_indicators("A", "1d", "macd") == []
    assert store.query_generations(1)[0].generation == 1
    assert sorted(d.data["best"] for d in store.query_generations()) == [0, 1, 2]


@pytest.mark.parametrize("value", [float("nan"), {"x": float("inf")}, {1, "a"}, object(), b"{", b"\xff", b""])
def test_what_is_no_json_is_refused(store, value):
    with pytest.raises(shoal_data.InvalidError):
        store.save_market_data("A", "1m", value)
    assert store.load_market_data() == []


@pytest.mark.parametrize("name", ["", "..", "../x", "a\0b", "x" * 65, None])
def test_names_that_are_refused(store, name):
    with pytest.raises(shoal_data.InvalidError):
        store.save_backtest_results(name, {})
    with pytest.raises(shoal_data.InvalidError):
        store.save_generation(-1, "x", {})
    with pytest.raises(shoal_data.InvalidError):
        store.save_generation(2**63, "x", {})


def test_times_that_are_refused(store):
    for moment in (0, -5, "1969-01-01", "yesterday", True, object(), 253402300800):
        with pytest.raises(shoal_data.InvalidError):
            store.save_market_data("A", "1m", {}, moment)


def test_a_damaged_document_is_named_and_the_others_load(tmp_path):
    with shoal_data.Store(str(tmp_path)) as store:
        store.save_market_data("A", "1m", {"ok": 1}, 1700000000)
        bad = store.save_market_data("A", "1m", {"ok": 2}, 1700000001)
        [path] = [path for path in (tmp_path / "market_data/ohlcv").iterdir() if "1700000001" in path.name]
        path.write_text('{"ok": ')
        with pytest.raises(shoal_data.DamagedError) as caught:
            store.load_market_data()
        assert [d.data for d in caught.value.partial] == [{"ok": 1}]
        assert path.name in caught.value.problems[0] and bad


def test_files_are_where_people_expect_them(tmp_path):
    with shoal_data.Store(str(tmp_path)) as store:
        store.save_market_data("A", "1m", {"x": 1}, 1700000000)
        store.save_backtest_results("momentum", {"y": 2}, 1700000000)
        store.save_model_checkpoint("model", b"weights", {"loss": 1})
    assert json.loads((tmp_path / "market_data/ohlcv/A_1m_1700000000.json").read_text()) == {"x": 1}
    assert json.loads((tmp_path / "results/backtests/momentum_1700000000.json").read_text()) == {"y": 2}
    assert (tmp_path / "models/checkpoints/model/model.pkl").read_bytes() == b"weights"
    assert json.loads((tmp_path / "models/checkpoints/model/metadata.json").read_text())["loss"] == 1


def make_old(store, url, postgres):
    """What is stored was written in 2001: the age that counts is the time since then."""
    if store.backend == "postgres":
        postgres.run("psql", "-q", url, "-c", "UPDATE shoal_data.documents SET saved_s = 1000000000")
        return
    for directory, _, names in os.walk(url):
        for name in names:
            os.utime(os.path.join(directory, name), (1e9, 1e9))


def test_clean_up_usage_and_health(store, url, postgres):
    store.save_market_data("A", "1m", {"x": 1})
    store.save_backtest_results("s", {"x": 1})
    make_old(store, url, postgres)
    store.save_market_data("A", "1m", {"x": 2})
    assert store.usage().files == 3
    planned = store.cleanup_old_data(7, {"results/backtests": -1}, dry_run=True)
    assert planned.files == 1 and store.usage().files == 3
    done = store.cleanup_old_data(7, {"results/backtests": -1})
    assert done.files == 1 and done.bytes > 0
    assert [d.data for d in store.load_market_data()] == [{"x": 2}]
    assert store.cleanup_old_data(7).files == 1 and store.query_backtest_results() == []
    with pytest.raises(shoal_data.InvalidError, match="etc"):
        store.cleanup_old_data(7, {"../etc": 1})
    with pytest.raises(shoal_data.InvalidError):
        store.cleanup_old_data(0)
    health = store.health()
    assert health.is_ok and health.backend == store.backend and health.location


@pytest.mark.parametrize("has_orjson", [True, False])
def test_documents_are_parsed_together(store, monkeypatch, has_orjson):
    if not has_orjson:
        monkeypatch.setattr(shoal_data.convert, "orjson", None)
    values = [{"n": i, "text": "\u20ac\\\"", "list": [1.5, None, True, "]"]} for i in range(50)]
    values += [2**70, "\U0001f600", [], -0.0]
    for second, value in enumerate(values):
        store.save_market_data("A", "1m", value, 1700000000 + second)
    found = store.load_market_data("A", "1m")
    assert [document.data for document in reversed(found)] == values
    last = found[-1]
    copy = pickle.loads(pickle.dumps(last))
    del found
    assert json.loads(last.text) == last.data == copy.data == values[0]
    assert (copy.id, copy.symbol, copy.time_s) == (last.id, "A", 1700000000)
    with pytest.raises(AttributeError):
        last.nothing

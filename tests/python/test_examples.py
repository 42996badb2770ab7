"""The examples, as people start them, over both backends; the search is killed and goes on."""

import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import numpy
import pytest

import shoal_data
from conftest import ROOT

SEARCH = ROOT / "examples/ray/search.py"
TRAIN = ROOT / "examples/training/train.py"


@pytest.fixture
def ray_dir():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="ray-"))  # short: it holds Unix sockets
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def search_words(url, ray_dir, **options):
    words = [sys.executable, str(SEARCH), "--url", url, "--ray-dir", str(ray_dir)]
    for name, value in options.items():
        words += [f"--{name}", str(value)]
    return words


def expected_populations(options):
    """What an uninterrupted search comes to, without Ray and without a store."""
    sys.path.insert(0, str(SEARCH.parent))
    import strategy
    closes = [strategy.make_bars(i, options["bars"], 1)["close"] for i in range(options["symbols"])]
    populations, best = [strategy.first_population(options["population"], 1)], []
    for generation in range(options["generations"]):
        scores = [strategy.fitness(closes, genome) for genome in populations[-1]]
        best.append(max(scores))
        populations.append(strategy.breed(populations[-1], scores, generation, 1))
    return populations, best


def test_a_killed_search_goes_on_where_it_was(url, ray_dir, tmp_path):
    options = {"bars": 6000, "symbols": 2, "population": 10, "generations": 12, "workers": 2}
    plot = tmp_path / "fitness.png"
    first = subprocess.Popen(search_words(url, ray_dir / "1", **options), stdout=subprocess.PIPE, text=True)
    seen = []
    for line in first.stdout:
        seen.append(line)
        if line.startswith("generation 2:"):
            break
    first.send_signal(signal.SIGKILL)  # Ray's own processes end with the program that started them
    seen += first.stdout.readlines()
    assert first.wait() == -signal.SIGKILL, seen
    with shoal_data.Store(url, pool_min=2) as store:
        stopped_at = store.load_model_checkpoint("search").metadata["generation"]
    assert 2 <= stopped_at < 12

    done = subprocess.run(search_words(url, ray_dir / "2", **options, plot=plot), stdout=subprocess.PIPE, text=True,
                          timeout=120, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == f"goes on at generation {stopped_at}"
    assert lines[1].startswith(f"generation {stopped_at}:")

    populations, best = expected_populations(options)
    with shoal_data.Store(url, pool_min=2) as store:
        final = store.load_model_checkpoint("search")
        assert final.metadata["generation"] == 12
        numpy.testing.assert_array_equal(numpy.frombuffer(final.data).reshape(populations[-1].shape), populations[-1])
        rows = {d.generation: d.data["best"] for d in store.query_generations(limit=10_000) if d.name == "search"}
        assert [rows[generation] for generation in range(12)] == best
        result = store.query_backtest_results("search")[0].data
        assert result["sharpe"] == best[-1] and "sharpe_unseen" in result
        assert {series.symbol for series in store.list_series()} == {"SYM0/USD", "SYM1/USD"}
    picture = plot.read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 5000
    with open(plot, "rb") as file:
        from matplotlib import image
        assert image.imread(file).std() > 0.05  # not an empty picture


def train(url, **options):
    words = [sys.executable, str(TRAIN), "--url", url]
    for name, value in options.items():
        words += [f"--{name}", str(value)]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=120, check=True).stdout.splitlines()


def test_training_with_shards_and_readers(url):
    lines = train(url, ranks=3, readers=2, steps=6, every=2, size=100_001)
    assert [line.split(":")[0] for line in lines[:3]] == ["step 2", "step 4", "step 6"]
    assert int(lines[3].split()[0]) >= 2  # each reader has seen the last version at least
    # It goes on with another number of ranks: each reads only its slice.
    lines = train(url, ranks=2, readers=1, steps=10, every=2, size=100_001)
    assert [line.split(":")[0] for line in lines[:2]] == ["step 8", "step 10"]
    with shoal_data.Store(url, pool_min=2) as store:
        versions = store.list_model_versions("linear")
        assert [entry.metadata["step"] for entry in versions] == [10, 8, 6]
        losses = [entry.metadata["metrics"]["loss"] for entry in versions]
        assert losses == sorted(losses)
        weights = numpy.frombuffer(store.load_model_checkpoint("linear").data)
        wanted = numpy.random.default_rng(1).normal(size=100_001)
        numpy.testing.assert_allclose(weights, wanted * (1 - 0.9**10))
        with store.open_model_checkpoint("linear") as reader:
            assert reader.shard_count == 2
        assert len(store.query_performance("linear")) == 5

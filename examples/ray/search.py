#!/usr/bin/env python3
"""A genetic search for a trading strategy by Ray actors, which share bars, population and results through shoal_data.

search.py --url /mnt/efs (a directory) or --url postgresql://… : nothing else changes. Killed and started again, it goes
on at the generation it was in. Ray's object store carries nothing: actors are told a generation and a share, read the
rest from the storage, and write their scores there.
"""

import argparse
import asyncio
import os
import tempfile

import numpy

import strategy
from shoal_data import NotFoundError, Store, open_storage

TIMEFRAME = "1m"


class Evaluator:
    """What an actor is: it has the bars, and scores its share of a generation."""

    def __init__(self, url, symbols, run):
        self.store = Store(url, pool_min=1, pool_max=2)
        self.run = run
        bars = self.store.load_ohlcv_bars_many(symbols, TIMEFRAME, columns=["close"])
        self.closes = [bars[symbol].close for symbol in symbols]  # the library's own memory

    def evaluate(self, generation, share, shares):
        """Scores each `shares`th individual that has no score yet; gives how many that were."""
        checkpoint = self.store.load_model_checkpoint(self.run)
        if checkpoint.metadata["generation"] != generation:
            raise RuntimeError(f"the checkpoint is of generation {checkpoint.metadata['generation']}, not {generation}")
        population = population_of(checkpoint)
        known = scores_of(self.store.query_generations(generation, limit=100_000), self.run)
        mine = [i for i in range(share, len(population), shares) if i not in known]
        for i in mine:
            score = strategy.fitness(self.closes, population[i])
            self.store.save_generation(generation, f"{self.run}.score", {"individual": i, "score": score})
        return len(mine)

    def unseen(self, genome):
        return strategy.unseen_fitness(self.closes, numpy.array(genome))


def population_of(checkpoint):
    return numpy.frombuffer(checkpoint.data, "<f8").reshape(-1, len(strategy.GENES))


def scores_of(documents, run):
    """{individual: score}; one that was scored twice, around a restart, has the same score twice."""
    return {d.data["individual"]: d.data["score"] for d in documents if d.name == f"{run}.score"}


async def prepare(storage, arguments):
    """Sees to the bars and the checkpoint to go on from: (symbols, generation, population)."""
    symbols = [f"SYM{i}/USD" for i in range(arguments.symbols)]
    there = {series.symbol for series in await storage.list_series(TIMEFRAME)}
    missing = [i for i, symbol in enumerate(symbols) if symbol not in there]
    await asyncio.gather(*(storage.store_ohlcv_bars(
        symbols[i], TIMEFRAME, strategy.make_bars(i, arguments.bars, arguments.seed)) for i in missing))
    try:
        checkpoint = await storage.load_model_checkpoint(arguments.run)
        generation, population = checkpoint.metadata["generation"], population_of(checkpoint)
        print(f"goes on at generation {generation}", flush=True)
    except NotFoundError:
        generation, population = 0, strategy.first_population(arguments.population, arguments.seed)
        await storage.save_model_checkpoint(arguments.run, population, {"generation": 0})
        print("begins", flush=True)
    return symbols, generation, population


async def search(storage, arguments, generation, population, evaluate):
    """`evaluate(generation)` has every individual scored; breeding and checkpoints are done here."""
    while generation < arguments.generations:
        evaluated = await evaluate(generation)
        known = scores_of(await storage.query_generations(generation, limit=100_000), arguments.run)
        scores = [known[i] for i in range(len(population))]
        best = int(numpy.argmax(scores))
        await storage.save_generation(generation, arguments.run, {
            "best": scores[best], "mean": float(numpy.mean(scores)), "genome": strategy.describe(population[best])})
        print(f"generation {generation}: best {scores[best]:.3f}, mean {numpy.mean(scores):.3f}, "
              f"{evaluated} evaluated", flush=True)
        best_genome = population[best]
        population = strategy.breed(population, scores, generation, arguments.seed)
        generation += 1
        # From here on a restart goes on with the next generation.
        await storage.save_model_checkpoint(arguments.run, population, {
            "generation": generation, "best": scores[best], "best_genome": list(best_genome)})
        await storage.retain_model_checkpoints(arguments.run, keep_last=5)
    return population


def history(documents, run):
    """Rows (generation, best, mean), by generation."""
    rows = {d.generation: (d.data["best"], d.data["mean"]) for d in reversed(documents) if d.name == run}
    return [(generation, *rows[generation]) for generation in sorted(rows)]


def plot(rows, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    generations = [row[0] for row in rows]
    axes.plot(generations, [row[1] for row in rows], marker="o", label="best")
    axes.plot(generations, [row[2] for row in rows], marker=".", label="mean")
    axes.set(xlabel="generation", ylabel="fitness (Sharpe ratio a year, after costs)", title="Fitness by generation")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def start_ray(arguments):
    """A Ray of our own on this machine, which tells nobody; or the cluster at --address."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    if arguments.address:
        ray.init(address=arguments.address, log_to_driver=False)
        return ray
    directory = arguments.ray_dir or tempfile.mkdtemp(prefix="ray-")
    ray.init(address="local", num_cpus=arguments.workers, include_dashboard=False, log_to_driver=False,
             object_store_memory=80 << 20, logging_level="ERROR", _node_ip_address="127.0.0.1", _temp_dir=directory)
    return ray


async def work(arguments):
    async with open_storage(arguments.url, pool_min=2, pool_max=8) as storage:
        symbols, generation, population = await prepare(storage, arguments)
        ray = start_ray(arguments)
        actors = [ray.remote(Evaluator).remote(arguments.url, symbols, arguments.run) for _ in range(arguments.workers)]

        async def evaluate(number):
            return sum(await asyncio.gather(*(
                actor.evaluate.remote(number, share, len(actors)) for share, actor in enumerate(actors))))

        await search(storage, arguments, generation, population, evaluate)
        last = (await storage.load_model_checkpoint(arguments.run)).metadata
        unseen = await actors[0].unseen.remote(last["best_genome"])
        await storage.save_backtest_results(arguments.run, {
            "genome": strategy.describe(last["best_genome"]), "sharpe": last["best"], "sharpe_unseen": unseen})
        ray.shutdown()
        rows = history(await storage.query_generations(limit=1_000_000), arguments.run)
        print(f"done: best {last['best']:.3f}, on bars not seen {unseen:.3f}, {strategy.describe(last['best_genome'])}")
        if arguments.plot:
            plot(rows, arguments.plot)
            print(f"plot: {arguments.plot}")


def parse(words=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--url", required=True, help="a directory, postgresql://…, or neon")
    parser.add_argument("--run", default="search", help="the name of the search, and of its checkpoint")
    parser.add_argument("--workers", type=int, default=2, help="actors")
    parser.add_argument("--generations", type=int, default=20)
    parser.add_argument("--population", type=int, default=40)
    parser.add_argument("--symbols", type=int, default=5)
    parser.add_argument("--bars", type=int, default=50_000, help="of each symbol")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", help="a PNG of fitness by generation")
    parser.add_argument("--address", help="of a Ray cluster; by default a Ray of its own on this machine")
    parser.add_argument("--ray-dir", help="a short path for the files of its own Ray")
    return parser.parse_args(words)


if __name__ == "__main__":
    asyncio.run(work(parse()))

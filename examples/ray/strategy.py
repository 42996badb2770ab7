"""A trading strategy with six numbers, its backtest, and how a population of such numbers breeds. Only NumPy; no I/O.

Everything follows from its arguments: the same seed and generation give the same numbers on every machine and after
every restart.
"""

import numpy

# What a genome is made of: (name, lowest, highest).
GENES = (("fast", 2.0, 60.0), ("slow", 20.0, 400.0), ("band", 0.0, 0.01), ("short", 0.0, 1.0), ("volatility", 5.0, 200.0),
         ("size", 0.1, 1.0))
LOW = numpy.array([low for _, low, _ in GENES])
HIGH = numpy.array([high for _, _, high in GENES])
COST = 0.0002  # of a full turn of the position
BARS_A_YEAR = 252 * 390
TRAINING = 0.7  # of the bars; the rest tells how the result does on bars that it has not seen


def make_bars(symbol_index, count, seed):
    """A random walk of minutes whose trend changes now and then: a dict of columns for store_ohlcv_bars."""
    rng = numpy.random.default_rng([seed, symbol_index])
    trend = numpy.repeat(rng.normal(0, 0.00004, count // 500 + 1), 500)[:count]
    close = 100 * numpy.exp(numpy.cumsum(trend + rng.normal(0, 0.001, count)))
    opened = numpy.concatenate([[100.0], close[:-1]])
    spread = numpy.abs(rng.normal(0, 0.0005, count)) * close
    start = 1704067200_000_000_000  # 2024-01-01
    return {"timestamp": start + numpy.arange(count, dtype="int64") * 60_000_000_000, "open": opened,
            "high": numpy.maximum(opened, close) + spread, "low": numpy.minimum(opened, close) - spread, "close": close,
            "volume": rng.integers(1, 1000, count).astype(float)}


def _mean(values, length):
    """The mean of the last `length` values at each place (of fewer at the beginning)."""
    sums = numpy.concatenate([[0.0], numpy.cumsum(values)])
    ends = numpy.arange(1, len(values) + 1)
    begins = numpy.maximum(ends - length, 0)
    return (sums[ends] - sums[begins]) / (ends - begins)


def sharpe(close, genome):
    """The yearly Sharpe ratio, after costs, of a crossing of two means; 0 for one that never trades."""
    fast, slow, band, short, volatility, size = genome
    log_price = numpy.log(close)
    returns = numpy.diff(log_price)
    distance = _mean(log_price, int(fast)) - _mean(log_price, int(slow))
    wish = numpy.where(distance > band, 1.0, numpy.where(distance < -band, -short, 0.0))[:-1]
    wild = numpy.sqrt(_mean(returns**2, int(volatility)))
    position = wish * size * numpy.minimum(1.0, 0.001 / numpy.maximum(wild, 1e-9))
    position[1:] = position[:-1].copy()  # what is known at the end of a bar is traded in the next one
    position[0] = 0.0
    gains = position * returns - COST * numpy.abs(numpy.diff(position, prepend=0.0))
    spread = gains.std()
    return float(gains.mean() / spread * BARS_A_YEAR**0.5) if spread > 0 else 0.0


def fitness(closes, genome):
    """The mean Sharpe ratio over all symbols, on the bars to learn from."""
    return float(numpy.mean([sharpe(close[: int(len(close) * TRAINING)], genome) for close in closes]))


def unseen_fitness(closes, genome):
    """The same on the bars that were kept back."""
    return float(numpy.mean([sharpe(close[int(len(close) * TRAINING):], genome) for close in closes]))


def first_population(size, seed):
    rng = numpy.random.default_rng([seed, 0])
    return rng.uniform(LOW, HIGH, (size, len(GENES)))


def breed(population, scores, generation, seed):
    """The next generation: the best two as they are, and children of winners of small tournaments."""
    rng = numpy.random.default_rng([seed, generation + 1])
    size = len(population)
    order = numpy.argsort(-numpy.asarray(scores), kind="stable")
    children = [population[i] for i in order[:2]]
    while len(children) < size:
        mother, father = (population[order[rng.integers(0, size, 3).min()]] for _ in range(2))
        child = numpy.where(rng.random(len(GENES)) < 0.5, mother, father)
        child = child + (rng.random(len(GENES)) < 0.3) * rng.normal(0, 0.1, len(GENES)) * (HIGH - LOW)
        children.append(numpy.clip(child, LOW, HIGH))
    return numpy.array(children)


def describe(genome):
    return {name: round(float(value), 5) for (name, _, _), value in zip(GENES, genome)}

#!/usr/bin/env python3
"""Sharded checkpoints: several ranks write a shard each, one commits; many readers load what they need meanwhile.

train.py --url /mnt/efs (a directory) or --url postgresql://… : plain processes, one per rank and per reader. Each rank
holds a slice of the weights of a linear model and trains it. Killed and started again, it goes on at the last committed
step, with any number of ranks: a rank reads just its slice of the checkpoint, whoever wrote it.
"""

import argparse
import multiprocessing

import numpy

from shoal_data import NotFoundError, Store


def wanted_weights(arguments):
    """What training should find."""
    return numpy.random.default_rng(arguments.seed).normal(size=arguments.size)


def slice_of(rank, ranks, size):
    return slice(size * rank // ranks, size * (rank + 1) // ranks)


def step_towards(weights, wanted):
    """One step of gradient descent on the squared distance."""
    return weights - 0.1 * (weights - wanted)


def session_name(arguments, step):
    return f"step{step}-of-{arguments.ranks}"


def open_store(arguments):
    return Store(arguments.url, pool_min=1, pool_max=4)


def resume(store, arguments, part):
    """(the last committed step, this rank's slice of its weights): other bytes are not read."""
    try:
        with store.open_model_checkpoint(arguments.model) as reader:
            data = reader.read_range(part.start * 8, (part.stop - part.start) * 8)
            return reader.metadata["step"], numpy.frombuffer(data, "<f8").copy()
    except NotFoundError:
        return 0, numpy.zeros(part.stop - part.start)


def train(rank, arguments, barrier, losses):
    """A rank. The barriers stand for those that every training program has anyway."""
    with open_store(arguments) as store:
        part = slice_of(rank, arguments.ranks, arguments.size)
        wanted = wanted_weights(arguments)[part]
        step, weights = resume(store, arguments, part)
        barrier.wait(arguments.timeout)  # all have read the same version
        while step < arguments.steps:
            step += 1
            weights = step_towards(weights, wanted)
            losses[rank] = float(((weights - wanted)**2).sum())
            if step % arguments.every and step != arguments.steps:
                continue
            session = session_name(arguments, step)
            with store.open_checkpoint_writer(arguments.model, session, rank, arguments.ranks, weights.nbytes) as writer:
                writer.write(weights)
            barrier.wait(arguments.timeout)  # all shards are finished, and so durable
            if rank == 0:
                loss = sum(losses)
                version = store.commit_model_checkpoint(arguments.model, session, arguments.ranks,
                                                        {"step": step, "metrics": {"loss": loss}})
                store.save_performance(arguments.model, {"step": step, "loss": loss})
                store.retain_model_checkpoints(arguments.model, keep_last=3, keep_best=1, metric="loss", minimize=True)
                print(f"step {step}: version {version}, loss {loss:.6g}", flush=True)
            barrier.wait(arguments.timeout)


def read(arguments, stop, count):
    """A reader: loads whole versions while they are written. Each is verified, and of one step."""
    with open_store(arguments) as store:
        while True:
            ends = stop.is_set()  # looked at before: each reader sees the last version, too
            try:
                checkpoint = store.load_model_checkpoint(arguments.model)
            except NotFoundError:  # before the first commit; or retention removed the version while it was read
                stop.wait(0.02)
            else:
                weights = numpy.frombuffer(checkpoint.data, "<f8")
                expected = wanted_weights(arguments) * (1 - 0.9**checkpoint.metadata["step"])
                if not numpy.allclose(weights, expected):
                    raise SystemExit(f"version {checkpoint.version} mixes steps")
                with count.get_lock():
                    count.value += 1
            if ends:
                return


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--url", required=True, help="a directory, postgresql://…, or neon")
    parser.add_argument("--model", default="linear")
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--readers", type=int, default=3)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--every", type=int, default=10, help="steps between checkpoints")
    parser.add_argument("--size", type=int, default=1_000_000, help="weights, of 8 bytes each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=120, help="seconds that a rank waits for the others")
    arguments = parser.parse_args(words)

    context = multiprocessing.get_context("spawn")
    barrier, losses = context.Barrier(arguments.ranks), context.Array("d", arguments.ranks)
    stop, count = context.Event(), context.Value("Q", 0)
    Store(arguments.url, pool_min=1).close()  # makes directories or the schema once, and says early what is wrong
    ranks = [context.Process(target=train, args=(rank, arguments, barrier, losses)) for rank in range(arguments.ranks)]
    readers = [context.Process(target=read, args=(arguments, stop, count)) for _ in range(arguments.readers)]
    for process in ranks + readers:
        process.start()
    for process in ranks:
        process.join()
    stop.set()
    for process in readers:
        process.join()
    print(f"{count.value} loads by {arguments.readers} readers")
    if any(process.exitcode for process in ranks + readers):
        raise SystemExit("a rank or a reader failed; what it said stands above")


if __name__ == "__main__":
    main()

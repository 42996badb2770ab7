"""Checkpoints through the Python package, over both backends."""

import concurrent.futures
import io
import os
import pickle

import numpy
import pytest

import shoal_data


def test_bytes_arrays_and_objects(store):
    data = os.urandom(3_000_001)
    assert store.save_model_checkpoint("m", data, {"loss": 0.5, "note": "€"}) == 1
    loaded = store.load_model_checkpoint("m")
    assert loaded.data == data and loaded.version == 1 and len(loaded) == len(data) and loaded.is_verified
    assert loaded.metadata["loss"] == 0.5 and loaded.metadata["note"] == "€"
    assert loaded.metadata["saved_at"] and loaded.metadata["checkpoint_path"]
    weights = numpy.arange(1000.0)
    for model in (weights, memoryview(weights), bytearray(weights.tobytes())):
        version = store.save_model_checkpoint("m", model)
        assert (numpy.frombuffer(store.load_model_checkpoint("m").data) == weights).all()
        assert store.load_model_checkpoint("m", version).version == version
    store.save_model_checkpoint("tree", {"w": weights[::2], "name": "x"})
    tree = store.load_model_checkpoint("tree").object()
    assert (tree["w"] == weights[::2]).all() and tree["name"] == "x"
    assert store.load_model_checkpoint("m", 1).data == data
    assert store.save_model_checkpoint("empty", b"") == 1
    assert store.load_model_checkpoint("empty").data == b""


def test_lists_retention_and_removal(store):
    for i in range(6):
        store.save_model_checkpoint("m", bytes([i]) * 100, {"metrics": {"loss": (3, 1, 2, 9, 8, 7)[i]}})
    store.save_model_checkpoint("other", b"x")
    assert [(e.id, e.version) for e in store.list_model_checkpoints()] == [("m", 6), ("other", 1)]
    versions = store.list_model_versions("m")
    assert [v.version for v in versions] == [6, 5, 4, 3, 2, 1] and versions[0].size_bytes == 100
    assert versions[0].metadata["metrics"] == {"loss": 7}
    options = {"keep_last": 2, "keep_best": 1, "metric": "loss", "minimize": True}
    assert store.retain_model_checkpoints("m", **options, dry_run=True).versions == 3
    removed = store.retain_model_checkpoints("m", **options)
    assert removed.versions == 3 and removed.bytes >= 300
    assert [v.version for v in store.list_model_versions("m")] == [6, 5, 2]
    store.delete_model_checkpoint("m", 2)
    with pytest.raises(shoal_data.NotFoundError):
        store.load_model_checkpoint("m", 2)
    store.delete_model_checkpoint("m")
    with pytest.raises(shoal_data.NotFoundError, match="m"):
        store.load_model_checkpoint("m")
    with pytest.raises(shoal_data.NotFoundError):
        store.list_model_versions("m")


def test_reader_is_a_file(store):
    data = os.urandom(5_000_000)
    store.save_model_checkpoint("m", data)
    with store.open_model_checkpoint("m") as reader:
        assert (reader.size, reader.version, reader.shard_count) == (len(data), 1, 1)
        assert reader.read(10) == data[:10] and reader.tell() == 10
        reader.seek(-5, os.SEEK_END)
        assert reader.read() == data[-5:] and reader.read() == b"" and reader.read(3) == b""
        assert reader.read_range(1_000_000, 2_000_000) == data[1_000_000:3_000_000]
        buffer = bytearray(100)
        reader.readinto_range(77, buffer)
        assert buffer == data[77:177]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for start, part in [(s, pool.submit(reader.read_range, s, 9999)) for s in range(0, 4_000_000, 99_999)]:
                assert part.result() == data[start:start + 9999]
        for offset, size in ((len(data), 1), (0, len(data) + 1), (-1, 1), (0, -1)):
            with pytest.raises(shoal_data.InvalidError):
                reader.read_range(offset, size)
        with pytest.raises(shoal_data.InvalidError, match="read-only"):
            reader.readinto_range(0, b"12")
    with pytest.raises(ValueError, match="closed"):
        reader.read_range(0, 1)
    model = {"weights": numpy.arange(100_000)}
    store.save_model_checkpoint("pickle", model)
    with io.BufferedReader(store.open_model_checkpoint("pickle")) as file:
        assert (pickle.load(file)["weights"] == model["weights"]).all()


def test_shards_appear_with_the_commit(store):
    shards = [os.urandom(size) for size in (1_500_000, 0, 70_001)]
    store.save_model_checkpoint("m", b"old")
    for index in (2, 0):
        with store.open_checkpoint_writer("m", "run-1", index, 3) as writer:
            half = len(shards[index]) // 2
            assert writer.write(shards[index][:half]) == half
            writer.write(memoryview(shards[index])[half:])
    with pytest.raises(shoal_data.NotFoundError, match="1"):
        store.commit_model_checkpoint("m", "run-1", 3)
    assert store.load_model_checkpoint("m").data == b"old"
    writer = store.open_checkpoint_writer("m", "run-1", 1, 3)
    writer.finish()
    with pytest.raises(ValueError, match="finished"):
        writer.write(b"late")
    assert store.commit_model_checkpoint("m", "run-1", 3, {"step": 7}) == 2
    with store.open_model_checkpoint("m") as reader:
        assert reader.shard_count == 3 and reader.metadata["step"] == 7
        for index, shard in enumerate(shards):
            assert reader.read_range(*reader.shard(index)) == shard
        with pytest.raises(shoal_data.InvalidError):
            reader.shard(3)


def test_a_writer_that_fails_leaves_nothing(store):
    with pytest.raises(RuntimeError, match="no more"), store.open_checkpoint_writer("m", "run") as writer:
        writer.write(b"x" * 1000)
        raise RuntimeError("no more")
    with pytest.raises(shoal_data.NotFoundError):
        store.commit_model_checkpoint("m", "run", 1)
    store.abort_model_checkpoint("m", "run")
    assert store.list_model_checkpoints() == []
    with store.open_checkpoint_writer("m", "pickled") as writer:
        pickle.dump({"a": numpy.arange(10)}, writer, protocol=5)
    store.commit_model_checkpoint("m", "pickled")
    assert store.load_model_checkpoint("m").object()["a"][9] == 9


@pytest.mark.parametrize("name", ["", "..", "../../x", "/x", "a\0b", "x" * 65, None])
def test_ids_that_are_refused(store, name):
    for call in (lambda: store.save_model_checkpoint(name, b"x"), lambda: store.load_model_checkpoint(name),
                 lambda: store.delete_model_checkpoint(name)):
        with pytest.raises(shoal_data.InvalidError):
            call()


def test_bad_metadata_and_versions(store):
    for metadata in ([1], {"x": float("nan")}, {"x": object()}, b"{"):
        with pytest.raises(shoal_data.InvalidError):
            store.save_model_checkpoint("m", b"x", metadata)
    for version in (-1, 2**64, "1", True):
        with pytest.raises(shoal_data.InvalidError):
            store.load_model_checkpoint("m", version)
    assert store.list_model_checkpoints() == []


def test_a_changed_byte_is_found(tmp_path):
    with shoal_data.Store(str(tmp_path)) as store:
        store.save_model_checkpoint("m", bytes(100_000))
        files = [p for p in (tmp_path / "models").rglob("*") if p.is_file() and p.stat().st_size >= 100_000]
        for path in files:
            with open(path, "r+b") as file:
                file.seek(5000)
                file.write(b"!")
        with pytest.raises(shoal_data.ChecksumError):
            store.load_model_checkpoint("m")

"""The workers' data layer on a real NFS mount: the contract, killed writers, and two clients at once."""

import os

import pytest
from shoal_server import find_program

COUNT = 3


def unit_test(name):
    path = find_program("shoal").parent / "tests/unit/datastore" / name
    if not path.exists():
        pytest.skip(f"{path} is not built")
    return str(path)


def run_in(client, program, directory, **env):
    status, output, problems = client.call(
        "command.run", [program], env={"SHOAL_TEST_DIRECTORY": directory, **env}, timeout_s=270)
    assert status == 0, (output + problems)[-3000:]


@pytest.mark.parametrize("name", ["test_datastore_files", "test_datastore_files_upkeep"])
def test_the_contract_holds_on_a_mount(client, work, name):
    run_in(client, unit_test(name), work)


def test_killed_writers_on_a_mount_lose_nothing_acknowledged(client, work):
    run_in(client, unit_test("test_datastore_kill"), work, SHOAL_TEST_KILLS="40")


def test_two_clients_share_documents_checkpoints_and_bars(both):
    (one, path), (two, other_path) = both
    shoal = str(find_program("shoal"))
    one.call("data_layer.data", shoal, f"{path}/store", "init")
    with one.session() as first, two.session() as second:
        first.start("data_layer.save_all", shoal, f"{path}/store", "one", COUNT, "/tmp/data-layer-one")
        second.start("data_layer.save_all", shoal, f"{other_path}/store", "two", COUNT, "/tmp/data-layer-two")
        saved = sorted(first.result() + second.result())
    assert len(set(saved)) == 2 * COUNT, "no id was given twice"
    for client, at in ((one, path), (two, other_path)):
        ids, versions, times = client.call("data_layer.look", shoal, f"{at}/store", f"/tmp/data-layer-{os.getpid()}")
        assert sorted(ids) == saved
        assert [version for version, _, _ in versions] == list(range(2 * COUNT, 0, -1))
        assert sorted((owner, number) for _, owner, number in versions) == sorted(
            (owner, number) for owner in ("one", "two") for number in range(COUNT))
        assert times == list(range(10 * COUNT))

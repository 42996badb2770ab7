"""SQLite keeps its promises on a mount, with several writers and killed ones."""

import pytest


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_concurrent_writers_lose_nothing(client, work, mode):
    client.call("databases.concurrent_writers", work, mode, writers=4, count=25)


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_killed_writer_leaves_a_whole_database(client, work, mode):
    client.call("databases.killed_writer", work, mode)


def test_two_clients_write_one_database(both):
    (one, path), (two, other_path) = both
    one.call("databases.make_bank", f"{path}/bank.db", "DELETE")
    with one.session() as first, two.session() as second:
        first.start("databases.transfer", f"{path}/bank.db", 1, 20)
        second.start("databases.transfer", f"{other_path}/bank.db", 2, 20)
        first.result()
        second.result()
    two.call("databases.check_bank", f"{other_path}/bank.db", 40)
    one.call("databases.check_bank", f"{path}/bank.db", 40)

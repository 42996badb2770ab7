"""Delegations with real kernel clients: fewer requests, recalls that lose nothing, locks handed over, a crash."""

import collections

import pytest

import shoal_server

Export = collections.namedtuple("Export", "address port path")
DIRECTORIES, FILES = 8, 25
STRICT = [{"Key": "shoal:profile", "Value": "strict"}]


def requests_of(client, mount, function, *arguments):
    """What a step costs: {operation: requests}."""
    before = client.call("delegations.request_counts", mount)
    client.call(function, *arguments)
    after = client.call("delegations.request_counts", mount)
    return collections.Counter({name: after[name] - before.get(name, 0) for name in after})


def reread(client, other_client, server, name, **arguments):
    """Requests of the first and of the third reading of a source tree that another client made. (At the second one
    Linux asks once for the attributes of each file, as it does after every delegation that it gets.)"""
    export = Export(server.create_file_system(**arguments)[1], server.nfs_port, "/")
    with other_client.mounted(export, f"{name}-made") as mount:
        other_client.call("delegations.make_tree", mount, DIRECTORIES, FILES)
    with client.mounted(export, name, options="actimeo=1") as mount:
        first = requests_of(client, mount, "delegations.read_tree", mount)
        second = requests_of(client, mount, "delegations.read_tree", mount)
        print(name, dict(+first), dict(+second))
        return first, requests_of(client, mount, "delegations.read_tree", mount)


def test_a_source_tree_is_read_again_with_few_requests(client, other_client, server):
    files = DIRECTORIES * FILES
    first, again = reread(client, other_client, server, "tree")
    _, plain_again = reread(client, other_client, server, "tree-strict", Tags=STRICT)
    print("with delegations:", dict(+again), "without:", dict(+plain_again))
    opens, plain_opens = (counts["OPEN"] + counts["OPEN_NOATTR"] for counts in (again, plain_again))
    assert first["OPEN"] + first["OPEN_NOATTR"] >= files and plain_opens >= files
    assert opens <= files // 10
    assert again.total() <= plain_again.total() // 5


def test_what_another_client_changes_is_seen_through_a_delegation(both):
    (one, path), (two, other_path) = both
    for number in range(10):
        text = b"%d" % number * 1000
        two.call("sharing.write_file", f"{other_path}/file", text)
        assert one.call("sharing.read_file", f"{path}/file") == text
        assert one.call("os.path.getsize", f"{path}/file") == 1000
    two.call("os.chmod", f"{other_path}/file", 0o600)
    two.call("os.rename", f"{other_path}/file", f"{other_path}/moved")
    assert one.call("sharing.read_file", f"{path}/moved") == text


def test_a_file_that_is_being_written_is_recalled_with_its_data(both):
    (one, path), (two, other_path) = both
    with one.session() as writer:
        fd = writer.call("delegations.write_slowly_open", f"{path}/log", b"first\n")
        assert two.call("sharing.read_file", f"{other_path}/log") in (b"", b"first\n")  # it is not closed yet
        writer.call("delegations.more", fd, b"second\n")
        assert two.call("sharing.read_file", f"{other_path}/log") == b"first\nsecond\n"
        writer.call("os.close", fd)
    assert two.call("sharing.read_file", f"{other_path}/log") == b"first\nsecond\n"


def test_times_that_a_program_set_are_seen_by_others_and_stay(both):
    (one, path), (two, other_path) = both
    one.call("delegations.set_times", f"{path}/file")
    seen = [one.call("delegations.times_and_sizes", f"{path}/file") for one, path in both * 2]
    assert seen[1] == seen[3]  # looking changed nothing
    assert seen[0] == seen[1]
    # What is written before the descriptor's times are set, and flushed after, is older than they are.
    assert seen[0][0] == (1_000_000_000, 0) and seen[0][2] == (1_000_000_002, 10_000)


def test_who_may_only_read_cannot_empty_a_file_by_a_delegation(both):
    (one, path), _ = both
    one.call("delegations.truncating_needs_the_right_to_write", f"{path}/file")


def test_a_waiting_client_gets_a_lock_without_asking_again_and_again(both):
    (one, path), (two, other_path) = both
    mount = other_path.rsplit("/", 1)[0]
    with one.session() as holder, two.session() as waiter:
        held = holder.call("sharing.open_file", f"{path}/lock")
        assert holder.call("sharing.lock_range", held, True, 0, 10)
        wanted = waiter.call("sharing.open_file", f"{other_path}/lock")
        before = two.call("delegations.request_counts", mount)
        waiter.start("sharing.lock_range", wanted, True, 0, 10, is_waiting=True)
        holder.call("time.sleep", 5)  # a client that only polls asks after 1, 3 and 7 s
        asked = two.call("delegations.request_counts", mount)["LOCK"] - before["LOCK"]
        holder.call("sharing.unlock_range", held, 0, 10)
        assert waiter.result()
        all_asked = two.call("delegations.request_counts", mount)["LOCK"] - before["LOCK"]
        assert (asked, all_asked) == (1, 2)


@pytest.fixture
def own_server(tmp_path):
    with shoal_server.Server(tmp_path / "shoal", ["--set", "nfs.lease=10"]) as running:
        yield running


def test_delegations_survive_a_crash_of_the_server(client, other_client, own_server):
    export = Export(own_server.create_file_system()[1], own_server.nfs_port, "/")
    with client.mounted(export, "crashed") as mount, client.session() as session:
        files = [session.call("delegations.write_slowly_open", f"{mount}/{n}", b"before\n") for n in range(20)]
        for fd in files:
            session.call("delegations.more", fd, b"synced\n")
        own_server.kill9()
        own_server.start()
        for fd in files:
            session.call("delegations.more", fd, b"after\n")
        with other_client.mounted(export, "crashed") as other:
            for number in range(20):
                content = other_client.call("sharing.read_file", f"{other}/{number}")
                assert content == b"before\nsynced\nafter\n"
        for fd in files:
            session.call("os.close", fd)

"""Two kernel clients on the same files: close-to-open, exclusive creation, locks, moves."""

import os

import pytest


def test_what_one_closed_the_other_sees_at_open(both):
    (one, path), (two, other_path) = both
    for number, size in enumerate((1, 5000, 3, 200_000, 0, 70_000)):
        content = bytes([number + 65]) * size
        writer, at = ((one, path), (two, other_path))[number % 2]
        reader, seen_at = ((two, other_path), (one, path))[number % 2]
        writer.call("sharing.write_file", f"{at}/file", content)
        assert reader.call("sharing.read_file", f"{seen_at}/file") == content
        assert reader.call("os.path.getsize", f"{seen_at}/file") == size


def test_appends_in_turn_are_all_kept(both):
    for number in range(20):
        client, path = both[number % 2]
        client.call("sharing.append_and_close", f"{path}/log", b"%d\n" % number)
    client, path = both[0]
    expected = b"".join(b"%d\n" % number for number in range(20))
    assert client.call("sharing.read_file", f"{path}/log") == expected


def test_names_made_by_one_are_seen_by_the_other(both):
    """A new name, a removed one and a moved one, with the attribute caches that mounts have."""
    (one, path), (two, other_path) = both
    assert two.call("os.listdir", other_path) == []
    one.call("sharing.write_file", f"{path}/a", b"x")
    two.call("sharing.wait_for_name", other_path, "a", limit_s=65)
    two.call("os.rename", f"{other_path}/a", f"{other_path}/b")
    one.call("sharing.wait_for_name", path, "b", limit_s=65)
    assert one.call("os.listdir", path) == ["b"]
    one.call("os.unlink", f"{path}/b")
    with pytest.raises(FileNotFoundError):
        two.call("os.unlink", f"{other_path}/b")


@pytest.mark.parametrize("function", ["create_exclusively", "make_directories"])
def test_each_name_has_one_creator(both, function):
    (one, path), (two, other_path) = both
    arguments = {"count": 300, **({"owner": "one"} if function == "create_exclusively" else {})}
    with one.session() as first, two.session() as second:
        first.start(f"sharing.{function}", path, **arguments)
        second.start(f"sharing.{function}", other_path, **{**arguments, **(
            {"owner": "two"} if "owner" in arguments else {})})
        won = [first.result(), second.result()]
    assert sorted(won[0] + won[1]) == list(range(300)), "every name was won by exactly one"
    if function == "create_exclusively":
        for owner, numbers in zip(("one", "two"), won):
            for number in numbers[:20]:
                content = one.call("sharing.read_file", f"{path}/lock-{number}")
                assert content == owner.encode()


def test_flock_excludes_the_other_client(both):
    (one, path), (two, other_path) = both
    with one.session() as first, two.session() as second:
        fd = first.call("sharing.open_file", f"{path}/f")
        other_fd = second.call("sharing.open_file", f"{other_path}/f")
        assert first.call("sharing.flock", fd, True)
        assert not second.call("sharing.flock", other_fd, True)
        assert not second.call("sharing.flock", other_fd, False)
        first.call("os.close", fd)
        assert second.call("sharing.flock", other_fd, False)
        fd = first.call("sharing.open_file", f"{path}/f")
        assert first.call("sharing.flock", fd, False), "shared locks go together"
        assert not first.call("sharing.flock", fd, True)


def test_byte_ranges_are_locked_between_clients(both):
    (one, path), (two, other_path) = both
    with one.session() as first, two.session() as second:
        fd = first.call("sharing.open_file", f"{path}/f")
        other_fd = second.call("sharing.open_file", f"{other_path}/f")
        assert first.call("sharing.lock_range", fd, True, 100, 50)
        assert first.call("sharing.lock_range", fd, False, 1000, 0)
        assert second.call("sharing.lock_range", other_fd, True, 0, 100)
        assert second.call("sharing.lock_range", other_fd, True, 150, 10)
        assert not second.call("sharing.lock_range", other_fd, False, 149, 1)
        assert second.call("sharing.lock_range", other_fd, False, 1 << 40, 5)
        assert not second.call("sharing.lock_range", other_fd, True, 1 << 40, 5)
        assert second.call("sharing.conflicting_lock", other_fd, True, 90, 20) == ("write", 100, 50)
        assert second.call("sharing.conflicting_lock", other_fd, False, 5000, 1) is None
        assert second.call("sharing.conflicting_lock", other_fd, True, 5000, 1)[0] == "read"
        first.call("sharing.unlock_range", fd, 110, 10)  # splits the lock in two
        assert second.call("sharing.lock_range", other_fd, True, 110, 10)
        assert not second.call("sharing.lock_range", other_fd, True, 109, 1)
        assert not second.call("sharing.lock_range", other_fd, True, 120, 1)
        first.close()  # the process ends: its locks go
        second.start("sharing.lock_range", other_fd, True, 0, 0, is_waiting=True)
        assert second.result(timeout_s=90)


def test_a_waiting_lock_is_granted_after_the_unlock(both):
    (one, path), (two, other_path) = both
    with one.session() as first, two.session() as second:
        fd = first.call("sharing.open_file", f"{path}/f")
        other_fd = second.call("sharing.open_file", f"{other_path}/f")
        assert first.call("sharing.lock_range", fd, True, 0, 10)
        second.start("sharing.lock_range", other_fd, True, 5, 10, is_waiting=True)
        assert not second.is_done(timeout_s=1.5), "granted although another has it"
        first.call("sharing.unlock_range", fd, 0, 10)
        assert second.result(timeout_s=60)


@pytest.mark.parametrize("use_flock", [True, False], ids=["flock", "fcntl"])
def test_a_counter_under_a_lock_loses_no_increment(both, use_flock):
    (one, path), (two, other_path) = both
    one.call("sharing.write_file", f"{path}/counter", b"")
    with one.session() as first, two.session() as second, one.session() as third:
        first.start("sharing.count_under_lock", f"{path}/counter", 40, use_flock)
        second.start("sharing.count_under_lock", f"{other_path}/counter", 40, use_flock)
        third.start("sharing.count_under_lock", f"{path}/counter", 40, use_flock)
        for session in (first, second, third):
            session.result()
    assert int(two.call("sharing.read_file", f"{other_path}/counter")) == 120


def test_a_log_appended_under_a_lock_by_two_machines_is_whole(both):
    (one, path), (two, other_path) = both
    with one.session() as first, two.session() as second:
        first.start("sharing.append_under_lock", f"{path}/log", "one", 60)
        second.start("sharing.append_under_lock", f"{other_path}/log", "two", 60)
        first.result()
        second.result()
    lines = one.call("sharing.read_file", f"{path}/log").decode().splitlines()
    for owner in ("one", "two"):
        assert [line for line in lines if line.startswith(owner)] == [
            f"{owner} {number}" for number in range(60)]


def test_renamed_files_arrive_complete(both):
    """A queue of files, as maildir and spoolers have it: each arrives once and whole."""
    (one, path), (two, other_path) = both
    with one.session() as sender, two.session() as receiver:
        sender.start("sharing.mail", path, 100, "one")
        receiver.start("sharing.take_mail", other_path, 100)
        sender.result()
        assert sorted(receiver.result()) == [("one", number) for number in range(100)]
    assert one.call("os.listdir", path) == []


def test_a_file_removed_by_the_other_client_stays_readable_or_is_stale(both):
    """NFS gives no more than that: old content, or ESTALE; never other content."""
    (one, path), (two, other_path) = both
    one.call("sharing.write_file", f"{path}/f", b"content")
    with two.session() as second:
        fd = second.call("sharing.open_file", f"{other_path}/f", os.O_RDONLY)
        one.call("os.unlink", f"{path}/f")
        one.call("sharing.write_file", f"{path}/f", b"another")
        second.call("names.drop_caches")
        try:
            assert second.call("os.pread", fd, 100, 0) == b"content"
        except OSError as error:
            assert error.errno == 116, error

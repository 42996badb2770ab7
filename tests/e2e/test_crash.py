"""kill -9 of the daemon under load, and a full disk: clients carry on, nothing acknowledged is missing."""

import collections
import errno
import subprocess
import time

import pytest

import shoal_server

Export = collections.namedtuple("Export", "address port path")
KILLS = 3


@pytest.fixture
def own_server(tmp_path):
    """With a short lease: a 4.0 client cannot say that it has reclaimed all, so grace lasts as long."""
    with shoal_server.Server(tmp_path / "shoal", ["--set", "nfs.lease=10"]) as running:
        yield running


@pytest.fixture
def own_export(own_server):
    return Export(own_server.create_file_system()[1], own_server.nfs_port, "/")


def kill_and_restart(server, times, pause_s):
    for _ in range(times):
        time.sleep(pause_s)
        server.kill9()
        server.start()


def test_nothing_acknowledged_is_missing_after_kills(client, own_server, own_export, tmp_path):
    """Names are created, renamed and removed; fsync'ed data goes with them; the daemon dies three times."""
    with client.mounted(own_export, "crash") as mount:
        sessions = [client.session() for _ in range(3)]
        for worker, session in enumerate(sessions):
            client.call("os.mkdir", f"{mount}/{worker}")
            session.start("crash.change_names", f"{mount}/{worker}", str(tmp_path / f"log-{worker}"),
                          seconds=18, worker=worker)
        kill_and_restart(own_server, KILLS, pause_s=3)
        for session in sessions:
            assert session.result() > 20
            session.close()
        client.call("names.drop_caches")
        for worker in range(3):
            client.call("crash.check_names", f"{mount}/{worker}", str(tmp_path / f"log-{worker}"))
    own_server.kill9()
    own_server.start()
    with client.mounted(own_export, "crash-again") as mount:
        for worker in range(3):
            assert client.call("crash.check_names", f"{mount}/{worker}",
                               str(tmp_path / f"log-{worker}")) > 20


def test_synced_blocks_keep_their_content_after_kills(client, own_server, own_export):
    """Overwrites of 4 KiB and of 100 kB blocks, with fsync, and fio verifying a load without any."""
    with client.mounted(own_export, "blocks", options="nconnect=2") as mount:
        sizes = (4096, 100_000)
        sessions = [client.session() for _ in sizes]
        for size, session in zip(sizes, sessions):
            session.start("crash.overwrite_blocks", f"{mount}/blocks-{size}", 15, size, 100)
        with client.session() as fio:
            fio.start("command.run", [
                "fio", "--name=unsynced", f"--directory={mount}", "--ioengine=psync", "--rw=randwrite",
                "--bs=8k", "--size=24m", "--verify=crc32c", "--verify_fatal=1", "--do_verify=1",
                "--rate_iops=200"])
            kill_and_restart(own_server, KILLS, pause_s=2)
            results = [session.result() for session in sessions]
            status, out, err = fio.result()
        assert status == 0, out + err
        client.call("names.drop_caches")
        for size, session, (rounds, counters) in zip(sizes, sessions, results):
            assert rounds > 5
            session.call("crash.check_blocks", f"{mount}/blocks-{size}", counters, size)
            session.close()


def test_sqlite_of_two_clients_goes_on_through_kills(clients, own_server, own_export):
    """Its locks are reclaimed and its syncs kept: no transaction fails, none is lost or half done.

    The journal is truncated and not deleted: a REMOVE that was done but not answered when the server died is sent
    again by the client, which then hears NOENT, and SQLite takes that for an error (docs/compat.md)."""
    one, two = clients
    with one.mounted(own_export, "bank") as mount, two.mounted(own_export, "bank") as other_mount, \
            one.session() as first, two.session() as second:
        one.call("databases.make_bank", f"{mount}/bank.db", "DELETE")
        first.start("databases.transfer", f"{mount}/bank.db", 1, 80, "TRUNCATE")
        second.start("databases.transfer", f"{other_mount}/bank.db", 2, 80, "TRUNCATE")
        kill_and_restart(own_server, KILLS, pause_s=1)
        first.result()
        second.result()
        two.call("databases.check_bank", f"{other_mount}/bank.db", 160)


@pytest.mark.parametrize("version", ["4.0", "4.1"])
def test_locks_and_open_files_survive_a_kill(clients, own_server, own_export, version):
    """The holder reclaims its lock after the restart; the other client cannot get between."""
    one, two = clients
    with one.mounted(own_export, "locks", version=version) as mount, \
            two.mounted(own_export, "locks", version=version) as other_mount, \
            one.session() as holder, two.session() as asker:
        fd = holder.call("sharing.open_file", f"{mount}/f")
        assert holder.call("sharing.lock_range", fd, True, 0, 100)
        assert holder.call("os.write", fd, b"first") == 5
        own_server.kill9()
        own_server.start()
        other_fd = asker.call("sharing.open_file", f"{other_mount}/f")
        assert not asker.call("sharing.lock_range", other_fd, True, 0, 1), "taken during the restart"
        assert holder.call("os.write", fd, b" second") == 7
        holder.call("os.fsync", fd)
        assert not asker.call("sharing.lock_range", other_fd, True, 0, 1)
        holder.call("sharing.unlock_range", fd, 0, 100)
        assert asker.call("sharing.lock_range", other_fd, True, 0, 1)
        holder.call("os.close", fd)
        asker.call("names.drop_caches")
        assert asker.call("sharing.read_file", f"{other_mount}/f") == b"first second"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 MiB of its own for a data directory."""
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", mount], check=True)
    yield mount
    subprocess.run(["umount", mount], check=True)


def test_a_full_disk_is_an_error_that_deleting_ends(client, small_disk):
    options = ["--set", "engine.reserve=16MiB"]
    with shoal_server.Server(small_disk, options) as server:
        export = Export(server.create_file_system()[1], server.nfs_port, "/")
        with client.mounted(export, "full") as mount:
            client.call("sharing.write_file", f"{mount}/kept", b"written before")
            client.call("os.mkdir", f"{mount}/fill")
            fitted, error = client.call("crash.fill", f"{mount}/fill", 600 << 20)
            assert error == errno.ENOSPC
            assert fitted > 100 << 20
            client.call("names.drop_caches")
            assert client.call("sharing.read_file", f"{mount}/kept") == b"written before"
            server.restart()
            client.call("crash.remove_all", f"{mount}/fill")
            shoal_server.wait_until(
                lambda: can_write(client, f"{mount}/again"), 30, "space is free after deleting")
            assert client.call("sharing.read_file", f"{mount}/again") == b"x" * (4 << 20)
            assert client.call("sharing.read_file", f"{mount}/kept") == b"written before"


def can_write(client, path):
    try:
        client.call("sharing.write_file", path, b"x" * (4 << 20))
    except OSError as error:
        assert error.errno == errno.ENOSPC
        return False
    return True

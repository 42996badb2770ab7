"""Limits on everything a client can ask for: each is reached, refused with its status, hurts nobody else, and is good
again when something is given back. Small ones here; the defaults are those of EFS (quotas of NFS clients)."""

import subprocess

import nfs4
import nfs40
import nfs4_back
from nfs4 import (CURRENT, READ_LT, UNCHECKED, WRITE_LT, close, create_session, destroy_session, exchange_id, free_stateid, lock,
                  locku, open_, putfh)
from nfs_place import Directory, mount_target, new_directory
import pytest
import shoal_server

LIMITS = {"opens_max": 32, "owners_max": 16, "locks_max": 20, "file_locks_max": 30, "sessions_max": 3, "slots_max": 4,
          "client_delegations_max": 2}
EFS = {"opens_max": 65536, "owners_max": 65536, "locks_max": 65536}


def options(limits):
    return [word for name, value in limits.items() for word in ("--set", f"nfs.{name}={value}")]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    directory = tmp_path_factory.mktemp("limits")
    with shoal_server.Server(directory / "shoal", options=options(LIMITS)) as running:
        yield running


def test_the_defaults_are_those_of_efs():
    printed = subprocess.run([shoal_server.find_program("shoald"), "--print-config"], check=True, capture_output=True,
                             text=True).stdout
    for name, value in EFS.items():
        assert f"{name} = {value}\n" in printed


def test_open_files_of_a_client(session, directory, connect):
    opened = [directory.open(b"%d" % i) for i in range(LIMITS["opens_max"])]
    more = open_(b"more", how=UNCHECKED)
    assert directory.run(more).last.status == "DQUOT"
    directory.run(open_(b"0")).ok()  # which it has open
    other = connect()
    stateid = other.run(putfh(directory.fh), more).ok().last.stateid
    session.run(putfh(opened[1][0]), close(opened[1][1])).ok()
    directory.run(more).ok()
    assert directory.run(open_(b"1")).last.status == "DQUOT"
    other.run(putfh(directory.fh_of(b"more")), close(stateid)).ok()


def test_open_files_of_a_client_of_4_0(address, directory, conn):
    client = nfs40.Client40(conn)
    for i in range(LIMITS["opens_max"]):
        reply = client.open(directory.fh, open_(b"%d" % i, how=UNCHECKED, clientid=client.clientid)).ok()
    more = open_(b"more", how=UNCHECKED, clientid=client.clientid)
    assert client.open(directory.fh, more).last.status == "DQUOT"
    client.close(reply.last.fh, reply.of("OPEN").stateid).ok()
    client.open(directory.fh, more).ok()  # the owner's numbers went on


def test_owners_of_a_client(session, directory, connect):
    fh, stateid = directory.open(b"f", owner=b"0")
    for i in range(1, LIMITS["owners_max"] - 1):
        directory.open(b"f", owner=b"%d" % i)
    held = session.run(putfh(fh), lock(READ_LT, 0, 1, stateid, owner=b"locker")).ok().last.stateid
    assert directory.run(open_(b"f", owner=b"another")).last.status == "DQUOT"
    assert session.run(putfh(fh), lock(READ_LT, 9, 1, stateid, owner=b"another")).last.status == "DQUOT"
    held = session.run(putfh(fh), lock(READ_LT, 9, 1, stateid, owner=b"locker")).ok().last.stateid
    connect().run(putfh(directory.fh), open_(b"f", owner=b"another")).ok()
    session.run(putfh(fh), locku(held, 0, 10), free_stateid(CURRENT)).ok()
    directory.run(open_(b"f", owner=b"another")).ok()


def test_locks_of_a_client(session, directory, connect):
    """EFS: "Disk quota exceeded"."""
    fh, stateid = directory.open(b"f")
    held = session.run(putfh(fh), lock(WRITE_LT, 0, 1, stateid)).ok().last.stateid
    for i in range(1, LIMITS["locks_max"]):
        held = session.run(putfh(fh), lock(WRITE_LT, 2 * i, 1, lock_stateid=held)).ok().last.stateid
    assert session.run(putfh(fh), lock(WRITE_LT, 1000, 1, lock_stateid=held)).last.status == "DQUOT"
    other_fh, other_stateid = directory.open(b"g")
    assert session.run(putfh(other_fh), lock(WRITE_LT, 0, 1, other_stateid)).last.status == "DQUOT"
    other = connect()
    theirs = Directory(other, directory.fh).open(b"f")[1]
    other.run(putfh(fh), lock(WRITE_LT, 1000, 1, theirs)).ok()
    session.run(putfh(fh), locku(held, 0, 1)).ok()
    session.run(putfh(other_fh), lock(WRITE_LT, 0, 1, other_stateid)).ok()


def test_locks_of_a_file(session, directory, connect):
    fh, stateid = directory.open(b"f")
    other = connect()
    theirs = Directory(other, directory.fh).open(b"f")[1]
    count = LIMITS["file_locks_max"] // 2
    for holder, by, base in ((session, stateid, 0), (other, theirs, 1000)):
        held = holder.run(putfh(fh), lock(WRITE_LT, base, 1, by)).ok().last.stateid
        for i in range(1, count):
            held = holder.run(putfh(fh), lock(WRITE_LT, base + 2 * i, 1, lock_stateid=held)).ok().last.stateid
    denied = session.run(putfh(fh), lock(WRITE_LT, 5000, 1, stateid, owner=b"third")).last
    assert denied.status == "DENIED" and denied.owner == b"locker"
    other.run(putfh(fh), locku(held, 1000, 1)).ok()
    session.run(putfh(fh), lock(WRITE_LT, 5000, 1, stateid, owner=b"third")).ok()


def test_sessions_of_a_client_and_their_slots(address):
    client = nfs4.Client(nfs4.Conn(address))
    sessions = [client.session() for _ in range(LIMITS["sessions_max"])]
    assert sessions[0].created.fore.slots == LIMITS["slots_max"]
    more = create_session(client.clientid, client.sequenceid)
    assert client.conn.compound(more).status == "NOSPC"
    client.conn.compound(destroy_session(sessions[0].id)).ok()
    client.conn.compound(more).ok()
    client.conn.close()


def test_delegations_of_a_client(address):
    session = nfs4_back.connect(address)
    directory = new_directory(session)
    given = []
    for i in range(LIMITS["client_delegations_max"] + 1):
        opened = directory.run(open_(b"%d" % i, how=UNCHECKED)).ok()
        given.append(opened.of("OPEN").delegation in (nfs4_back.READ, nfs4_back.WRITE))
    assert given == [True] * LIMITS["client_delegations_max"] + [False]
    session.conn.close()


def test_clients_of_a_server(tmp_path):
    with shoal_server.Server(tmp_path / "shoal", options=options({"clients_max": 3})) as running:
        address = mount_target(running)
        sessions = [nfs4.connect(address) for _ in range(3)]
        with nfs4.Conn(address) as conn:
            asking = exchange_id(b"one more", b"verifier")
            assert conn.compound(asking).status == "DELAY"
            assert conn.compound(nfs40.setclientid(b"one more", b"verifier"), minor=0).status == "DELAY"
            sessions.pop().destroy()
            conn.compound(asking).ok()
        for session in sessions:
            session.run(nfs4.putrootfh()).ok()  # nothing happened to them
            session.conn.close()


def test_memory_for_what_all_clients_hold(tmp_path):
    with shoal_server.Server(tmp_path / "shoal", options=options({"state_memory": 65536})) as running:
        address = mount_target(running)
        greedy, other = nfs4.connect(address), nfs4.connect(address)
        directory = new_directory(greedy)
        stateids, status = [], "OK"
        while status == "OK":
            last = directory.run(open_(b"f", how=UNCHECKED, owner=b"%d" % len(stateids))).last
            status = last.status
            if status == "OK":
                stateids.append(last.stateid)
        assert status == "DELAY" and 20 < len(stateids) < 1000
        assert other.run(putfh(directory.fh), open_(b"f")).status == "DELAY"
        fh = directory.fh_of(b"f")
        for stateid in stateids[:4]:
            greedy.run(putfh(fh), close(stateid)).ok()
        other.run(putfh(directory.fh), open_(b"f")).ok()
        for session in (greedy, other):
            session.conn.close()


def count_ok(reply, name):
    return sum(result.op == name and result.status == "OK" for result in reply.results)


def test_a_client_reaches_the_numbers_of_efs(tmp_path):
    """65,536 locks, 512 of each file, and 65,536 opens; then "Disk quota exceeded"."""
    with shoal_server.Server(tmp_path / "shoal", options=options({"profile": "strict"})) as running:
        address = mount_target(running)
        session, other = nfs4.connect(address), nfs4.connect(address)
        directory = new_directory(session)
        locks, opens, status, batch = 0, 0, "OK", 32
        while status == "OK":
            if locks % 512 == 0:
                fh, stateid = directory.open(b"%d" % locks)
            at = locks % 512
            more = [lock(WRITE_LT, 2 * (at + i), 1, lock_stateid=CURRENT) for i in range(1, batch)]
            reply = session.run(putfh(fh), lock(WRITE_LT, 2 * at, 1, stateid), *more)
            status, locks = reply.status, locks + count_ok(reply, "LOCK")
        assert (status, locks) == ("DQUOT", EFS["locks_max"])
        status = "OK"
        while status == "OK":
            asked = (open_(b"0", owner=b"%d" % (opens + i)) for i in range(batch // 2))
            reply = other.run(*(part for opening in asked for part in (putfh(directory.fh), opening)))
            status, opens = reply.status, opens + count_ok(reply, "OPEN")
        assert (status, opens) == ("DQUOT", EFS["opens_max"])
        for each in (session, other):
            each.conn.close()

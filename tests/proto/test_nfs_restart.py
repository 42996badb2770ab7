"""What survives kill -9: handles, acknowledged changes, the right to reclaim; what must change: the write verifier,
clientids and sessions; and leases that end. RFC 8881 sections 8.4, 18.3 and 18.51."""

import time

import nfs4
from nfs4 import (CLAIM_PREVIOUS, SIZE, TO_END, UNSTABLE, WRITE_LT, close, commit, getattr_, getfh, lock, lookup, open_,
                  putfh, putrootfh, read, write)
from nfs_place import Directory, mount_target, new_directory
import pytest
import shoal_server

LEASE_S = 5


@pytest.fixture
def server(tmp_path):
    with shoal_server.Server(tmp_path / "shoal", options=["--set", f"nfs.lease={LEASE_S}"]) as running:
        yield running


@pytest.fixture
def address(server):
    return mount_target(server)


class Survivor:
    """A client that comes back after a crash of the server, as the same owner and verifier."""

    def __init__(self, address, name):
        self.address = address
        self.session = nfs4.connect(address, owner=name, verifier=b"verifier")
        self.name = name

    def come_back(self):
        """A new connection and session; RECLAIM_COMPLETE is still to be sent."""
        self.session.conn.close()
        self.session = nfs4.Client(nfs4.Conn(self.address), self.name, b"verifier").session()
        return self.session

    def reclaim(self, fh):
        return self.session.run(putfh(fh), open_(b"", claim=CLAIM_PREVIOUS))


def crash(server):
    server.kill9()
    server.start()


def test_the_old_session_and_clientid_are_unknown_after_a_restart(server, address):
    alice = Survivor(address, b"alice")
    old = alice.session
    crash(server)
    old.conn = nfs4.Conn(address)
    assert old.run(putrootfh()).status == "BADSESSION"
    stale = nfs4.create_session(old.client.clientid, old.client.sequenceid)
    assert old.conn.compound(stale).status == "STALE_CLIENTID"
    alice.come_back()


def test_acknowledged_changes_and_handles_survive_a_kill(server, address):
    alice = Survivor(address, b"alice")
    directory = new_directory(alice.session)
    handles = {}
    for i in range(30):
        name = b"file-%d" % i
        handles[name] = directory.make(name, b"content %d" % i)
    directory.run(nfs4.remove(b"file-0")).ok()
    directory.run(nfs4.savefh(), nfs4.rename(b"file-1", b"renamed")).ok()
    crash(server)
    session = alice.come_back()
    session.run(nfs4.reclaim_complete()).ok()
    found = Directory(session, directory.fh)
    assert sorted(found.names()) == sorted([b"renamed"] + [b"file-%d" % i for i in range(2, 30)])
    assert found.content(handles[b"file-7"]) == b"content 7"
    assert found.content(handles[b"file-1"]) == b"content 1"
    assert session.run(putfh(handles[b"file-0"]), getattr_(SIZE)).status == "STALE"


def test_the_write_verifier_tells_that_unstable_data_may_be_lost(server, address):
    alice = Survivor(address, b"alice")
    directory = new_directory(alice.session)
    fh, stateid = directory.open(b"f")
    first = alice.session.run(putfh(fh), write(stateid, 0, b"a" * 4096, UNSTABLE)).ok().last
    assert alice.session.run(putfh(fh), commit()).ok().last.verifier == first.verifier
    second = alice.session.run(putfh(fh), write(stateid, 4096, b"b" * 4096, UNSTABLE)).ok().last
    assert second.verifier == first.verifier
    crash(server)
    session = alice.come_back()
    after = session.run(putfh(fh), commit()).ok().last.verifier
    assert after != first.verifier
    found = session.run(putfh(fh), read(nfs4.ANONYMOUS, 0, 8192)).ok().last.data
    assert found[:4096] == b"a" * 4096  # what COMMIT has acknowledged
    assert found[4096:] in (b"", b"b" * len(found[4096:]), bytes(len(found[4096:])))


def test_an_exclusive_create_is_retried_over_a_restart(server, address):
    alice = Survivor(address, b"alice")
    directory = new_directory(alice.session)
    making = open_(b"f", how=nfs4.EXCLUSIVE_1, verifier=b"same one")
    fh = directory.run(making, getfh()).ok().last.fh
    crash(server)
    session = alice.come_back()
    session.run(nfs4.reclaim_complete()).ok()
    wait_for_grace_to_end(session)
    assert session.run(putfh(directory.fh), making, getfh()).ok().last.fh == fh


def wait_for_grace_to_end(session):
    deadline = time.monotonic() + 4 * LEASE_S
    while session.run(putrootfh(), open_(b"probe", how=nfs4.UNCHECKED)).status == "GRACE":
        assert time.monotonic() < deadline, "the grace period does not end"
        time.sleep(0.2)


def test_a_restart_without_open_files_has_no_grace_period(server, address):
    server.restart()
    session = nfs4.connect(address)
    assert session.run(putrootfh(), open_(b"at once", how=nfs4.UNCHECKED)).status == "OK"


def test_grace_ends_as_soon_as_everyone_has_reclaimed(server, address):
    alice, bob = Survivor(address, b"alice"), Survivor(address, b"bob")
    directory = new_directory(alice.session)
    fh_a, _ = directory.open(b"a")
    fh_b, _ = directory.open(b"b", session=bob.session)
    crash(server)
    newcomer = nfs4.connect(address)
    start = time.monotonic()
    assert newcomer.run(putfh(directory.fh), open_(b"a")).status == "GRACE"
    assert newcomer.run(putfh(fh_a), open_(b"", claim=CLAIM_PREVIOUS)).status in ("NO_GRACE", "RECLAIM_BAD")
    alice.come_back()
    reclaimed = alice.reclaim(fh_a).ok().last.stateid
    locking = lock(WRITE_LT, 0, TO_END, reclaimed, reclaim=True)
    alice.session.run(putfh(fh_a), locking).ok()
    alice.session.run(putfh(fh_a), write(reclaimed, 0, b"in grace")).ok()
    alice.session.run(nfs4.reclaim_complete()).ok()
    assert alice.reclaim(fh_a).status == "NO_GRACE"
    assert newcomer.run(putfh(directory.fh), open_(b"a")).status == "GRACE"  # bob is still away
    bob.come_back()
    bob.reclaim(fh_b).ok()
    bob.session.run(nfs4.reclaim_complete()).ok()
    opened = newcomer.run(putfh(directory.fh), open_(b"a")).ok().last.stateid
    assert time.monotonic() - start < LEASE_S
    assert newcomer.run(putfh(fh_a), lock(WRITE_LT, 0, 1, opened)).status == "DENIED"


def test_grace_ends_by_time_for_those_who_stay_away(server, address):
    alice, bob = Survivor(address, b"alice"), Survivor(address, b"bob")
    directory = new_directory(alice.session)
    directory.open(b"a")
    fh_b, _ = directory.open(b"b", session=bob.session)
    crash(server)
    session = nfs4.connect(address)
    wait_for_grace_to_end(session)
    bob.come_back()
    assert bob.reclaim(fh_b).status == "NO_GRACE"


def test_a_second_crash_in_grace_keeps_the_right_to_reclaim(server, address):
    alice, bob = Survivor(address, b"alice"), Survivor(address, b"bob")
    directory = new_directory(alice.session)
    fh_a, _ = directory.open(b"a")
    fh_b, _ = directory.open(b"b", session=bob.session)
    crash(server)
    alice.come_back()
    alice.reclaim(fh_a).ok()
    crash(server)
    for client, fh in ((alice, fh_a), (bob, fh_b)):
        client.come_back()
        client.reclaim(fh).ok()
        client.session.run(nfs4.reclaim_complete()).ok()
    assert nfs4.connect(address).run(putfh(directory.fh), open_(b"a")).status == "OK"


def test_a_reclaimed_open_is_as_good_as_the_mode_is_then(server, address):
    """A reclaim is granted whatever the mode is; that alone gives its user nothing."""
    alice, user = Survivor(address, b"alice"), nfs4.auth_sys(1000, 1000)
    directory = new_directory(alice.session)
    handles = [directory.make(b"%d" % i, b"data", {nfs4.MODE: 0o644}) for i in range(2)]
    for i in range(2):
        directory.run(open_(b"%d" % i, share=nfs4.ACCESS_READ), cred=user).ok()
    alice.session.run(putfh(handles[0]), nfs4.setattr_({nfs4.MODE: 0o600})).ok()
    crash(server)
    session = alice.come_back()
    again = open_(b"", share=nfs4.ACCESS_READ, claim=CLAIM_PREVIOUS)
    stateids = [session.run(putfh(fh), again, cred=user).ok().last.stateid for fh in handles]
    session.run(nfs4.reclaim_complete()).ok()
    session.run(putfh(handles[1]), nfs4.setattr_({nfs4.MODE: 0o600})).ok()
    found = [session.run(putfh(fh), read(by, 0, 4), cred=user).status for fh, by in zip(handles, stateids)]
    assert found == ["ACCESS", "OK"]


def test_a_silent_client_keeps_its_state_until_someone_wants_it(server, address):
    alice, bob = Survivor(address, b"alice"), Survivor(address, b"bob")
    directory = new_directory(alice.session)
    fh, stateid = directory.open(b"f", deny=nfs4.DENY_WRITE)
    asking = (putfh(directory.fh), open_(b"f", share=nfs4.ACCESS_WRITE))
    assert bob.session.run(*asking).status == "SHARE_DENIED"
    for _ in range(4):
        time.sleep(LEASE_S / 3)
        bob.session.run().ok()  # renews its lease
    alice.session.run(putfh(fh), read(stateid, 0, 1)).ok()  # courtesy: it has it still
    assert bob.session.run(*asking).status == "SHARE_DENIED"
    for _ in range(4):
        time.sleep(LEASE_S / 3)
        bob.session.run().ok()
    assert bob.session.run(*asking).status == "OK"
    assert alice.session.run(putfh(fh), close(stateid)).status == "BADSESSION"


def test_a_client_that_lost_its_lease_cannot_reclaim_after_a_restart(server, address):
    alice, bob = Survivor(address, b"alice"), Survivor(address, b"bob")
    directory = new_directory(alice.session)
    fh, _ = directory.open(b"f", deny=nfs4.DENY_BOTH)
    for _ in range(4):
        time.sleep(LEASE_S / 3)
        bob.session.run().ok()
    taken, _ = directory.open(b"f", session=bob.session, deny=nfs4.DENY_BOTH)
    assert taken == fh
    crash(server)
    alice.come_back()
    assert alice.reclaim(fh).status in ("RECLAIM_BAD", "NO_GRACE")
    bob.come_back()
    bob.reclaim(fh).ok()


def test_an_unconfirmed_client_is_forgotten_after_a_lease(server, address):
    client = nfs4.Client(nfs4.Conn(address))
    time.sleep(LEASE_S + 1.5)
    request = nfs4.create_session(client.clientid, client.sequenceid)
    assert client.conn.compound(request).status == "STALE_CLIENTID"


def test_a_name_looked_up_after_a_restart_leads_to_the_same_handle(server, address):
    alice = Survivor(address, b"alice")
    directory = new_directory(alice.session)
    fh = directory.make(b"f")
    server.restart()
    session = alice.come_back()
    assert session.run(putfh(directory.fh), lookup(b"f"), getfh()).ok().last.fh == fh

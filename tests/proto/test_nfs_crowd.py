"""A hundred clients with files open and locked, and writing, while the daemon is killed: every one of them finds its
session or clientid gone, reclaims what it had, and goes on. RFC 8881 section 8.4.2, RFC 7530 section 9.6.2.

The times are printed (pytest -s), not judged.
"""

import concurrent.futures
import struct
import threading
import time

import nfs4
import nfs40
from nfs4 import CLAIM_PREVIOUS, GUARDED, MODE, WRITE_LT, getfh, lock, open_, putfh, read, write
from nfs_place import mount_target, new_directory
import pytest
import shoal_server

LEASE_S = 5
CLIENT_COUNT = 100
RECORD = struct.Struct(">II")  # the client, and how many it wrote before
RECORD_COUNT_MIN = 300  # that all have written when the daemon is killed


@pytest.fixture
def server(tmp_path):
    with shoal_server.Server(tmp_path / "shoal", options=["--set", f"nfs.lease={LEASE_S}"]) as running:
        yield running


@pytest.fixture
def address(server):
    return mount_target(server)


class Member:
    """One client of the crowd: a file of its own, which it writes, and a range of a file that all have open."""

    def __init__(self, address, index):
        self.address = address
        self.index = index
        self.name = b"member-%d" % index
        self.verifier = b"verifier"
        self.acknowledged = 0
        self.statuses = set()  # that the server ever answered while it came back
        self.connect()

    def run(self, *ops):
        """Runs operations, which must succeed."""
        return self._seen(self.send(*ops)).ok()

    def _seen(self, reply):
        self.statuses.add(reply.status)
        return reply

    def open_both(self, directory, common):
        made = self.open(directory.fh, open_(self.name, how=GUARDED, values={MODE: 0o600}, clientid=self.clientid))
        self.fh, self.stateid = made.last.fh, made.of("OPEN").stateid
        self.common = common
        self.common_stateid = self.open(directory.fh, open_(b"common", clientid=self.clientid)).of("OPEN").stateid
        self.lock_both(reclaim=False)

    def lock_both(self, reclaim):
        self.lock(self.fh, 0, 100, self.stateid, reclaim)
        self.lock(self.common, self.index * 10, 10, self.common_stateid, reclaim)

    def reclaim(self):
        again = open_(b"", claim=CLAIM_PREVIOUS, clientid=self.clientid)
        self.stateid = self.open(self.fh, again).of("OPEN").stateid
        self.common_stateid = self.open(self.common, again).of("OPEN").stateid
        self.lock_both(reclaim=True)

    def write_one(self):
        record = RECORD.pack(self.index, self.acknowledged)
        self.run(putfh(self.fh), write(self.stateid, self.acknowledged * RECORD.size, record))
        self.acknowledged += 1

    def write_until_the_end(self):
        """A stream of stable writes, until the server dies."""
        while True:
            try:
                self.write_one()
            except (nfs4.ConnectionClosed, OSError):
                return

    def come_back(self):
        """A new connection, as soon as there is a server; it knows nothing of the client any more."""
        self.conn.close()
        while True:
            try:
                self.conn = nfs4.Conn(self.address)
                self.meet_again()
                return self
            except (nfs4.ConnectionClosed, OSError):
                time.sleep(0.02)

    def written(self):
        return self.run(putfh(self.fh), read(nfs4.ANONYMOUS, 0, 1 << 20)).last.data


class Member41(Member):
    def connect(self):
        self.conn = nfs4.Conn(self.address)
        self.session = nfs4.Client(self.conn, self.name, self.verifier).session().ready()
        self.clientid = 0  # of no meaning in requests of a session

    def send(self, *ops):
        return self.session.run(*ops)

    def open(self, fh, encoded):
        return self.run(putfh(fh), encoded, getfh())

    def lock(self, fh, offset, length, stateid, reclaim):
        self.run(putfh(fh), lock(WRITE_LT, offset, length, stateid, reclaim=reclaim))

    def meet_again(self):
        old = self.session
        old.conn = self.conn
        assert self._seen(old.run()).status == "BADSESSION"
        stale = nfs4.create_session(old.client.clientid, old.client.sequenceid)
        assert self._seen(self.conn.compound(stale)).status == "STALE_CLIENTID"
        self.session = nfs4.Client(self.conn, self.name, self.verifier).session()

    def complete(self):
        self.run(nfs4.reclaim_complete())


class Member40(Member):
    def connect(self):
        self.conn = nfs4.Conn(self.address)
        self.client = nfs40.Client40(self.conn, self.name, self.verifier)
        self.clientid = self.client.clientid

    def send(self, *ops):
        return self.client.run(*ops)

    def open(self, fh, encoded):
        return self._seen(self.client.open(fh, encoded)).ok()

    def lock(self, fh, offset, length, stateid, reclaim):
        self._seen(self.client.lock(fh, WRITE_LT, offset, length, stateid, reclaim=reclaim)).ok()

    def meet_again(self):
        self.client.conn = self.conn
        assert self._seen(self.send(nfs40.renew(self.clientid))).status == "STALE_CLIENTID"
        self.client.introduce()
        self.clientid = self.client.clientid

    def complete(self):
        """Version 4.0 has no word for it."""


class Crowd:
    """All of them, each in a thread of its own."""

    def __init__(self, server, address, count_40):
        self.server = server
        self.pool = concurrent.futures.ThreadPoolExecutor(CLIENT_COUNT)
        first = nfs4.connect(address)
        self.directory = new_directory(first)
        self.common = self.directory.make(b"common")
        first.destroy()
        first.conn.close()
        kinds = [Member40] * count_40 + [Member41] * (CLIENT_COUNT - count_40)
        self.members = self.all(lambda pair: pair[1](address, pair[0]), enumerate(kinds))
        self.all(lambda member: member.open_both(self.directory, self.common), self.members)

    def all(self, do, over):
        return list(self.pool.map(do, over))

    def write_and_crash(self):
        """Kills the daemon while all write; what each had been told is in `acknowledged`."""
        writing = [self.pool.submit(member.write_until_the_end) for member in self.members]
        while sum(member.acknowledged for member in self.members) < RECORD_COUNT_MIN:
            time.sleep(0.01)
        self.server.kill9()
        for future in writing:
            future.result()

    def restart_and_reclaim(self, members):
        """All of them come back at once, as the daemon starts; the times are since then."""
        start = time.monotonic()
        starting = threading.Thread(target=self.server.start)
        starting.start()

        def one(member):
            member.come_back().reclaim()
            reclaimed = time.monotonic() - start
            member.write_one()
            return reclaimed, time.monotonic() - start

        times = self.all(one, members)
        starting.join()
        print(f"\nsince the start of the daemon: first write {min(time for _, time in times):.2f} s, "
              f"{len(times)} clients have reclaimed {max(time for time, _ in times):.2f} s, "
              f"and have written {max(time for _, time in times):.2f} s")

    def check_written(self):
        """What was acknowledged is there; of the last one, which was not, all or nothing of it counts."""
        for member, data in zip(self.members, self.all(Member.written, self.members)):
            expected = b"".join(RECORD.pack(member.index, i) for i in range(member.acknowledged))
            assert data[:len(expected)] == expected, f"client {member.index} lost a write"
            assert len(data) <= len(expected) + 2 * RECORD.size  # two crashes

    def check_locks(self, session):
        """Each range that a member holds is refused to another client."""
        common = session.run(putfh(self.directory.fh), open_(b"common", owner=b"other")).ok().last.stateid
        for member in self.members:
            denied = session.run(putfh(self.common), lock(WRITE_LT, member.index * 10 + 9, 1, common))
            assert denied.status == "DENIED", f"the lock of client {member.index} is lost"
            assert denied.last.owner == b"locker" and denied.last.offset == member.index * 10
            own = session.run(putfh(member.fh), open_(b"", claim=nfs4.CLAIM_FH, owner=b"other")).ok().last.stateid
            assert session.run(putfh(member.fh), lock(WRITE_LT, 0, 1, own)).status == "DENIED"

    def statuses(self):
        return set().union(*(member.statuses for member in self.members))

    def close(self):
        for member in self.members:
            member.conn.close()
        self.pool.shutdown()


@pytest.fixture
def crowd_of(server, address):
    crowds = []

    def make(count_40):
        crowds.append(Crowd(server, address, count_40))
        return crowds[-1]

    yield make
    for crowd in crowds:
        crowd.close()


def is_in_grace(session, directory):
    reply = session.run(putfh(directory.fh), open_(b"common", owner=b"prober"))
    assert reply.status in ("OK", "GRACE")
    return reply.status == "GRACE"


def test_a_hundred_clients_reclaim_after_a_kill_and_that_ends_the_grace_period(crowd_of, address):
    crowd = crowd_of(count_40=0)
    crowd.write_and_crash()
    crowd.restart_and_reclaim(crowd.members)
    newcomer = nfs4.connect(address)
    assert is_in_grace(newcomer, crowd.directory)
    crowd.all(Member41.complete, crowd.members)
    assert not is_in_grace(newcomer, crowd.directory)
    crowd.check_locks(newcomer)
    crowd.check_written()
    assert crowd.statuses() == {"OK", "BADSESSION", "STALE_CLIENTID"}
    newcomer.conn.close()


def test_a_second_kill_in_grace_takes_no_rights_from_a_mixed_crowd(crowd_of, server, address):
    crowd = crowd_of(count_40=20)
    crowd.write_and_crash()
    half = crowd.members[::2]
    crowd.restart_and_reclaim(half)
    crowd.all(lambda member: member.complete(), half[::2])
    newcomer = nfs4.connect(address)
    assert is_in_grace(newcomer, crowd.directory)
    newcomer.conn.close()
    server.kill9()
    crowd.restart_and_reclaim(crowd.members)
    crowd.all(lambda member: member.complete(), crowd.members)
    newcomer = nfs4.connect(address)
    while is_in_grace(newcomer, crowd.directory):  # by time: nobody knows what clients of 4.0 still want
        time.sleep(0.1)
        crowd.all(lambda member: member.send(nfs4.putfh(member.fh), read(member.stateid, 0, 1)), crowd.members)
    crowd.check_locks(newcomer)
    crowd.all(Member.write_one, crowd.members)
    crowd.check_written()
    assert crowd.statuses() == {"OK", "BADSESSION", "STALE_CLIENTID"}
    newcomer.conn.close()

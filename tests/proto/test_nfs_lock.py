"""Byte-range locks of two clients and of two owners. RFC 8881 sections 9 and 18.10 to 18.12."""

import nfs4
from nfs4 import (ACCESS_READ, ACCESS_WRITE, READ_LT, TO_END, WRITE_LT, close, lock, locku, lockt, putfh)
import pytest


class Locker:
    """A client with a file open."""

    def __init__(self, directory, session, name=b"f", **options):
        self.session = session
        self.fh, self.open = directory.open(name, session=session, **options)

    def run(self, *ops):
        return self.session.run(putfh(self.fh), *ops)

    def lock(self, kind, offset, length, owner=b"locker"):
        return self.run(lock(kind, offset, length, self.open, owner))


@pytest.fixture
def two(connect, directory):
    return Locker(directory, directory.session), Locker(directory, connect())


def test_a_write_lock_keeps_others_out_of_its_range(two):
    mine, yours = two
    held = mine.lock(WRITE_LT, 100, 50).ok().last
    assert held.stateid[0] == 1
    denied = yours.lock(WRITE_LT, 149, 10)
    assert denied.status == "DENIED"
    found = denied.last
    assert (found.offset, found.length, found.kind, found.owner) == (100, 50, WRITE_LT, b"locker")
    assert found.clientid == mine.session.client.clientid
    assert yours.run(lockt(READ_LT, 0, TO_END)).status == "DENIED"
    assert yours.run(lockt(READ_LT, 0, 100)).status == "OK"
    yours.lock(WRITE_LT, 150, 1).ok()


def test_read_locks_share(two):
    mine, yours = two
    mine.lock(READ_LT, 0, 10).ok()
    yours.lock(READ_LT, 5, 10).ok()
    assert mine.lock(WRITE_LT, 7, 1).status == "DENIED"
    assert mine.lock(WRITE_LT, 0, 5).status == "OK"


def test_unlocking_the_middle_splits(two):
    mine, yours = two
    stateid = mine.lock(WRITE_LT, 0, 30).ok().last.stateid
    stateid = mine.run(locku(stateid, 10, 10)).ok().last.stateid
    assert stateid[0] == 2
    assert yours.run(lockt(WRITE_LT, 10, 10)).status == "OK"
    first = yours.run(lockt(WRITE_LT, 0, 15)).last
    assert (first.offset, first.length) == (0, 10)
    second = yours.run(lockt(WRITE_LT, 15, 15)).last
    assert (second.offset, second.length) == (20, 10)


def test_neighbours_merge(two):
    mine, yours = two
    for offset in (0, 20, 10):
        mine.lock(WRITE_LT, offset, 10).ok()
    found = yours.run(lockt(READ_LT, 25, 1)).last
    assert (found.offset, found.length) == (0, 30)


def test_a_lock_to_the_end_has_no_end(two):
    mine, yours = two
    mine.lock(WRITE_LT, 1000, TO_END).ok()
    found = yours.run(lockt(WRITE_LT, 2**62, 1)).last
    assert (found.status, found.offset, found.length) == ("DENIED", 1000, TO_END)


def test_owners_of_one_client_are_different_people(two):
    mine, _ = two
    mine.lock(WRITE_LT, 0, 10, owner=b"one").ok()
    assert mine.lock(WRITE_LT, 0, 10, owner=b"two").status == "DENIED"
    assert mine.run(lockt(WRITE_LT, 0, 10, owner=b"one")).status == "OK"


def test_the_lock_stateid_serves_further_locks(two):
    mine, _ = two
    stateid = mine.lock(READ_LT, 0, 10).ok().last.stateid
    newer = mine.run(lock(WRITE_LT, 20, 10, lock_stateid=stateid)).ok().last.stateid
    assert newer == (2, stateid[1])
    assert mine.run(lock(WRITE_LT, 40, 10, lock_stateid=stateid)).status == "OLD_STATEID"
    assert mine.run(lock(WRITE_LT, 40, 10, lock_stateid=(9, stateid[1]))).status == "BAD_STATEID"
    assert mine.run(lock(WRITE_LT, 40, 10, lock_stateid=mine.open)).status == "BAD_STATEID"
    assert mine.run(nfs4.write(newer, 0, b"by lock stateid")).status == "OK"


@pytest.mark.parametrize("offset, length", [(0, 0), (10, TO_END - 5), (TO_END, 1), (TO_END - 1, 2)])
def test_ranges_that_cannot_be_are_invalid(two, offset, length):
    mine, _ = two
    assert mine.lock(WRITE_LT, offset, length).status == "INVAL"
    assert mine.run(lockt(WRITE_LT, offset, length)).status == "INVAL"
    stateid = mine.lock(WRITE_LT, 0, 1).ok().last.stateid
    assert mine.run(locku(stateid, offset, length)).status == "INVAL"


def test_a_lock_needs_an_open_of_its_mode(directory, session):
    reader = Locker(directory, session, b"r", share=ACCESS_READ)
    writer = Locker(directory, session, b"w", share=ACCESS_WRITE)
    assert reader.lock(WRITE_LT, 0, 1).status == "OPENMODE"
    assert writer.lock(READ_LT, 0, 1).status == "OPENMODE"
    reader.lock(READ_LT, 0, 1).ok()
    writer.lock(WRITE_LT, 0, 1).ok()


def test_close_drops_the_locks(two):
    mine, yours = two
    mine.lock(WRITE_LT, 0, TO_END).ok()
    assert yours.lock(WRITE_LT, 0, 1).status == "DENIED"
    mine.run(close(mine.open)).ok()
    yours.lock(WRITE_LT, 0, 1).ok()


def test_a_lock_stateid_is_freed_when_it_holds_nothing(two):
    mine, _ = two
    stateid = mine.lock(WRITE_LT, 0, 10).ok().last.stateid
    assert mine.run(nfs4.free_stateid(stateid)).status == "LOCKS_HELD"
    stateid = mine.run(locku(stateid, 0, TO_END)).ok().last.stateid
    mine.run(nfs4.free_stateid(stateid)).ok()
    assert mine.run(nfs4.free_stateid(stateid)).status == "BAD_STATEID"


def test_locks_are_advisory(two):
    mine, yours = two
    mine.lock(WRITE_LT, 0, TO_END).ok()
    yours.run(nfs4.write(yours.open, 0, b"anyway")).ok()
    yours.run(nfs4.read(nfs4.ANONYMOUS, 0, 10)).ok()


def test_directories_are_not_locked(session, directory):
    assert directory.run(lockt(WRITE_LT, 0, 1)).status == "ISDIR"


def test_a_longest_owner_comes_back_whole(two):
    mine, yours = two
    owner = bytes(range(256)) * 4
    mine.lock(WRITE_LT, 0, 10, owner=owner).ok()
    assert yours.lock(WRITE_LT, 0, 10).last.owner == owner


def test_a_thousand_locks_are_found_again(two):
    mine, yours = two
    stateid = mine.lock(WRITE_LT, 0, 1).ok().last.stateid
    for i in range(1, 1000):
        stateid = mine.run(lock(WRITE_LT, i * 10, 3, lock_stateid=stateid)).ok().last.stateid
    found = yours.run(lockt(WRITE_LT, 5004, 100)).last
    assert (found.offset, found.length) == (5010, 3)
    mine.run(locku(stateid, 0, TO_END)).ok()
    assert yours.run(lockt(WRITE_LT, 0, TO_END)).status == "OK"

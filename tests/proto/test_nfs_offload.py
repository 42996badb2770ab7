"""Copies that go on behind the answer of COPY: CB_OFFLOAD, OFFLOAD_STATUS, OFFLOAD_CANCEL. RFC 7862 section 4."""

import itertools

import nfs4
import nfs4_back
from nfs4 import (ANONYMOUS, FILE_SYNC, MODE, SIZE, copy, getattr_, offload_cancel, offload_status, putfh, read, savefh,
                  setattr_, write)
from nfs_place import new_directory
import pytest
from shoal_server import wait_until

MIB = 1 << 20
SIZE_MAX = 64 * MIB


class Copy:
    """Two open files of a client that can be called back; the source is sparse, and copied by bytes."""

    def __init__(self, address, size=SIZE_MAX, silent=False, **options):
        self.session = nfs4_back.connect(address, **options)
        self.session.minor = 2
        self.conn = self.session.conn
        directory = new_directory(self.session)
        self.source = directory.open(b"source", values={MODE: 0o644})
        self.target = directory.open(b"target", values={MODE: 0o644})
        self.size = size
        self.session.run(putfh(self.source[0]), setattr_({SIZE: size + 1}, self.source[1]),
                         write(self.source[1], size - 3, b"tail")).ok()
        self.conn.is_silent = silent

    def start(self, synchronous=False):
        ops = [putfh(self.source[0]), savefh(), putfh(self.target[0]),
               copy(self.source[1], self.target[1], 1, 0, self.size, synchronous=synchronous)]
        return self.session.run(*ops).ok().last

    def run(self, *ops):
        return self.session.run(*ops)

    def target_size(self):
        return self.run(putfh(self.target[0]), getattr_(SIZE)).ok().last.attrs[SIZE]


@pytest.fixture
def make(address):
    made = []

    def start(**options):
        made.append(Copy(address, **options))
        return made[-1]

    yield start
    for one in made:
        one.conn.close()


def test_a_long_copy_goes_on_behind_its_answer(make):
    one = make()
    begun = one.start()
    assert len(begun.callback_ids) == 1 and not begun.synchronous and begun.consecutive
    call = one.conn.wait_for(nfs4_back.CB_OFFLOAD)
    assert (call.fh, call.stateid, call.status) == (one.target[0], begun.callback_ids[0], 0)
    assert (call.count, call.committed, call.verifier) == (SIZE_MAX, FILE_SYNC, begun.verifier)
    assert one.target_size() == SIZE_MAX
    found = one.run(putfh(one.target[0]), read(one.target[1], SIZE_MAX - 6, 10)).ok().last
    assert (found.data, found.eof) == (b"\0\0tail", 1)
    wait_until(lambda: one.run(putfh(one.target[0]), offload_status(call.stateid)).status == "BAD_STATEID", 10, "gone")


def test_who_wants_it_at_once_gets_a_part(make):
    one = make()
    begun = one.start(synchronous=True)
    assert begun.callback_ids == [] and begun.synchronous and 0 < begun.count < SIZE_MAX


def test_who_cannot_be_called_gets_a_part(make):
    one = make(flags=0)
    begun = one.start()
    assert begun.callback_ids == [] and begun.synchronous and 0 < begun.count < SIZE_MAX


def test_its_state_can_be_asked_for(make):
    one = make(silent=True)
    stateid = one.start().callback_ids[0]
    counts = []

    def is_complete():
        found = one.run(putfh(one.target[0]), offload_status(stateid)).ok().last
        counts.append(found.count)
        assert found.complete in ([], ["OK"])
        return found.complete

    wait_until(is_complete, 30, "complete")
    assert counts == sorted(counts) and counts[-1] == SIZE_MAX
    assert one.run(putfh(one.target[0]), offload_cancel(stateid)).status == "COMPLETE_ALREADY"


def test_a_cancelled_copy_ends(make):
    one = make(size=1 << 36)
    stateid = one.start().callback_ids[0]
    one.run(putfh(one.target[0]), offload_cancel(stateid)).ok()
    assert one.run(putfh(one.target[0]), offload_status(stateid)).status == "BAD_STATEID"
    sizes = [one.target_size() for _ in range(2)]
    wait_until(lambda: sizes.append(one.target_size()) or sizes[-1] == sizes[-2] == sizes[-3], 30, "it has ended")
    assert 0 < sizes[-1] < 1 << 36
    assert not [call for call in one.conn.calls if call.op == nfs4_back.CB_OFFLOAD]


def test_a_copy_that_fails_says_so(make):
    one = make(size=1 << 36)
    stateid = one.start().callback_ids[0]
    one.run(putfh(one.source[0]), setattr_({SIZE: 0}, one.source[1])).ok()
    call = one.conn.wait_for(nfs4_back.CB_OFFLOAD)
    assert call.stateid == stateid
    assert call.status == 0 and call.count < 1 << 36  # the source became shorter: so did the copy


def test_others_know_nothing_of_it(make):
    one, other = make(size=1 << 36), make()
    stateid = one.start().callback_ids[0]
    for op in (offload_status, offload_cancel):
        assert other.run(putfh(other.target[0]), op(stateid)).status == "BAD_STATEID"
        assert one.run(putfh(one.target[0]), op(ANONYMOUS)).status == "BAD_STATEID"
    one.run(putfh(one.target[0]), offload_cancel(stateid)).ok()


def test_a_client_has_so_many_at_a_time(make):
    one = make(size=1 << 36)
    stateids = []
    for _ in itertools.count():
        begun = one.start()
        if not begun.callback_ids:
            break
        stateids += begun.callback_ids
    assert len(stateids) == 16 and begun.synchronous
    for stateid in stateids:
        one.run(putfh(one.target[0]), offload_cancel(stateid)).ok()


def test_a_copy_ends_with_its_client(make, address):
    one = make(size=1 << 36)
    one.start()
    fh = one.target[0]
    other = nfs4.connect(address, minor=2)
    again = nfs4_back.connect(address, owner=one.session.client.owner)  # a new incarnation: the old one is gone

    def size():
        return other.run(putfh(fh), getattr_(SIZE)).ok().last.attrs[SIZE]

    sizes = [size(), -1]
    wait_until(lambda: sizes.append(size()) or sizes[-1] == sizes[-2] == sizes[-3], 30, "it has ended")
    assert sizes[-1] < 1 << 36
    again.conn.close()
    other.conn.close()

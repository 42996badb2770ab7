"""CLONE and COPY of version 4.2. RFC 7862 sections 4, 15.2 and 15.13."""

import os
import random

import nfs4
from nfs4 import (ACCESS_READ, ACCESS_WRITE, ANONYMOUS, CHANGE, CLONE_BLKSIZE, FILE_SYNC, MODE, SIZE, SPACE_USED,
                  UNSTABLE, auth_sys, clone, commit, copy, getattr_, putfh, putrootfh, read, savefh, setattr_, write)
from nfs_place import new_directory
import pytest

BLOCK = 4096
FILE_SIZE_MAX = 52_673_613_135_872
BAD = (1, b"no such id..")
MIB = 1 << 20


@pytest.fixture
def session(connect):
    return connect(minor=2, fore=nfs4.channel(request=MIB + 4096, response=MIB + 4096))


class Pair:
    """Two open files; operations have `source` saved and `target` current."""

    def __init__(self, directory, content=b"", name=b""):
        self.session = directory.session
        self.source = directory.open(name + b"source", values={MODE: 0o644})
        self.target = directory.open(name + b"target", values={MODE: 0o644})
        if content:
            self.put(self.source, content)

    def put(self, file, data, offset=0, stable=FILE_SYNC):
        for at in range(0, len(data), MIB):
            self.session.run(putfh(file[0]), write(file[1], offset + at, data[at:at + MIB], stable)).ok()

    def get(self, file):
        data, eof = b"", 0
        while not eof:
            found = self.session.run(putfh(file[0]), read(file[1], len(data), MIB)).ok().last
            data, eof = data + found.data, found.eof
        return data

    def run(self, *ops, **options):
        return self.session.run(putfh(self.source[0]), savefh(), putfh(self.target[0]), *ops, **options)

    def clone(self, from_offset=0, to_offset=0, count=0):
        return self.run(clone(self.source[1], self.target[1], from_offset, to_offset, count))

    def copy(self, from_offset=0, to_offset=0, count=0, **options):
        return self.run(copy(self.source[1], self.target[1], from_offset, to_offset, count, **options))


@pytest.fixture
def pair(directory):
    return Pair(directory)


# --- CLONE --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 40_000, 3 * MIB + 17])
def test_a_clone_has_the_same_bytes(directory, size):
    data = os.urandom(size)
    pair = Pair(directory, data)
    pair.clone().ok()
    assert pair.get(pair.target) == data
    pair.put(pair.target, b"changed", 100)
    expected = bytearray(data) + bytes(max(0, 107 - size))
    expected[100:107] = b"changed"
    assert pair.get(pair.target) == expected
    assert pair.get(pair.source) == data  # what is shared is nobody's to change


def test_the_clone_block_size_is_told(session):
    assert session.run(putrootfh(), getattr_(CLONE_BLKSIZE)).ok().last.attrs == {CLONE_BLKSIZE: BLOCK}


def test_ranges_are_cloned(directory):
    pair = Pair(directory, b"a" * BLOCK + b"b" * BLOCK + b"c" * 100)
    pair.put(pair.target, b"x" * 4 * BLOCK)
    before = pair.run(getattr_(CHANGE)).ok().last.attrs[CHANGE]
    pair.clone(BLOCK, 2 * BLOCK, BLOCK).ok()
    assert pair.get(pair.target) == b"x" * 2 * BLOCK + b"b" * BLOCK + b"x" * BLOCK
    assert pair.run(getattr_(CHANGE)).ok().last.attrs[CHANGE] > before
    pair.clone(BLOCK, 8 * BLOCK, 0).ok()
    assert pair.get(pair.target)[4 * BLOCK:] == bytes(4 * BLOCK) + b"b" * BLOCK + b"c" * 100


@pytest.mark.parametrize("stable", [UNSTABLE, FILE_SYNC])
def test_clones_hold_what_was_written_before_them(directory, stable):
    pair = Pair(directory)
    pair.put(pair.source, b"s" * 3 * BLOCK, 0, stable)
    pair.put(pair.target, b"t" * 3 * BLOCK, 0, stable)
    pair.clone(0, BLOCK, 2 * BLOCK).ok()
    pair.put(pair.source, b"S" * 3 * BLOCK, 0, stable)
    pair.run(commit()).ok()
    assert pair.get(pair.target) == b"t" * BLOCK + b"s" * 2 * BLOCK


def test_holes_are_cloned(directory):
    pair = Pair(directory)
    pair.put(pair.source, b"end", 30 * BLOCK)
    pair.put(pair.target, b"t" * 20 * BLOCK)
    pair.clone(0, 0, 10 * BLOCK).ok()
    assert pair.get(pair.target) == bytes(10 * BLOCK) + b"t" * 10 * BLOCK
    assert pair.run(getattr_(SPACE_USED)).ok().last.attrs[SPACE_USED] <= 10 * BLOCK


def test_a_clone_within_one_file(directory):
    pair = Pair(directory, b"a" * BLOCK + b"b" * BLOCK)
    ops = [putfh(pair.source[0]), savefh(), clone(pair.source[1], pair.source[1], 0, 2 * BLOCK, 2 * BLOCK)]
    pair.session.run(*ops).ok()
    assert pair.get(pair.source) == (b"a" * BLOCK + b"b" * BLOCK) * 2
    for to_offset, count in ((BLOCK, 2 * BLOCK), (0, BLOCK), (BLOCK, 0)):
        ops[2] = clone(pair.source[1], pair.source[1], 0, to_offset, count)
        assert pair.session.run(*ops).status == "INVAL"


def test_clones_that_cannot_be_are_refused(directory):
    pair = Pair(directory, b"s" * (3 * BLOCK + 5))
    pair.put(pair.target, b"t" * 8 * BLOCK)
    for arguments in ((1, 0, BLOCK), (0, 1, BLOCK), (0, 0, BLOCK + 1), (0, 0, 4 * BLOCK), (4 * BLOCK, 0, 0),
                      (0, 0, 3 * BLOCK + 5), (2**64 - BLOCK, 0, BLOCK), (0, 0, 2**64 - 1)):
        assert pair.clone(*arguments).status == "INVAL", arguments
    for to_offset in (2**63, 2**64 - BLOCK, FILE_SIZE_MAX // BLOCK * BLOCK):
        assert pair.clone(0, to_offset, BLOCK).status == "FBIG"
    assert pair.get(pair.target) == b"t" * 8 * BLOCK
    assert pair.session.run(putfh(pair.target[0]), clone(ANONYMOUS, ANONYMOUS, 0, 0, 0)).status == "NOFILEHANDLE"


def test_nothing_is_cloned_to_nothing(pair):
    pair.clone().ok()
    assert pair.get(pair.target) == b""


# --- COPY -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("synchronous", [True, False])
@pytest.mark.parametrize("size", [1, 4095, 4096, 40_000, 2 * MIB + 17])
def test_a_copy_has_the_same_bytes(directory, size, synchronous):
    data = os.urandom(size)
    pair = Pair(directory, data)
    copied = pair.copy(synchronous=synchronous).ok().last
    assert (copied.count, copied.callback_ids, copied.consecutive, copied.synchronous) == (size, [], 1, 1)
    if copied.committed == UNSTABLE:
        assert pair.run(commit()).ok().last.verifier == copied.verifier
    assert pair.get(pair.target) == data


def test_any_range_is_copied(directory):
    chance = random.Random(3)
    data = os.urandom(300_000)
    pair = Pair(directory, data)
    model = bytearray(b"t" * 200_000)
    pair.put(pair.target, bytes(model))
    for number in range(40):
        from_offset, to_offset = chance.randrange(299_000), chance.randrange(300_000)
        if number % 2:
            to_offset = from_offset % BLOCK + to_offset // BLOCK * BLOCK  # blocks lie alike
        count = chance.randrange(1, 300_000 - from_offset)
        assert pair.copy(from_offset, to_offset, count).ok().last.count == count
        model.extend(bytes(max(0, to_offset + count - len(model))))
        model[to_offset:to_offset + count] = data[from_offset:from_offset + count]
    assert pair.get(pair.target) == model
    assert pair.get(pair.source) == data


def test_a_long_copy_may_end_early_and_be_gone_on_with(directory):
    size = 40 * MIB
    pair = Pair(directory)
    pair.put(pair.source, b"head", 0)
    pair.put(pair.source, b"tail", size - 4)
    done = 0
    rounds = 0
    while done < size - 1:
        copied = pair.copy(1 + done, done, size - 1 - done).ok().last  # cannot be shared
        assert 0 < copied.count <= size
        done += copied.count
        rounds += 1
    assert rounds > 1
    assert pair.run(getattr_(SIZE)).ok().last.attrs[SIZE] == size - 1
    assert pair.run(read(pair.target[1], 0, 10)).ok().last.data == b"ead" + bytes(7)
    assert pair.run(read(pair.target[1], size - 5, 10)).ok().last.data == b"tail"


def test_copies_that_cannot_be_are_refused(directory):
    pair = Pair(directory, b"s" * 100)
    for arguments in ((0, 0, 101), (101, 0, 0), (100, 0, 1), (2**64 - 1, 0, 1), (1, 0, 2**64 - 1)):
        assert pair.copy(*arguments).status == "INVAL", arguments
    for to_offset in (2**63, 2**64 - 1, FILE_SIZE_MAX):
        assert pair.copy(0, to_offset, 1).status == "FBIG"
    assert pair.copy(servers=[b"elsewhere"]).status == "NOTSUPP"
    ops = [putfh(pair.source[0]), savefh(), copy(pair.source[1], pair.source[1], 0, 200, 10)]
    assert pair.session.run(*ops).status == "INVAL"  # one file
    assert pair.get(pair.target) == b""
    assert pair.copy(100).ok().last.count == 0
    assert pair.session.run(putfh(pair.target[0]), copy(ANONYMOUS, ANONYMOUS, 0, 0, 0)).status == "NOFILEHANDLE"


# --- what both have in common --------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("make", [lambda s, t: clone(s, t, 0, 0, 0), lambda s, t: copy(s, t, 0, 0, 0)],
                               ids=["CLONE", "COPY"])


@BOTH
def test_both_must_be_files(directory, make):
    fh = directory.make(b"f", b"data")
    for saved, current in ((fh, directory.fh), (directory.fh, fh)):
        reply = directory.session.run(putfh(saved), savefh(), putfh(current), make(ANONYMOUS, ANONYMOUS))
        assert reply.status == "WRONG_TYPE"


@BOTH
def test_both_stateids_count(directory, make):
    pair = Pair(directory, b"data")
    assert pair.run(make(BAD, pair.target[1])).status == "BAD_STATEID"
    assert pair.run(make(pair.source[1], BAD)).status == "BAD_STATEID"
    assert pair.run(make(pair.target[1], pair.source[1])).status == "BAD_STATEID"
    assert pair.run(make(ANONYMOUS, ANONYMOUS)).status == "OK"
    _, reading = directory.open(b"target", share=ACCESS_READ, how=None, owner=b"reader")
    assert pair.run(make(pair.source[1], reading)).status == "OPENMODE"
    _, writing = directory.open(b"source", share=ACCESS_WRITE, how=None, owner=b"writer")
    assert pair.run(make(writing, pair.target[1])).status == "OK"  # as READ: RFC 8881 section 18.22.3


@BOTH
def test_rights_count(directory, make):
    pair = Pair(directory, b"data")
    pair.session.run(putfh(pair.source[0]), setattr_({MODE: 0o600})).ok()
    pair.session.run(putfh(pair.target[0]), setattr_({MODE: 0o666})).ok()
    other = auth_sys(1000, 1000)
    assert pair.run(make(ANONYMOUS, ANONYMOUS), cred=other).status == "ACCESS"
    pair.session.run(putfh(pair.source[0]), setattr_({MODE: 0o644})).ok()
    assert pair.run(make(ANONYMOUS, ANONYMOUS), cred=other).status == "OK"
    pair.session.run(putfh(pair.target[0]), setattr_({MODE: 0o644})).ok()
    assert pair.run(make(ANONYMOUS, ANONYMOUS), cred=other).status == "ACCESS"


@BOTH
def test_a_copy_by_others_than_root_clears_setuid(directory, make):
    pair = Pair(directory, b"data")
    pair.session.run(putfh(pair.target[0]), setattr_({MODE: 0o6777})).ok()
    pair.run(make(ANONYMOUS, ANONYMOUS), cred=auth_sys(1000, 1000)).ok()
    assert pair.run(getattr_(MODE)).ok().last.attrs[MODE] == 0o777


@BOTH
def test_a_denied_file_is_not_copied(directory, connect, make):
    pair = Pair(directory, b"data")
    other = connect(minor=2)
    reply = other.run(putfh(directory.fh), nfs4.open_(b"denied", how=nfs4.UNCHECKED, deny=nfs4.DENY_BOTH), nfs4.getfh())
    fh = reply.ok().last.fh
    ops = [putfh(fh), savefh(), putfh(pair.target[0]), make(ANONYMOUS, pair.target[1])]
    assert pair.session.run(*ops).status == "LOCKED"
    ops = [putfh(pair.source[0]), savefh(), putfh(fh), make(pair.source[1], ANONYMOUS)]
    assert pair.session.run(*ops).status == "LOCKED"


def test_copies_survive_a_kill(own_server):
    address = own_server.up()["mount_targets"][0]["ip"], own_server.nfs_port
    wide = nfs4.channel(request=MIB + 4096, response=MIB + 4096)
    session = nfs4.connect(address, minor=2, fore=wide)
    data = os.urandom(200_000)
    pair = Pair(new_directory(session), data)
    other = Pair(new_directory(session), data)
    pair.clone().ok()
    if other.copy().ok().last.committed == UNSTABLE:
        other.run(commit()).ok()
    own_server.kill9()
    own_server.start()
    session = nfs4.connect(address, minor=2, fore=wide)
    for fh in (pair.target[0], other.target[0]):
        found = session.run(putfh(fh), read(nfs4.BYPASS, 0, MIB)).ok().last
        assert (found.data, found.eof) == (data, 1)
    session.conn.close()

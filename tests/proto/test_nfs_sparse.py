"""SEEK, ALLOCATE, DEALLOCATE, READ_PLUS, IO_ADVISE of version 4.2. RFC 7862 sections 15.1, 15.4, 15.5, 15.10, 15.11."""

import os
import random

import nfs4
from nfs4 import (ACCESS_READ, ACCESS_WRITE, ANONYMOUS, BYPASS, CHANGE, DATA, FILE_SYNC, HOLE, MODE, SIZE, SPACE_USED,
                  UNSTABLE, allocate, auth_sys, commit, deallocate, getattr_, io_advise, lookup, putfh, putrootfh, read,
                  read_plus, seek, setattr_, write)
from nfs_place import new_directory
import pytest

BLOCK = 4096
FILE_SIZE_MAX = 52_673_613_135_872
BAD = (1, b"no such id..")


class File:
    """An open file of a 4.2 session, with a model of its bytes."""

    def __init__(self, directory, name=b"f", size=0):
        self.session = directory.session
        self.fh, self.stateid = directory.open(name, values={MODE: 0o644})
        self.model = bytearray()
        if size:
            self.truncate(size)

    def run(self, *ops, **options):
        return self.session.run(putfh(self.fh), *ops, **options)

    def write(self, offset, data, stable=FILE_SYNC):
        self.run(write(self.stateid, offset, data, stable)).ok()
        self.model.extend(bytes(max(0, offset + len(data) - len(self.model))))
        self.model[offset:offset + len(data)] = data

    def truncate(self, size):
        self.run(setattr_({SIZE: size}, self.stateid)).ok()
        self.model = self.model[:size] + bytes(max(0, size - len(self.model)))

    def punch(self, offset, length):
        self.run(deallocate(self.stateid, offset, length)).ok()
        end = min(offset + length, len(self.model))
        self.model[offset:end] = bytes(max(0, end - offset))

    def seek(self, offset, what):
        found = self.run(seek(self.stateid, offset, what)).ok().last
        return found.offset, found.eof

    def attrs(self, *numbers):
        return self.run(getattr_(*numbers)).ok().last.attrs

    def check(self, step=1 << 18):
        """READ and READ_PLUS both give what the model has."""
        for offset in range(0, len(self.model) + 1, step):
            found = self.run(read(self.stateid, offset, step)).ok().last
            assert found.data == bytes(self.model[offset:offset + step])
        assert self.read_plus(0, len(self.model) + 1) == (bytes(self.model), True)

    def read_plus(self, offset, count):
        """The bytes that READ_PLUS stands for, read to the end of the range or of the file; and whether that is it."""
        data, eof = b"", 0
        while not eof and len(data) < count:
            found = self.run(read_plus(self.stateid, offset + len(data), min(count - len(data), 1 << 18))).ok().last
            for kind, at, what in found.parts:
                assert at == offset + len(data)
                data += what if kind == DATA else bytes(what)
            eof = found.eof
            assert eof or found.parts
        return data, bool(eof)


@pytest.fixture
def session(connect):
    return connect(minor=2)


@pytest.fixture
def file(directory):
    return File(directory)


# --- SEEK -------------------------------------------------------------------------------------------

def test_seek_finds_data_and_holes(file):
    file.write(8 * BLOCK, b"d" * BLOCK)
    file.write(9 * BLOCK, b"e" * 10)
    file.truncate(16 * BLOCK)
    assert file.seek(0, DATA) == (8 * BLOCK, 0)
    assert file.seek(8 * BLOCK + 5, DATA) == (8 * BLOCK + 5, 0)
    assert file.seek(0, HOLE) == (0, 0)
    assert file.seek(3, HOLE) == (3, 0)
    assert file.seek(8 * BLOCK, HOLE) == (10 * BLOCK, 0)
    assert file.seek(10 * BLOCK, DATA) == (16 * BLOCK, 1)


@pytest.mark.parametrize("stable", [UNSTABLE, FILE_SYNC])
def test_every_file_ends_in_a_hole(file, stable):
    file.write(0, b"x" * (BLOCK + 1), stable)
    assert file.seek(0, HOLE) == (BLOCK + 1, 1)
    file.run(commit()).ok()
    assert file.seek(0, HOLE) == (BLOCK + 1, 1)


def test_seek_at_or_beyond_the_end_is_nxio(file):
    for size in (0, 100):
        file.truncate(size)
        for offset in (size, size + 1, 2**63, 2**64 - 1):
            for what in (DATA, HOLE):
                assert file.run(seek(file.stateid, offset, what)).status == "NXIO"


def test_a_huge_sparse_file_is_searched_in_time(file):
    file.run(setattr_({SIZE: FILE_SIZE_MAX}, file.stateid), write(file.stateid, FILE_SIZE_MAX - 10, b"x" * 10)).ok()
    offset, eof = file.seek(0, DATA)  # a hole may be taken for data, never data for a hole
    assert 0 <= offset < FILE_SIZE_MAX and not eof
    assert file.run(seek(file.stateid, 0, HOLE)).status == "OK"


def test_seek_refuses_other_contents(file):
    file.write(0, b"x")
    for what in (2, 2**32 - 1):
        assert file.run(seek(file.stateid, 0, what)).status == "UNION_NOTSUPP"


# --- ALLOCATE and DEALLOCATE ---------------------------------------------------------------------------

def test_allocate_grows_the_file_and_keeps_its_bytes(file):
    file.write(100, b"data")
    before = file.attrs(CHANGE)[CHANGE]
    file.run(allocate(file.stateid, 50, 20 * BLOCK)).ok()
    attrs = file.attrs(CHANGE, SIZE)
    assert attrs[SIZE] == 50 + 20 * BLOCK and attrs[CHANGE] > before
    file.model.extend(bytes(50 + 20 * BLOCK - len(file.model)))
    file.check()
    file.run(allocate(file.stateid, 0, 10)).ok()
    assert file.attrs(SIZE)[SIZE] == 50 + 20 * BLOCK


@pytest.mark.parametrize("stable", [UNSTABLE, FILE_SYNC])
def test_deallocated_bytes_are_zeros_and_cost_nothing(file, stable):
    file.write(0, os.urandom(64 * BLOCK), stable)
    used = file.attrs(SPACE_USED)[SPACE_USED]
    before = file.attrs(CHANGE)[CHANGE]
    file.punch(100, 40 * BLOCK)
    attrs = file.attrs(CHANGE, SIZE, SPACE_USED)
    assert attrs[SIZE] == 64 * BLOCK and attrs[CHANGE] > before
    assert attrs[SPACE_USED] <= used - 39 * BLOCK
    assert file.seek(BLOCK, HOLE) == (BLOCK, 0)
    assert file.seek(BLOCK, DATA) == (40 * BLOCK, 0)
    file.check()


def test_deallocate_beyond_the_end_changes_no_size(file):
    file.write(0, b"x" * 10)
    file.punch(5, 2**63)
    file.punch(FILE_SIZE_MAX + 1, 2**40)
    assert file.attrs(SIZE)[SIZE] == 10
    assert file.run(deallocate(file.stateid, 1, 2**64 - 2)).status == "OK"
    file.model[1:] = bytes(9)
    file.check()


@pytest.mark.parametrize("make", [allocate, deallocate])
def test_ranges_that_cannot_be_are_refused(file, make):
    assert file.run(make(file.stateid, 0, 0)).status == "INVAL"
    assert file.run(make(file.stateid, 1, 2**64 - 1)).status == "INVAL"


def test_allocate_stops_at_the_largest_file(file):
    assert file.run(allocate(file.stateid, FILE_SIZE_MAX, 1)).status == "FBIG"
    assert file.attrs(SIZE)[SIZE] == 0


@pytest.mark.parametrize("change", [lambda s: allocate(s, 0, 1), lambda s: deallocate(s, 0, 1)],
                         ids=["ALLOCATE", "DEALLOCATE"])
def test_a_change_by_others_than_root_clears_setuid(directory, change):
    fh, stateid = directory.open(b"f", values={MODE: 0o6777})
    directory.session.run(putfh(fh), write(stateid, 0, b"x")).ok()
    directory.session.run(putfh(fh), change(ANONYMOUS), cred=auth_sys(1000, 1000)).ok()
    assert directory.session.run(putfh(fh), getattr_(MODE)).ok().last.attrs[MODE] == 0o777


# --- READ_PLUS --------------------------------------------------------------------------------------------

def test_read_plus_tells_holes(file):
    file.write(4 * BLOCK, b"d" * BLOCK)
    file.truncate(8 * BLOCK)
    found = file.run(read_plus(file.stateid, 0, 8 * BLOCK)).ok().last
    assert found.parts == [(HOLE, 0, 4 * BLOCK), (DATA, 4 * BLOCK, b"d" * BLOCK), (HOLE, 5 * BLOCK, 3 * BLOCK)]
    assert found.eof
    found = file.run(read_plus(file.stateid, 100, 4 * BLOCK)).ok().last
    assert found.parts == [(HOLE, 100, 4 * BLOCK - 100), (DATA, 4 * BLOCK, b"d" * 100)] and not found.eof


def test_read_plus_at_the_end_is_empty(file):
    file.write(0, b"x" * 100)
    for offset in (100, 101, 2**63, 2**64 - 1):
        found = file.run(read_plus(file.stateid, offset, 10)).ok().last
        assert found.parts == [] and found.eof
    found = file.run(read_plus(file.stateid, 0, 0)).ok().last
    assert found.parts == [] and not found.eof


def test_read_plus_of_many_pieces_goes_on(file):
    for index in range(0, 300, 2):
        file.write(index * BLOCK, bytes([index % 255 + 1]) * BLOCK, UNSTABLE)
    file.check()
    file.run(commit()).ok()
    file.check()


def test_read_plus_never_goes_beyond_what_the_session_takes(connect):
    session = connect(minor=2, fore=nfs4.channel(response=3000))
    file = File(new_directory(session))
    file.write(0, b"x" * 200)
    assert file.run(read_plus(file.stateid, 0, 10000)).status in ("OK", "REP_TOO_BIG")
    assert file.run(read_plus(file.stateid, 0, 100)).ok().last.parts == [(DATA, 0, b"x" * 100)]


def test_random_work_leaves_what_the_model_has(file):
    chance = random.Random(7)
    for _ in range(300):
        kind = chance.random()
        offset = chance.randrange(300_000)
        size = chance.randrange(1, 60_000)
        if kind < 0.4:
            file.write(offset, bytes([chance.randrange(1, 256)]) * size, chance.choice([UNSTABLE, FILE_SYNC]))
        elif kind < 0.7:
            file.punch(offset, size)
        elif kind < 0.8:
            file.truncate(offset)
        elif kind < 0.85:
            file.run(commit()).ok()
        else:
            data, eof = file.read_plus(offset, size)
            assert data == bytes(file.model[offset:offset + size])
            assert eof == (offset + size >= len(file.model))
    file.check()


# --- what all have in common -----------------------------------------------------------------------------------

READERS = [lambda s: seek(s, 0, DATA), lambda s: read_plus(s, 0, 10), lambda s: io_advise(s, 0, 10)]
WRITERS = [lambda s: allocate(s, 0, 10), lambda s: deallocate(s, 0, 10)]
ALL = pytest.mark.parametrize("make", READERS + WRITERS, ids=["SEEK", "READ_PLUS", "IO_ADVISE", "ALLOCATE", "DEALLOCATE"])


@ALL
def test_others_than_files_are_of_the_wrong_type(directory, make):
    directory.run(nfs4.create(b"fifo", nfs4.FIFO)).ok()
    directory.run(nfs4.create(b"link", nfs4.LNK, data=b"target")).ok()
    assert directory.run(make(ANONYMOUS)).status == "WRONG_TYPE"
    for name in (b"fifo", b"link"):
        assert directory.run(lookup(name), make(ANONYMOUS)).status == "WRONG_TYPE"
    assert directory.session.run(make(ANONYMOUS)).status == "NOFILEHANDLE"


@ALL
def test_the_stateid_counts(directory, make):
    fh = directory.make(b"f", b"data", values={MODE: 0o600})
    assert directory.session.run(putfh(fh), make(BAD)).status == "BAD_STATEID"
    assert directory.session.run(putfh(fh), make(ANONYMOUS)).status == "OK"
    assert directory.session.run(putfh(fh), make(BYPASS)).status == "OK"
    assert directory.session.run(putfh(fh), make(ANONYMOUS), cred=auth_sys(1000, 1000)).status == "ACCESS"
    _, other = directory.open(b"other")
    assert directory.session.run(putfh(fh), make(other)).status == "BAD_STATEID"


@pytest.mark.parametrize("make", WRITERS, ids=["ALLOCATE", "DEALLOCATE"])
def test_an_open_for_reading_changes_nothing(directory, make):
    directory.make(b"f", b"data")
    fh, stateid = directory.open(b"f", share=ACCESS_READ, how=None)
    assert directory.session.run(putfh(fh), make(stateid)).status == "OPENMODE"


def test_an_open_for_writing_can_be_searched(directory):
    directory.make(b"f", b"data")
    fh, stateid = directory.open(b"f", share=ACCESS_WRITE, how=None)
    for make in READERS:
        assert directory.session.run(putfh(fh), make(stateid)).status == "OK"


def test_the_current_stateid_is_known(directory):
    ops = [nfs4.open_(b"f", how=nfs4.UNCHECKED), allocate(nfs4.CURRENT, 0, 10), seek(nfs4.CURRENT, 0, HOLE)]
    assert directory.run(*ops).ok().last.status == "OK"


def test_advice_is_heard_and_none_promised(file):
    assert file.run(io_advise(file.stateid, 0, 0, hints=(1, 4, 10))).ok().last.hints == []
    assert file.run(io_advise(file.stateid, 1, 2**64 - 1)).status == "INVAL"


@pytest.mark.parametrize("name", ["COPY_NOTIFY", "LAYOUTERROR", "LAYOUTSTATS", "WRITE_SAME"])
def test_what_is_not_served_is_not_supported(session, name):
    assert session.run(putrootfh(), nfs4.op(name)).status == "NOTSUPP"


@pytest.mark.parametrize("name", ["ALLOCATE", "SEEK", "READ_PLUS", "COPY", "CLONE", "GETXATTR", "REMOVEXATTR"])
def test_version_41_has_none_of_these(connect, name):
    assert connect().run(putrootfh(), nfs4.op(name)).status == "OP_ILLEGAL"

"""READ, WRITE, COMMIT, GETATTR, SETATTR, VERIFY, ACCESS. RFC 8881 sections 5 and 18."""

import os

import nfs4
from nfs4 import (ANONYMOUS, CHANGE, DATA_SYNC, FILE_SYNC, FILEID, MODE, OWNER, OWNER_GROUP, SIZE, TIME_MODIFY,
                  TIME_MODIFY_SET, TYPE, UNSTABLE, auth_sys, close, commit, getattr_, nverify, open_, putfh, putrootfh,
                  read, setattr_, verify, write)
from nfs_place import new_directory
import pytest


class File:
    def __init__(self, directory, name=b"f", **options):
        self.session = directory.session
        self.fh, self.stateid = directory.open(name, **options)

    def run(self, *ops, **options):
        return self.session.run(putfh(self.fh), *ops, **options)

    def write(self, offset, data, stable=FILE_SYNC):
        return self.run(write(self.stateid, offset, data, stable)).ok().last

    def read(self, offset, count):
        return self.run(read(self.stateid, offset, count)).ok().last

    def attrs(self, *numbers):
        return self.run(getattr_(*numbers)).ok().last.attrs


@pytest.fixture
def file(directory):
    return File(directory, values={MODE: 0o644})


# --- READ and WRITE -------------------------------------------------------------------------------

@pytest.mark.parametrize("size", [0, 1, 511, 4096, 4097, 65536, 1 << 20])
def test_what_is_written_is_read(connect, size):
    wide = nfs4.channel(request=(1 << 20) + 4096, response=(1 << 20) + 4096)
    file = File(new_directory(connect(fore=wide)))
    data = os.urandom(size)
    written = file.write(0, data)
    assert (written.count, written.committed) == (size, FILE_SYNC)
    found = file.read(0, max(size, 1))
    assert (found.data, found.eof) == (data, 1)


def test_eof_is_exact(file):
    file.write(0, b"x" * 100)
    for offset, count, size, eof in ((0, 99, 99, 0), (0, 100, 100, 1), (0, 101, 100, 1), (99, 1, 1, 1), (100, 1, 0, 1),
                                     (101, 1, 0, 1), (50, 0, 0, 0), (100, 0, 0, 1), (2**63 - 10, 5, 0, 1),
                                     (2**64 - 2, 1, 0, 1)):
        found = file.read(offset, count)
        assert (len(found.data), found.eof) == (size, eof), (offset, count)


def test_holes_are_zeros(file):
    file.write(100000, b"end")
    found = file.read(0, 200000)
    assert found.data == bytes(100000) + b"end" and found.eof


def test_overlapping_writes_leave_the_newest(file):
    image = bytearray(200000)
    for offset, size in ((0, 100000), (50000, 100000), (1000, 3), (4095, 2), (149999, 50000), (0, 1), (65536, 65536)):
        data = os.urandom(size)
        image[offset:offset + size] = data
        file.write(offset, data, UNSTABLE if size % 2 else FILE_SYNC)
    assert file.read(0, 200000).data == bytes(image[:199999])


@pytest.mark.parametrize("stable", [UNSTABLE, DATA_SYNC, FILE_SYNC])
def test_a_write_is_as_stable_as_was_asked(file, stable):
    written = file.write(0, b"data", stable)
    assert written.committed >= stable
    assert file.run(commit()).ok().last.verifier == written.verifier
    assert file.read(0, 9).data == b"data"


def test_an_unknown_stability_is_refused(file):
    assert file.run(write(file.stateid, 0, b"x", 3)).status in ("INVAL", "BADXDR")


def test_io_far_beyond_a_file_can_be(file):
    assert file.run(write(file.stateid, 2**63, b"x")).status in ("FBIG", "INVAL")
    assert file.run(write(file.stateid, 2**64 - 1, b"xx")).status in ("FBIG", "INVAL")
    assert file.attrs(SIZE) == {SIZE: 0}


def test_a_write_moves_change_and_size_and_mtime(file):
    before = file.attrs(CHANGE, SIZE, TIME_MODIFY)
    file.write(0, b"12345")
    after = file.attrs(CHANGE, SIZE, TIME_MODIFY)
    assert after[CHANGE] > before[CHANGE] and after[SIZE] == 5 and after[TIME_MODIFY] >= before[TIME_MODIFY]


def test_commit_checks_its_range(file, directory, session):
    file.write(0, b"data", UNSTABLE)
    file.run(commit(0, 4)).ok()
    file.run(commit(10**6, 10)).ok()
    assert file.run(commit(2**64 - 1, 2)).status == "INVAL"
    assert directory.run(commit()).status == "ISDIR"


def test_io_is_for_regular_files(session, directory):
    for op in (read(ANONYMOUS, 0, 1), write(ANONYMOUS, 0, b"x")):
        assert directory.run(op).status == "ISDIR"
        directory.run(nfs4.create(b"link", nfs4.LNK, data=b"target"))
        assert directory.run(nfs4.lookup(b"link"), op).status in ("SYMLINK", "INVAL")
        directory.run(nfs4.create(b"fifo", nfs4.FIFO))
        assert directory.run(nfs4.lookup(b"fifo"), op).status in ("WRONG_TYPE", "INVAL")


def test_anonymous_io_is_checked_against_the_mode(file):
    file.run(setattr_({MODE: 0o640, OWNER: b"1000", OWNER_GROUP: b"2000"})).ok()
    mine, group, stranger = auth_sys(1000, 1), auth_sys(1, 2000), auth_sys(1, 1)
    found = [(file.run(read(ANONYMOUS, 0, 1), cred=cred).status,
              file.run(write(ANONYMOUS, 0, b"x"), cred=cred).status) for cred in (mine, group, stranger)]
    assert found == [("OK", "OK"), ("OK", "ACCESS"), ("ACCESS", "ACCESS")]


# --- who may go on with an open file -------------------------------------------------------------------

MINE, OTHER = auth_sys(1000, 1000), auth_sys(1001, 1001)


def shared_file(session, directory, share, mode=0o666):
    """(filehandle, stateid) of root's file, opened by user 1000, and closed to it by its mode since."""
    fh = directory.make(b"shared", b"0123456789", {MODE: mode})
    stateid = directory.run(open_(b"shared", share=share), cred=MINE).ok().last.stateid
    session.run(putfh(fh), setattr_({MODE: 0o600})).ok()
    return fh, stateid


def test_who_opened_a_file_goes_on_when_its_mode_changes(session, directory):
    """POSIX: open() checks permissions, read() and write() do not. No stateid lets others in."""
    fh, stateid = shared_file(session, directory, nfs4.ACCESS_BOTH)

    def run(operation, cred=MINE):
        return session.run(putfh(fh), operation, cred=cred).status

    assert run(read(stateid, 0, 4)) == "OK" and run(write(stateid, 0, b"x")) == "OK"
    assert run(setattr_({SIZE: 3}, stateid)) == "OK"
    for cred in (MINE, OTHER):
        assert run(read(ANONYMOUS, 0, 4), cred) == "ACCESS" and run(write(ANONYMOUS, 0, b"x"), cred) == "ACCESS"
        assert directory.run(open_(b"shared", share=nfs4.ACCESS_READ), cred=cred).status == "ACCESS"
    assert run(read(stateid, 0, 4), OTHER) == "ACCESS" and run(write(stateid, 0, b"x"), OTHER) == "ACCESS"
    assert run(setattr_({SIZE: 1}, stateid), OTHER) == "ACCESS"
    locked = session.run(putfh(fh), nfs4.lock(nfs4.WRITE_LT, 0, 1, stateid), cred=MINE).ok().last.stateid
    assert run(write(locked, 0, b"y")) == "OK"  # through its open


def test_who_opened_a_file_goes_on_only_with_what_it_was_opened_for(session, directory):
    fh, stateid = shared_file(session, directory, nfs4.ACCESS_WRITE, 0o622)
    assert session.run(putfh(fh), write(stateid, 0, b"x"), cred=MINE).status == "OK"
    assert session.run(putfh(fh), read(stateid, 0, 1), cred=MINE).status == "ACCESS"


def test_another_user_of_one_open_gains_nothing(session, directory):
    """Two users through one open owner: the second had its OPEN refused, or stands by its own permission."""
    fh, stateid = shared_file(session, directory, nfs4.ACCESS_READ, 0o644)
    assert directory.run(open_(b"shared", share=nfs4.ACCESS_READ), cred=OTHER).status == "ACCESS"
    session.run(putfh(fh), setattr_({MODE: 0o604})).ok()
    stateid = directory.run(open_(b"shared", share=nfs4.ACCESS_READ), cred=OTHER).ok().last.stateid
    session.run(putfh(fh), setattr_({MODE: 0o600})).ok()
    assert session.run(putfh(fh), read(stateid, 0, 1), cred=OTHER).status == "ACCESS"
    assert session.run(putfh(fh), read(stateid, 0, 1), cred=MINE).status == "OK"


def test_who_may_execute_a_file_may_read_its_data(session, directory):
    """RFC 8881 section 6.2.1.3.1: there is no other way to execute it. ACCESS tells the client what its programs may."""
    fh = directory.make(b"program", b"#!/bin/true", {MODE: 0o711})
    opened = directory.run(open_(b"program", share=nfs4.ACCESS_READ), cred=OTHER).ok().last
    assert session.run(putfh(fh), read(opened.stateid, 0, 2), cred=OTHER).ok().last.data == b"#!"
    assert session.run(putfh(fh), nfs4.access(0x21), cred=OTHER).ok().last.access == 0x20  # EXECUTE, not READ
    assert directory.run(open_(b"program", share=nfs4.ACCESS_BOTH), cred=OTHER).status == "ACCESS"
    session.run(putfh(fh), setattr_({MODE: 0o700})).ok()
    assert directory.run(open_(b"program", share=nfs4.ACCESS_READ), cred=OTHER).status == "ACCESS"
    directory.mkdir(b"searchable", 0o711)
    assert directory.run(nfs4.lookup(b"searchable"), nfs4.readdir(), cred=OTHER).status == "ACCESS"


# --- GETATTR --------------------------------------------------------------------------------------

def test_getattr_answers_what_it_supports_and_ignores_the_rest(session, directory):
    supported = directory.run(getattr_(nfs4.SUPPORTED_ATTRS)).ok().last.attrs[0]
    assert {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 19, 75} <= set(supported)
    assert not {12, 14, 82} & set(supported)  # no ACL; nothing of version 4.2
    wild = directory.run(getattr_(TYPE, 200, 300)).ok().last
    assert wild.attrs == {TYPE: nfs4.DIR}
    assert directory.run(getattr_()).ok().last.attrs == {}


def test_file_ids_are_distinct_and_stay(directory):
    ids = {}
    for name in (b"a", b"b", b"c"):
        fh = directory.make(name)
        ids[name] = directory.session.run(putfh(fh), getattr_(FILEID)).ok().last.attrs[FILEID]
    assert len(set(ids.values())) == 3 and 0 not in ids.values()
    directory.run(nfs4.savefh(), nfs4.rename(b"a", b"z")).ok()
    reply = directory.run(nfs4.lookup(b"z"), getattr_(FILEID)).ok()
    assert reply.last.attrs[FILEID] == ids[b"a"]


# --- SETATTR --------------------------------------------------------------------------------------

def test_setattr_sets_and_says_what_it_set(file):
    values = {MODE: 0o4751, OWNER: b"12", OWNER_GROUP: b"34", TIME_MODIFY_SET: (1234567890, 123456789)}
    reply = file.run(setattr_(values)).ok()
    assert sorted(reply.last.attrset) == sorted(values)
    found = file.attrs(MODE, OWNER, OWNER_GROUP, TIME_MODIFY)
    assert found == {MODE: 0o4751, OWNER: b"12", OWNER_GROUP: b"34", TIME_MODIFY: (1234567890, 123456789)}


def test_setattr_of_the_size_cuts_and_grows(file):
    file.write(0, b"0123456789")
    for size, content in ((4, b"0123"), (8, b"0123" + bytes(4)), (0, b""), (3, bytes(3))):
        file.run(setattr_({SIZE: size}, file.stateid)).ok()
        assert file.read(0, 100).data == content


@pytest.mark.parametrize("values, expected", [
    ({TYPE: 2}, "INVAL"), ({FILEID: 5}, "INVAL"), ({CHANGE: 5}, "INVAL"), ({12: b""}, "ATTRNOTSUPP"),
    ({TIME_MODIFY_SET: (0, 10**9)}, "INVAL"), ({SIZE: 2**64 - 1}, "FBIG"), ({OWNER: b"nobody@nowhere"}, "BADOWNER"),
    ({OWNER: b""}, "INVAL"), ({MODE: 0o10000}, "INVAL")])
def test_setattr_errors_set_nothing(file, values, expected):
    before = file.attrs(MODE, OWNER, SIZE, TIME_MODIFY)
    reply = file.run(setattr_(values))
    assert reply.status == expected
    assert reply.last.attrset == []  # it is there with an error, too
    assert file.attrs(MODE, OWNER, SIZE, TIME_MODIFY) == before


def test_setattr_with_a_value_that_does_not_fit_its_mask_is_malformed(file):
    for encoded in (b"", bytes(3), bytes(8)):
        body = nfs4.stateid_bytes(ANONYMOUS) + nfs4.bitmap([MODE]) + nfs4.opaque(encoded)
        assert file.run(nfs4.op("SETATTR", body)).status == "BADXDR"


def test_setattr_of_what_is_not_mine_is_refused(file):
    stranger = auth_sys(1000, 1000)
    assert file.run(setattr_({MODE: 0o777}), cred=stranger).status in ("PERM", "ACCESS")
    assert file.run(setattr_({OWNER: b"1000"}), cred=stranger).status in ("PERM", "ACCESS")
    assert file.run(setattr_({SIZE: 0}), cred=stranger).status == "ACCESS"
    file.run(setattr_({OWNER: b"1000"})).ok()
    assert file.run(setattr_({OWNER: b"1001"}), cred=stranger).status == "PERM"  # giving away is root's
    file.run(setattr_({MODE: 0o600}), cred=stranger).ok()


def test_setattr_of_the_size_wants_an_open_for_writing(session, directory):
    directory.make(b"r")
    reader = File(directory, b"r", share=nfs4.ACCESS_READ, how=None)
    assert reader.run(setattr_({SIZE: 5}, reader.stateid)).status == "OPENMODE"
    assert reader.run(setattr_({SIZE: 5}, (7, b"x" * 12))).status == "BAD_STATEID"
    assert directory.run(setattr_({SIZE: 5})).status in ("ISDIR", "INVAL")


def test_writing_by_a_user_clears_setuid(file):
    file.run(setattr_({MODE: 0o6777})).ok()
    file.run(write(ANONYMOUS, 0, b"x"), cred=auth_sys(1000, 1000)).ok()
    assert file.attrs(MODE) == {MODE: 0o777}


# --- VERIFY and NVERIFY ---------------------------------------------------------------------------

def test_verify_goes_on_when_attributes_are_the_same(file):
    same, other = {TYPE: nfs4.REG, SIZE: 0}, {TYPE: nfs4.REG, SIZE: 1}
    assert file.run(verify(same), getattr_(TYPE)).status == "OK"
    assert file.run(verify(other), getattr_(TYPE)).status == "NOT_SAME"
    assert file.run(nverify(other), getattr_(TYPE)).status == "OK"
    assert file.run(nverify(same), getattr_(TYPE)).status == "SAME"


def test_verify_of_what_cannot_be_compared(file):
    for compare in (verify, nverify):
        assert file.run(compare({12: nfs4.u32(0)})).status == "ATTRNOTSUPP"
        assert file.run(compare({TIME_MODIFY_SET: None})).status == "INVAL"
        assert file.run(compare({nfs4.RDATTR_ERROR: 0})).status == "INVAL"


# --- ACCESS ---------------------------------------------------------------------------------------

def test_access_answers_for_the_user_who_asks(file):
    file.run(setattr_({MODE: 0o640, OWNER: b"1000", OWNER_GROUP: b"2000"})).ok()
    expected = {(1000, 1): 0x0D, (1, 2000): 0x01, (1, 1): 0}  # READ, MODIFY, EXTEND; READ; nothing
    for (uid, gid), bits in expected.items():
        found = file.run(nfs4.access(0x0D), cred=auth_sys(uid, gid)).ok().last
        assert (found.supported, found.access) == (0x0D, bits), uid


def test_access_answers_only_what_makes_sense(session, directory):
    fh = directory.make(b"f")
    of_file = session.run(putfh(fh), nfs4.access(0x3F)).ok().last
    assert of_file.supported & 0x12 == 0  # LOOKUP and DELETE are of directories
    of_directory = directory.run(nfs4.access(0x3F)).ok().last
    assert of_directory.supported & 0x1F == 0x1F and of_directory.access & 0x1F == 0x1F


def test_the_root_is_a_directory_with_a_lease(session):
    found = session.run(putrootfh(), getattr_(TYPE, 10)).ok().last.attrs
    assert found[TYPE] == nfs4.DIR and 5 <= found[10] <= 3600


def test_an_open_file_is_closed_at_last(file):
    file.run(close(file.stateid)).ok()

"""Extended attributes, and attributes of version 4.2. RFC 8276, RFC 8275, RFC 7862 section 12."""

import os

import nfs4
from nfs4 import (CHANGE, CHANGE_ATTR_TYPE, MODE, MODE_UMASK, SUPPATTR_EXCLCREAT, SUPPORTED_ATTRS, XATTR_CREATE,
                  XATTR_REPLACE, XATTR_SUPPORT, access, auth_sys, getattr_, getxattr, listxattrs, lookup, open_, putfh,
                  putrootfh, removexattr, setattr_, setxattr)
import pytest

XAREAD, XAWRITE, XALIST = 0x40, 0x80, 0x100
OTHER = auth_sys(1000, 1000)


@pytest.fixture
def session(connect):
    return connect(minor=2)


class Thing:
    """A file or directory with attributes."""

    def __init__(self, session, fh):
        self.session = session
        self.fh = fh

    def run(self, *ops, **options):
        return self.session.run(putfh(self.fh), *ops, **options)

    def set(self, name, value=b"v", option=nfs4.XATTR_EITHER, **options):
        return self.run(setxattr(name, value, option), **options)

    def get(self, name):
        return self.run(getxattr(name)).ok().last.value

    def names(self, maxcount=4096):
        found, cookie, eof = [], 0, 0
        while not eof:
            page = self.run(listxattrs(cookie, maxcount)).ok().last
            found, cookie, eof = found + page.names, page.cookie, page.eof
            assert eof or page.names
        return found


@pytest.fixture(params=["file", "directory"])
def thing(request, directory):
    return Thing(directory.session, directory.make(b"f") if request.param == "file" else directory.mkdir(b"d"))


# --- what is set is kept -------------------------------------------------------------------------------

def test_what_is_set_is_got(thing):
    for name, value in ((b"a", b""), (b"b", b"\0\xff" * 100), (b"caf\xc3\xa9", b"x"), (b"n" * 255, b"long"),
                        (b"c", os.urandom(65536)), (b"with space/and.dots", b"y")):
        thing.set(name, value).ok()
        assert thing.get(name) == value
    thing.set(b"b", b"new").ok()
    assert thing.get(b"b") == b"new"
    assert sorted(thing.names()) == sorted([b"a", b"b", b"caf\xc3\xa9", b"n" * 255, b"c", b"with space/and.dots"])


def test_create_and_replace(thing):
    assert thing.set(b"a", b"1", XATTR_REPLACE).status == "NOXATTR"
    thing.set(b"a", b"1", XATTR_CREATE).ok()
    assert thing.set(b"a", b"2", XATTR_CREATE).status == "EXIST"
    thing.set(b"a", b"3", XATTR_REPLACE).ok()
    assert thing.get(b"a") == b"3"
    assert thing.set(b"a", b"4", 3).status == "INVAL"


def test_removed_attributes_are_gone(thing):
    thing.set(b"a").ok()
    thing.set(b"b").ok()
    thing.run(removexattr(b"a")).ok()
    assert thing.run(removexattr(b"a")).status == "NOXATTR"
    assert thing.run(getxattr(b"a")).status == "NOXATTR"
    assert thing.names() == [b"b"]


def test_changes_move_the_change_attribute(thing):
    for op in (setxattr(b"a", b"1"), setxattr(b"a", b"2"), removexattr(b"a")):
        before = thing.run(getattr_(CHANGE)).ok().last.attrs[CHANGE]
        cinfo = thing.run(op).ok().last.cinfo
        after = thing.run(getattr_(CHANGE)).ok().last.attrs[CHANGE]
        assert (cinfo.atomic, cinfo.before, cinfo.after) == (1, before, after) and after > before
    before = thing.run(getattr_(CHANGE)).ok().last.attrs[CHANGE]
    thing.run(listxattrs()).ok()
    assert thing.run(getxattr(b"a")).status == "NOXATTR"
    assert thing.run(getattr_(CHANGE)).ok().last.attrs[CHANGE] == before


def numbers(value):
    return {word: int(number) for word, number in (pair.split("=") for pair in value.decode().split())}


def test_usage_of_directories(directory):
    top = Thing(directory.session, directory.mkdir(b"top"))
    inner = top.run(nfs4.create(b"inner"), nfs4.getfh()).ok().last.fh
    assert numbers(top.get(b"shoal.usage")) == {"bytes": 0, "size": 0, "files": 0, "directories": 1, "others": 0}
    file = Thing(directory.session, directory.make(b"f"))
    assert file.run(getxattr(b"shoal.usage")).status == "NOXATTR"
    assert Thing(directory.session, inner).run(getxattr(b"shoal.nothing")).status == "NOXATTR"
    assert top.names() == []


def test_what_the_server_makes_cannot_be_set(thing):
    for name in (b"shoal.usage", b"shoal.other"):
        assert thing.set(name).status == "PERM"
        assert thing.run(removexattr(name)).status == "PERM"


def test_usage_wants_read_permission(directory):
    closed = Thing(directory.session, directory.mkdir(b"closed"))
    closed.run(setattr_({MODE: 0o711})).ok()
    assert closed.run(getxattr(b"shoal.usage"), cred=OTHER).status == "ACCESS"


def test_attributes_go_with_the_file(directory):
    thing = Thing(directory.session, directory.make(b"f"))
    thing.set(b"a", b"kept").ok()
    directory.session.run(putfh(directory.fh), nfs4.savefh(), nfs4.rename(b"f", b"g")).ok()
    assert directory.run(lookup(b"g"), getxattr(b"a")).ok().last.value == b"kept"
    directory.run(nfs4.remove(b"g")).ok()
    fresh = Thing(directory.session, directory.make(b"g"))
    assert fresh.names() == []


def test_attributes_survive_a_kill(own_server):
    address = own_server.up()["mount_targets"][0]["ip"], own_server.nfs_port
    session = nfs4.connect(address, minor=2)
    thing = Thing(session, session.run(putrootfh(), nfs4.getfh()).ok().last.fh)
    thing.set(b"kept", b"x" * 10_000).ok()
    thing.set(b"gone").ok()
    thing.run(removexattr(b"gone")).ok()
    own_server.kill9()
    own_server.start()
    thing.session = nfs4.connect(address, minor=2)
    assert thing.names() == [b"kept"]
    assert thing.get(b"kept") == b"x" * 10_000


# --- limits --------------------------------------------------------------------------------------------

def test_names_that_cannot_be_are_refused(thing):
    for name, status in ((b"", "INVAL"), (b"n" * 256, "NAMETOOLONG"), (b"a\0b", "BADCHAR")):
        assert thing.set(name).status == status
        assert thing.run(getxattr(name)).status == status
        assert thing.run(removexattr(name)).status == status
    assert thing.names() == []


def test_values_have_a_limit(thing):
    assert thing.set(b"big", b"x" * 65537).status == "XATTR2BIG"
    thing.set(b"big", b"x" * 65536).ok()


def test_all_together_have_a_limit(thing):
    for number in range(20):
        status = thing.set(b"big%d" % number, b"x" * 65536).status
        if status != "OK":
            break
    assert status == "NOSPC" and number >= 3
    assert len(thing.names()) == number
    thing.run(removexattr(b"big0")).ok()
    thing.set(b"big0", b"x" * 60000).ok()


def test_names_are_listed_in_pieces(thing):
    names = [b"name-%03d" % number for number in range(200)]
    for name in names:
        thing.set(name, b"").ok()
    for maxcount in (28, 100, 1000, 65536):
        assert sorted(thing.names(maxcount)) == names
    for maxcount in (0, 15, 16, 27):
        assert thing.run(listxattrs(0, maxcount)).status == "TOOSMALL"
    page = thing.run(listxattrs(0, 100)).ok().last
    assert len(page.names) == (100 - 16) // 12 and not page.eof


def test_a_name_that_stays_is_listed_once(thing):
    names = [b"name-%03d" % number for number in range(100)]
    for name in names:
        thing.set(name, b"").ok()
    page = thing.run(listxattrs(0, 600)).ok().last
    for name in page.names[:10]:
        thing.run(removexattr(name)).ok()
    rest, cookie, eof = [], page.cookie, page.eof
    while not eof:
        more = thing.run(listxattrs(cookie, 600)).ok().last
        rest, cookie, eof = rest + more.names, more.cookie, more.eof
    assert sorted(page.names + rest) == names


def test_a_reply_never_goes_beyond_what_the_session_takes(connect):
    session = connect(minor=2, fore=nfs4.channel(response=2000))
    thing = Thing(session, session.run(putrootfh(), nfs4.create(os.urandom(4).hex().encode()), nfs4.getfh()).ok().last.fh)
    thing.set(b"big", b"x" * 3000).ok()
    assert thing.run(getxattr(b"big")).status == "REP_TOO_BIG"


# --- who, and of what -------------------------------------------------------------------------------------

def test_rights_decide(directory):
    thing = Thing(directory.session, directory.make(b"f", values={MODE: 0o640}))
    thing.set(b"a").ok()
    for op in (getxattr(b"a"), listxattrs(), setxattr(b"a", b""), removexattr(b"a")):
        assert thing.run(op, cred=OTHER).status == "ACCESS"
    thing.run(setattr_({MODE: 0o604})).ok()
    for op, status in ((getxattr(b"a"), "OK"), (listxattrs(), "OK"), (setxattr(b"a", b""), "ACCESS")):
        assert thing.run(op, cred=OTHER).status == status
    found = thing.run(access(XAREAD | XAWRITE | XALIST | 1), cred=OTHER).ok().last
    assert (found.supported, found.access) == (XAREAD | XAWRITE | XALIST | 1, XAREAD | XALIST | 1)


def test_only_files_and_directories_have_them(directory):
    directory.run(nfs4.create(b"fifo", nfs4.FIFO)).ok()
    directory.run(nfs4.create(b"link", nfs4.LNK, data=b"target")).ok()
    for name in (b"fifo", b"link"):
        for op in (getxattr(b"a"), listxattrs(), setxattr(b"a", b""), removexattr(b"a")):
            assert directory.run(lookup(name), op).status == "WRONG_TYPE"
        assert directory.run(lookup(name), access(XAREAD)).ok().last.supported == 0


def test_without_a_file_there_is_nothing(session):
    for op in (getxattr(b"a"), listxattrs(), setxattr(b"a", b""), removexattr(b"a")):
        assert session.run(op).status == "NOFILEHANDLE"


# --- attributes of 4.2 ----------------------------------------------------------------------------------------

def test_attributes_of_42(session, connect):
    found = session.run(putrootfh(), getattr_(SUPPORTED_ATTRS, SUPPATTR_EXCLCREAT, CHANGE_ATTR_TYPE, XATTR_SUPPORT))
    attrs = found.ok().last.attrs
    assert {CHANGE_ATTR_TYPE, MODE_UMASK, XATTR_SUPPORT} <= set(attrs[SUPPORTED_ATTRS])
    assert MODE_UMASK in attrs[SUPPATTR_EXCLCREAT] and XATTR_SUPPORT not in attrs[SUPPATTR_EXCLCREAT]
    assert (attrs[CHANGE_ATTR_TYPE], attrs[XATTR_SUPPORT]) == (2, 1)
    older = connect().run(putrootfh(), getattr_(SUPPORTED_ATTRS, CHANGE_ATTR_TYPE)).ok().last.attrs
    assert CHANGE_ATTR_TYPE not in older and not {CHANGE_ATTR_TYPE, MODE_UMASK, XATTR_SUPPORT} & set(older[SUPPORTED_ATTRS])


def test_the_umask_is_applied_where_something_is_made(directory):
    directory.run(open_(b"f", how=nfs4.GUARDED, values={MODE_UMASK: (0o666, 0o027)})).ok()
    directory.run(nfs4.create(b"d", values={MODE_UMASK: (0o1777, 0o022)})).ok()
    assert directory.run(lookup(b"f"), getattr_(MODE)).ok().last.attrs[MODE] == 0o640
    assert directory.run(lookup(b"d"), getattr_(MODE)).ok().last.attrs[MODE] == 0o1755


def test_the_umask_stands_alone(directory):
    both = {MODE: 0o644, MODE_UMASK: (0o666, 0o022)}
    assert directory.run(open_(b"f", how=nfs4.GUARDED, values=both)).status == "INVAL"
    fh = directory.make(b"g")
    assert directory.session.run(putfh(fh), setattr_({MODE_UMASK: (0o666, 0)})).status == "INVAL"
    assert directory.session.run(putfh(fh), getattr_(MODE_UMASK)).status == "INVAL"
    assert directory.session.run(putfh(fh), nfs4.verify({MODE_UMASK: (0, 0)})).status == "INVAL"
    for pair in ((0o10000, 0), (0o666, 0o1000)):
        assert directory.run(open_(b"h", how=nfs4.GUARDED, values={MODE_UMASK: pair})).status == "INVAL"

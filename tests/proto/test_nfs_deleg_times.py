"""Times that the holder of a write delegation keeps. RFC 9754 sections 3 and 5."""

import time

import nfs4
import nfs4_back
import nfs_place
import pytest
import shoal_server
from nfs4 import (ACCESS_BOTH, ACCESS_READ, CHANGE, MODE, OPEN_ARGUMENTS, SIZE, SUPPORTED_ATTRS, SUPPATTR_EXCLCREAT, TIME_ACCESS,
                  TIME_DELEG_ACCESS, TIME_DELEG_MODIFY, TIME_MODIFY, TIME_MODIFY_SET, putfh)
from nfs4_back import CB_GETATTR, READ, WRITE, begin, delegreturn

WANT_TIMES, WRITE_TIMES, WANT_BIT = 0x100000, 5, 20


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with shoal_server.Server(tmp_path_factory.mktemp("times") / "shoal",
                             options=["--set", "nfs.delegated_times=1"]) as running:
        yield running


def connect_42(address):
    client = nfs4.Client(nfs4_back.BackConn(address))
    return client.session(flags=nfs4_back.BACK_CHANNEL, minor=2, back=nfs4.channel(4096, 4096, 0, 8, 4)).ready()


@pytest.fixture
def holder(address):
    session = connect_42(address)
    yield session
    session.conn.close()


class Held:
    """A file that a client of 4.2 has open, and what it was given."""

    def __init__(self, session, directory, share=ACCESS_BOTH | WANT_TIMES, name=b"f"):
        self.session = session
        self.fh = directory.make(name, b"0123456789", {MODE: 0o666})
        self.before = self.times(session)
        opened = session.run(putfh(directory.fh), nfs4.open_(name, share=share)).ok().last
        self.kind, self.stateid = opened.delegation, getattr(opened, "deleg_stateid", None)

    def times(self, session):
        found = session.run(putfh(self.fh), nfs4.getattr_(TIME_ACCESS, TIME_MODIFY)).ok().last.attrs
        return found[TIME_ACCESS], found[TIME_MODIFY]

    def tell(self, values, stateid=None):
        return self.session.run(putfh(self.fh), nfs4.setattr_(values, stateid or self.stateid))


@pytest.fixture
def held(holder, directory):
    made = Held(holder, directory)
    assert made.kind == WRITE_TIMES
    return made


def later(when, nanoseconds=1000):
    return when[0] + (when[1] + nanoseconds) // 10**9, (when[1] + nanoseconds) % 10**9


def test_it_is_offered_and_given_to_who_wants_it(holder, directory, session):
    found = holder.run(putfh(directory.fh), nfs4.getattr_(SUPPORTED_ATTRS, SUPPATTR_EXCLCREAT, OPEN_ARGUMENTS)).ok().last.attrs
    assert {TIME_DELEG_ACCESS, TIME_DELEG_MODIFY} <= set(found[SUPPORTED_ATTRS])
    assert not {TIME_DELEG_ACCESS, TIME_DELEG_MODIFY} & set(found[SUPPATTR_EXCLCREAT])
    assert WANT_BIT in found[OPEN_ARGUMENTS][2]
    assert Held(holder, directory, name=b"with").kind == WRITE_TIMES
    assert Held(holder, directory, ACCESS_BOTH, b"without").kind == WRITE
    assert Held(holder, directory, ACCESS_READ | WANT_TIMES, b"read").kind == READ
    older = session.run(putfh(directory.fh), nfs4.getattr_(SUPPORTED_ATTRS)).ok().last.attrs
    assert TIME_DELEG_MODIFY not in older[SUPPORTED_ATTRS]  # of 4.1


def test_the_holder_tells_its_times_before_it_returns(held, session):
    accessed, modified = later(held.before[0], 2000), later(held.before[1])
    held.session.run(putfh(held.fh), nfs4.write(held.stateid, 0, b"x")).ok()
    reply = held.session.run(
        putfh(held.fh), nfs4.setattr_({TIME_DELEG_ACCESS: accessed, TIME_DELEG_MODIFY: modified}, held.stateid),
        delegreturn(held.stateid)).ok()
    assert sorted(reply.of("SETATTR").attrset) == [TIME_DELEG_ACCESS, TIME_DELEG_MODIFY]
    assert held.times(session) == (accessed, modified)  # not when the server got the data


def test_earlier_times_are_ignored_and_those_of_the_future_are_now(held, session):
    held.tell({TIME_DELEG_MODIFY: (1, 0), TIME_DELEG_ACCESS: (1, 0)}).ok()
    held.session.run(putfh(held.fh), delegreturn(held.stateid)).ok()
    assert held.times(session) == held.before


def test_a_time_of_the_future_is_now(held, session):
    held.tell({TIME_DELEG_MODIFY: (2**40, 0)}).ok()
    held.session.run(putfh(held.fh), delegreturn(held.stateid)).ok()
    modified = held.times(session)[1]
    assert held.before[1] < modified and modified[0] <= time.time() + 1


def test_with_attributes_that_are_refused_no_time_is_set(held):
    told = {MODE: 0o600, TIME_DELEG_MODIFY: later(held.before[1])}
    someone = nfs4.auth_sys(1000, 1000)
    refused = held.session.run(putfh(held.fh), nfs4.setattr_(told, held.stateid), cred=someone)
    assert refused.status == "PERM" and refused.last.attrset == []
    assert held.times(held.session) == held.before
    reply = held.tell(told).ok()
    assert sorted(reply.of("SETATTR").attrset) == [MODE, TIME_DELEG_MODIFY]
    assert held.times(held.session)[1] == told[TIME_DELEG_MODIFY]


def test_only_the_holder_of_such_a_delegation_sets_them(holder, held, directory, session):
    values = {TIME_DELEG_MODIFY: later(held.before[1])}
    assert held.tell(values, nfs4.ANONYMOUS).status == "BAD_STATEID"
    plain = Held(holder, directory, ACCESS_BOTH, b"plain")
    assert plain.tell(values).status == "BAD_STATEID"
    assert held.tell({**values, TIME_MODIFY_SET: None}).status == "INVAL"
    assert session.run(putfh(held.fh), nfs4.setattr_(values, held.stateid)).status == "ATTRNOTSUPP"  # of 4.1
    made = holder.run(putfh(directory.fh), nfs4.create(b"d", values={TIME_DELEG_MODIFY: (5, 0)}))
    assert made.status == "ATTRNOTSUPP"
    assert holder.run(putfh(held.fh), nfs4.getattr_(TIME_DELEG_MODIFY)).status == "INVAL"  # only to be set
    assert held.times(holder) == held.before


def test_what_the_holder_has_set_itself_counts_from_there(held, session):
    """A program of the holder sets an old time, and the file is written after that."""
    held.tell({TIME_MODIFY_SET: (1000, 0)}).ok()
    held.tell({TIME_DELEG_MODIFY: (2000, 0)}).ok()
    held.session.run(putfh(held.fh), delegreturn(held.stateid)).ok()
    assert held.times(session)[1] == (2000, 0)


def test_others_are_told_what_the_holder_says(held, session):
    size, change = 10, held.session.run(putfh(held.fh), nfs4.getattr_(CHANGE)).ok().last.attrs[CHANGE]
    said = {"mtime": held.before[1]}
    held.session.conn.answers[CB_GETATTR] = lambda call: (
        0, nfs4.bitmap([CHANGE, SIZE, TIME_DELEG_ACCESS, TIME_DELEG_MODIFY]) +
        nfs4.opaque(nfs4.u64(change, size) + b"".join(
            nfs4.u64(when[0]) + nfs4.u32(when[1]) for when in (held.before[0], said["mtime"]))))

    def ask():
        finish = begin(session, putfh(held.fh), nfs4.getattr_(CHANGE, TIME_MODIFY))
        call = held.session.conn.wait_for(CB_GETATTR)
        assert call.attrs == [CHANGE, SIZE, TIME_DELEG_ACCESS, TIME_DELEG_MODIFY]
        return finish().ok().last.attrs

    assert ask() == {CHANGE: change, TIME_MODIFY: held.before[1]}
    said["mtime"] = later(held.before[1])
    first = ask()
    assert first[TIME_MODIFY] == said["mtime"] and first[CHANGE] > change
    assert ask() == first  # nothing new
    held.session.run(putfh(held.fh), delegreturn(held.stateid)).ok()


def test_it_is_off_by_default(tmp_path):
    with shoal_server.Server(tmp_path / "shoal") as plain:
        address = plain.up()["mount_targets"][0]["ip"], plain.nfs_port
        session = connect_42(address)
        maker = nfs4.connect(address)
        directory = nfs_place.new_directory(maker)
        assert Held(session, directory).kind == WRITE
        found = session.run(putfh(directory.fh), nfs4.getattr_(SUPPORTED_ATTRS, OPEN_ARGUMENTS)).ok().last.attrs
        assert TIME_DELEG_MODIFY not in found[SUPPORTED_ATTRS] and WANT_BIT not in found[OPEN_ARGUMENTS][2]
        maker.conn.close()
        session.conn.close()

"""Delegations and the back channel. RFC 8881 sections 10.4, 18.16 and 20."""

import time

import nfs4
import nfs4_back
import nfs_place
import pytest
from nfs4 import (ACCESS_BOTH, ACCESS_READ, ACCESS_WRITE, CHANGE, MODE, SIZE, TIME_MODIFY, TIME_MODIFY_SET, WRITE_LT, WRITEW_LT,
                  putfh)
from nfs4_back import (BACKCHANNEL_FAULT, CB_GETATTR, CB_NOTIFY_LOCK, CB_PATH_DOWN, CB_PATH_DOWN_SESSION, CB_RECALL, NONE, NONE_EXT, READ,
                       WANT_ANY, WANT_NONE, WANT_READ, WANT_WRITE, WRITE, begin, delegreturn, flags_of)


@pytest.fixture
def back(address):
    """back(**options): another client with a back channel."""
    sessions = []

    def make(**options):
        sessions.append(nfs4_back.connect(address, **options))
        return sessions[-1]

    yield make
    for session in sessions:
        session.conn.close()


class Held:
    """A client that has a delegation on a file."""

    def __init__(self, directory, session, share, name=b"f", **options):
        options.setdefault("how", nfs4.UNCHECKED)
        reply = directory.run(nfs4.open_(name, share=share, values={MODE: 0o666}, **options), nfs4.getfh(),
                              session=session).ok()
        self.session, self.fh, self.name, self.directory = session, reply.last.fh, name, directory
        opened = reply.of("OPEN")
        self.kind, self.open = opened.delegation, opened.stateid
        self.stateid = getattr(opened, "deleg_stateid", None)

    def run(self, *ops):
        return self.session.run(putfh(self.fh), *ops)

    def give_back(self):
        return self.run(delegreturn(self.stateid)).ok()

    def close(self):
        self.run(nfs4.close(self.open)).ok()


@pytest.fixture
def reader(back, directory):
    directory.make(b"f", b"0123456789", {MODE: 0o666})
    held = Held(directory, back(), ACCESS_READ, how=None)
    assert held.kind == READ
    return held


@pytest.fixture
def writer(back, directory):
    directory.make(b"f", b"0123456789", {MODE: 0o666})
    held = Held(directory, back(), ACCESS_BOTH, how=None)
    assert held.kind == WRITE
    return held


def recalled(held, finish, status="OK"):
    """The request behind `finish` has the delegation recalled, and goes on once it is returned."""
    call = held.session.conn.wait_for(CB_RECALL)
    assert (call.stateid[1], call.fh) == (held.stateid[1], held.fh)
    held.give_back()
    reply = finish()
    assert reply.status == status, reply.results[-1]
    return reply


def test_a_read_open_gets_a_read_delegation_and_reads_with_it(reader):
    assert reader.stateid[0] == 1
    assert reader.run(nfs4.read(reader.stateid, 0, 4)).ok().last.data == b"0123"
    assert reader.run(nfs4.write(reader.stateid, 0, b"x")).status == "OPENMODE"
    assert reader.run(nfs4.test_stateid(reader.stateid)).ok().last.codes == ["OK"]
    assert reader.run(nfs4.free_stateid(reader.stateid)).status == "LOCKS_HELD"
    reader.give_back()
    assert reader.run(delegreturn(reader.stateid)).status == "BAD_STATEID"


def test_a_write_open_gets_a_write_delegation_that_outlives_it(writer):
    writer.close()
    writer.run(nfs4.write(writer.stateid, 0, b"changed")).ok()
    assert writer.run(nfs4.read(writer.stateid, 0, 7)).ok().last.data == b"changed"
    writer.give_back()


def test_wants_are_honoured(back, directory):
    one = back()
    for share, why in ((WANT_NONE, 0), (nfs4_back.WANT_CANCEL, 7)):
        reply = directory.run(nfs4.open_(b"f", share=ACCESS_READ | share, how=nfs4.UNCHECKED), session=one).ok()
        assert (reply.last.delegation, reply.last.why) == (NONE_EXT, why)
    assert Held(directory, one, ACCESS_BOTH | WANT_READ).kind == READ
    assert Held(directory, one, ACCESS_BOTH | WANT_WRITE, b"g").kind == WRITE
    assert Held(directory, one, ACCESS_READ | WANT_ANY, b"h").kind == READ


def test_a_session_without_back_channel_gets_none(back, directory):
    assert Held(directory, back(flags=0), ACCESS_READ).kind == NONE


def test_several_clients_read_by_delegation_and_a_writer_stops_them(reader, back, directory):
    other = Held(directory, back(), ACCESS_READ, how=None)
    assert other.kind == READ
    third = back()
    finish = begin(third, putfh(directory.fh), nfs4.open_(b"f", share=ACCESS_WRITE))
    reader.session.conn.wait_for(CB_RECALL)
    reader.give_back()
    reply = recalled(other, finish)
    assert reply.last.delegation == NONE  # the others still have it open


@pytest.mark.parametrize("change", ["open", "truncate", "anonymous write", "chmod", "remove", "rename", "rename over", "link"])
def test_changes_by_others_recall_a_read_delegation(reader, back, directory, change):
    reader.close()
    directory.make(b"other")
    other = back()
    ops = {"open": [putfh(directory.fh), nfs4.open_(b"f", share=ACCESS_WRITE)],
           "truncate": [putfh(reader.fh), nfs4.setattr_({SIZE: 0})],
           "anonymous write": [putfh(reader.fh), nfs4.write(nfs4.ANONYMOUS, 0, b"x")],
           "chmod": [putfh(reader.fh), nfs4.setattr_({MODE: 0o600})],
           "remove": [putfh(directory.fh), nfs4.remove(b"f")],
           "rename": [putfh(directory.fh), nfs4.savefh(), nfs4.rename(b"f", b"g")],
           "rename over": [putfh(directory.fh), nfs4.savefh(), nfs4.rename(b"other", b"f")],
           "link": [putfh(reader.fh), nfs4.savefh(), putfh(directory.fh), nfs4.link(b"g")]}[change]
    finish = begin(other, *ops)
    recalled(reader, finish)


def test_reads_by_others_leave_a_read_delegation_alone(reader, back, directory):
    other = back()
    assert other.run(putfh(reader.fh), nfs4.read(nfs4.ANONYMOUS, 0, 10)).ok().last.data == b"0123456789"
    other.run(putfh(reader.fh), nfs4.getattr_(SIZE, CHANGE)).ok()
    Held(directory, other, ACCESS_READ, how=None).close()
    assert reader.run(nfs4.getattr_(SIZE)).ok() and not reader.session.conn.calls


def test_an_own_change_recalls_nothing(writer, directory):
    session = writer.session
    writer.run(nfs4.setattr_({MODE: 0o600})).ok()
    writer.run(nfs4.setattr_({SIZE: 3}, writer.stateid)).ok()
    Held(directory, session, ACCESS_BOTH, how=None, owner=b"other").close()
    directory.run(nfs4.savefh(), nfs4.rename(b"f", b"g"), session=session).ok()
    directory.run(nfs4.remove(b"g"), session=session).ok()
    assert not session.conn.calls
    writer.give_back()


def test_a_reader_stops_a_write_delegation(writer, back, directory):
    other = back()
    finish = begin(other, putfh(directory.fh), nfs4.open_(b"f", share=ACCESS_READ), nfs4.getfh(),
                   nfs4.read(nfs4.CURRENT, 0, 10))
    writer.session.conn.wait_for(CB_RECALL)
    writer.run(nfs4.write(writer.stateid, 0, b"last words")).ok()
    writer.give_back()
    assert finish().ok().last.data == b"last words"


def test_what_is_not_returned_soon_is_delay_and_a_return_ends_it(reader, back, directory):
    other = back()
    opening = nfs4.open_(b"f", share=ACCESS_WRITE)
    assert directory.run(opening, session=other).status == "DELAY"
    assert directory.run(opening, session=other).status == "DELAY"
    reader.session.run().ok()
    assert [call.op for call in reader.session.conn.calls] == [CB_RECALL]  # once
    reader.give_back()
    directory.run(opening, session=other).ok()


def test_after_a_conflict_nobody_gets_one_for_a_while(reader, back, directory):
    other = back()
    finish = begin(other, putfh(directory.fh), nfs4.open_(b"f", share=ACCESS_WRITE))
    stateid = recalled(reader, finish).last.stateid
    reader.close()
    other.run(putfh(reader.fh), nfs4.close(stateid)).ok()
    reply = directory.run(nfs4.open_(b"f", share=ACCESS_READ | WANT_READ), session=reader.session).ok()
    assert (reply.last.delegation, reply.last.why) == (NONE_EXT, 1)  # WND4_CONTENTION


def test_others_with_the_file_open_prevent_one(back, directory):
    one, two = back(), back()
    directory.make(b"f", values={MODE: 0o666})
    writing = Held(directory, one, ACCESS_WRITE | WANT_NONE, how=None)
    assert Held(directory, two, ACCESS_READ, how=None).kind == NONE
    writing.close()
    assert Held(directory, two, ACCESS_READ, how=None, owner=b"again").kind == READ
    directory.make(b"g", values={MODE: 0o666})
    Held(directory, one, ACCESS_READ | WANT_NONE, b"g", how=None)
    assert Held(directory, two, ACCESS_BOTH, b"g", how=None).kind == NONE


def test_opens_made_under_a_delegation_are_claimed_while_it_is_recalled(writer, back, directory):
    other = back()
    finish = begin(other, putfh(directory.fh), nfs4.open_(b"f", share=ACCESS_READ))
    writer.session.conn.wait_for(CB_RECALL)
    claimed = directory.run(nfs4.open_(b"f", share=ACCESS_BOTH, owner=b"local", claim=nfs4.CLAIM_DELEGATE_CUR,
                                       deleg=writer.stateid), session=writer.session).ok()
    assert claimed.last.delegation == NONE
    writer.run(nfs4.open_(b"", share=ACCESS_READ, owner=b"local 2", claim=nfs4.CLAIM_DELEG_CUR_FH,
                          deleg=writer.stateid)).ok()
    writer.give_back()
    finish().ok()
    assert directory.run(nfs4.open_(b"f", owner=b"late", claim=nfs4.CLAIM_DELEGATE_CUR, deleg=writer.stateid),
                         session=writer.session).status == "BAD_STATEID"


def said_by(held, change, size):
    """The holder answers every CB_GETATTR so."""
    held.session.conn.answers[CB_GETATTR] = lambda call: (
        0, nfs4.bitmap([CHANGE, SIZE]) + nfs4.opaque(nfs4.u64(change, size)))


def test_a_getattr_of_another_client_asks_the_writer(writer, back):
    other = back()
    before = writer.run(nfs4.getattr_(CHANGE, SIZE)).ok().last.attrs
    said = {"change": before[CHANGE], "size": before[SIZE]}
    writer.session.conn.answers[CB_GETATTR] = lambda call: (
        0, nfs4.bitmap([CHANGE, SIZE]) + nfs4.opaque(nfs4.u64(said["change"], said["size"])))

    def ask():
        finish = begin(other, putfh(writer.fh), nfs4.getattr_(CHANGE, SIZE))
        call = writer.session.conn.wait_for(CB_GETATTR)
        assert (call.fh, call.attrs) == (writer.fh, [CHANGE, SIZE])
        return finish().ok().last.attrs

    assert ask() == before
    said.update(change=before[CHANGE] + 1, size=55)
    first = ask()
    assert first[SIZE] == 55 and first[CHANGE] > before[CHANGE]
    assert ask() == first  # nothing changed since
    assert all(call.op == CB_GETATTR for call in writer.session.conn.calls)


def test_what_was_written_back_is_no_change_and_keeps_its_time(writer, back):
    """A client that has nothing left to write back tells the counter that it got with the delegation."""
    granted = writer.run(nfs4.getattr_(CHANGE)).ok().last.attrs[CHANGE]
    writer.run(nfs4.write(writer.open, 10, b"more")).ok()
    set_by_program = {TIME_MODIFY_SET: (1_000_000_000, 0)}
    before = writer.run(nfs4.setattr_(set_by_program), nfs4.getattr_(CHANGE, TIME_MODIFY)).ok().last.attrs
    said_by(writer, granted, 14)
    other = back()

    def ask():
        finish = begin(other, putfh(writer.fh), nfs4.getattr_(CHANGE, SIZE, TIME_MODIFY))
        writer.session.conn.wait_for(CB_GETATTR)
        return finish().ok().last.attrs

    assert ask() == {**before, SIZE: 14} and before[TIME_MODIFY] == (1_000_000_000, 0)
    said_by(writer, granted + 1, 14)  # something is to be written back
    changed = ask()
    assert changed[CHANGE] > before[CHANGE] and changed[TIME_MODIFY] > before[TIME_MODIFY]
    assert ask() == changed
    said_by(writer, granted, 14)
    assert ask() == changed
    said_by(writer, granted + 1, 14)  # and again
    assert ask()[CHANGE] > changed[CHANGE]


def test_a_writer_that_cannot_tell_is_recalled(writer, back):
    writer.session.conn.answers[CB_GETATTR] = lambda call: (nfs4.STATUS["BADHANDLE"], b"")
    finish = begin(back(), putfh(writer.fh), nfs4.getattr_(SIZE))
    writer.session.conn.wait_for(CB_GETATTR)
    assert recalled(writer, finish).last.attrs[SIZE] == 10


def test_a_listing_asks_the_writers_among_its_entries(back, directory):
    holder, other = back(), back()
    writers, found, cookie = [], {}, 0
    for number in range(20):
        name = b"w%d" % number
        directory.make(name, b"0123456789", {MODE: 0o666})
        writers.append(Held(directory, holder, ACCESS_BOTH, name, how=None, owner=name))
        assert writers[-1].kind == WRITE
        directory.make(b"plain%d" % number, b"abc", {MODE: 0o666})
    said_by(writers[0], change=1, size=77)
    for asks, is_end in ((16, False), (4, True)):  # so many does one READDIR ask
        finish = begin(other, putfh(directory.fh), nfs4.readdir(cookie, attrs=(SIZE,)))
        for _ in range(asks):
            holder.conn.wait_for(CB_GETATTR)
        reply = finish().ok()
        entries = {entry.name: entry.attrs[SIZE] for entry in reply.last.entries}
        assert not set(entries) & set(found) and bool(reply.last.eof) == is_end
        found.update(entries)
        cookie = reply.last.entries[-1].cookie
    assert found == {b"w%d" % n: 77 for n in range(20)} | {b"plain%d" % n: 3 for n in range(20)}
    assert sorted(call.fh for call in holder.conn.calls) == sorted(held.fh for held in writers)
    # Neither who writes, nor who does not care for what writing changes, causes a question.
    own = directory.run(nfs4.readdir(attrs=(SIZE,)), session=holder).ok().last.entries
    assert {entry.attrs[SIZE] for entry in own} == {10, 3}
    directory.run(nfs4.readdir(attrs=(MODE,)), session=other).ok()
    assert len(holder.conn.calls) == len(writers)


def test_a_listing_has_a_writer_that_cannot_tell_recalled(writer, back):
    writer.session.conn.answers[CB_GETATTR] = lambda call: (nfs4.STATUS["BADHANDLE"], b"")
    finish = begin(back(), putfh(writer.directory.fh), nfs4.readdir(attrs=(SIZE,)))
    writer.session.conn.wait_for(CB_GETATTR)
    [entry] = recalled(writer, finish).last.entries
    assert (entry.name, entry.attrs[SIZE]) == (b"f", 10)


def test_a_delegation_alone_changes_no_size(writer):
    """A client does not tell whether the user may write to the file when it opens it by itself with O_TRUNC."""
    writer.run(nfs4.setattr_({SIZE: 5}, writer.stateid)).ok()
    writer.close()
    assert writer.run(nfs4.setattr_({SIZE: 0}, writer.stateid)).status == "OPENMODE"
    writer.run(nfs4.write(writer.stateid, 5, b"by what is open at the client")).ok()
    writer.give_back()
    assert writer.run(nfs4.setattr_({SIZE: 0})).ok()


def test_callbacks_authenticate_as_asked(back, directory, reader):
    first = reader.session
    parms = nfs4.u32(1, 7) + nfs4.opaque(b"machine") + nfs4.u32(17, 19, 1, 23)
    first.run(nfs4_back.backchannel_ctl(0x40001234, parms)).ok()
    finish = begin(back(), putfh(reader.fh), nfs4.setattr_({SIZE: 0}))
    recalled(reader, finish)
    call = first.conn.calls[-1]
    flavor, body = call.cred
    found = nfs4.Reader(body)
    assert (flavor, found.u32(), found.opaque(), found.u32(), found.u32()) == (1, 7, b"machine", 17, 19)
    assert (found.u32(), found.u32(), call.program) == (1, 23, 0x40001234)


def test_callback_slots_count(reader, back, directory):
    first = reader.session
    for number, name in enumerate((b"one", b"two", b"three"), start=1):
        directory.make(name, values={MODE: 0o666})
        held = Held(directory, first, ACCESS_READ, name, how=None, owner=name)
        finish = begin(back(), putfh(held.fh), nfs4.setattr_({SIZE: 0}))
        recalled(held, finish)
        sequence = first.conn.calls[-1].sequence
        assert (sequence["sessionid"], sequence["slot"], sequence["seqid"]) == (first.id, 0, number)


def test_a_fault_of_the_back_channel_is_told_until_there_is_another_session(reader, back):
    """RFC 8881 section 18.46.3: BACKCHANNEL_FAULT; the client is to make another session."""
    broken, conn = reader.session, reader.session.conn
    conn.refusal = nfs4.STATUS["SEQ_MISORDERED"]
    other = back()
    finish = begin(other, putfh(reader.fh), nfs4.setattr_({SIZE: 0}))
    conn.wait_for(CB_RECALL)
    assert finish().status == "DELAY"
    assert flags_of(broken) & BACKCHANNEL_FAULT
    conn.refusal = 0
    options = {"flags": nfs4_back.BACK_CHANNEL, "back": nfs4.channel(4096, 4096, 0, 8, 4)}
    reader.session = broken.client.session(**options)
    conn.compound(nfs4.destroy_session(broken.id)).ok()
    assert flags_of(reader.session) == 0
    finish = begin(other, putfh(reader.fh), nfs4.setattr_({SIZE: 0}))
    conn.wait_for(CB_RECALL)  # tried again
    reader.give_back()
    assert finish().status in ("OK", "DELAY")
    other.run(putfh(reader.fh), nfs4.setattr_({SIZE: 0})).ok()
    assert flags_of(reader.session) == 0


def test_a_lost_back_channel_is_told_and_repaired(reader, back, address):
    session = reader.session
    assert flags_of(session) == 0
    with nfs4_back.BackConn(address) as second:
        session.conn.close()
        session.conn = second
        deadline = time.monotonic() + 10
        while flags_of(session) != CB_PATH_DOWN | CB_PATH_DOWN_SESSION:
            assert time.monotonic() < deadline
        other = back()
        assert other.run(putfh(reader.fh), nfs4.setattr_({SIZE: 0})).status == "DELAY"
        assert second.compound(nfs4.bind_conn(session.id, 3)).ok().last.direction == 3
        assert flags_of(session) == 0
        finish = begin(other, putfh(reader.fh), nfs4.setattr_({SIZE: 0}))
        second.wait_for(CB_RECALL)  # tried again
        reader.give_back()
        assert finish().status in ("OK", "DELAY")
        other.run(putfh(reader.fh), nfs4.setattr_({SIZE: 0})).ok()


def test_a_blocked_lock_is_told_when_it_may_be_free(back, directory):
    one, two = back(), back()
    fh, mine = directory.open(b"f", session=one, share=ACCESS_BOTH | WANT_NONE)
    _, yours = directory.open(b"f", session=two, share=ACCESS_BOTH | WANT_NONE)
    held = one.run(putfh(fh), nfs4.lock(WRITE_LT, 0, 10, mine)).ok().last.stateid
    assert two.run(putfh(fh), nfs4.lock(WRITEW_LT, 5, 10, yours, b"waiter")).status == "DENIED"
    one.run(putfh(fh), nfs4.locku(held, 0, 10)).ok()
    call = two.conn.wait_for(CB_NOTIFY_LOCK)
    assert (call.fh, call.clientid, call.owner) == (fh, two.client.clientid, b"waiter")
    two.run(putfh(fh), nfs4.lock(WRITEW_LT, 5, 10, yours, b"waiter")).ok()
    assert one.run(putfh(fh), nfs4.lock(WRITE_LT, 0, 10, mine)).status == "DENIED"  # not waiting: not told
    two.run(putfh(fh), nfs4.close(yours)).ok()
    assert not one.conn.calls


def test_a_client_with_only_a_delegation_is_busy(reader):
    reader.close()
    session = reader.session
    session.conn.compound(nfs4.destroy_session(session.id)).ok()
    assert session.conn.compound(nfs4.destroy_clientid(session.client.clientid)).status == "CLIENTID_BUSY"


def test_a_reply_that_nobody_asked_for_is_ignored(session):
    session.conn.send_record(nfs4.u32(12345, 1, 0, 0, 0, 0))
    session.conn.send_record(nfs4.u32(12345, 1))
    session.run().ok()


def test_directories_have_no_delegations(directory):
    ask = nfs4.op(46, nfs4.u32(0) + nfs4.bitmap([]) + bytes(24) + nfs4.bitmap([]) + nfs4.bitmap([]))
    reply = directory.session.conn.call(nfs4.compound_body(
        nfs4.sequence(directory.session.id, directory.session.seqids[0] + 1), putfh(directory.fh), ask))
    directory.session.seqids[0] += 1
    assert reply.endswith(nfs4.u32(46, 0, 1, 0))  # GDD4_UNAVAIL

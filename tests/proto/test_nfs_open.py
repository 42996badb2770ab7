"""OPEN in all its modes, share reservations between clients, stateids, CLOSE. RFC 8881 sections 9 and 18.16."""

import os

import nfs4
from nfs4 import (ACCESS_BOTH, ACCESS_READ, ACCESS_WRITE, ANONYMOUS, BYPASS, CURRENT, DENY_BOTH, DENY_NONE, DENY_READ,
                  DENY_WRITE, EXCLUSIVE, EXCLUSIVE_1, GUARDED, MODE, SIZE, UNCHECKED, auth_sys, close, getattr_, getfh,
                  lookup, open_, open_downgrade, putfh, putrootfh, read, write)
import pytest


def io_status(session, fh, stateid, write_it):
    op = write(stateid, 0, b"x") if write_it else read(stateid, 0, 1)
    return session.run(putfh(fh), op).status


# --- creating -------------------------------------------------------------------------------------

def test_unchecked_makes_a_file_with_its_attributes_in_one_step(directory):
    reply = directory.run(open_(b"f", how=UNCHECKED, values={MODE: 0o640}), getattr_(MODE, SIZE)).ok()
    opened = reply.of("OPEN")
    assert reply.last.attrs == {MODE: 0o640, SIZE: 0}
    assert opened.stateid[0] == 1
    assert opened.cinfo.atomic and opened.cinfo.after != opened.cinfo.before
    assert MODE in opened.attrset
    assert opened.rflags & 4 and not opened.rflags & 2  # LOCKTYPE_POSIX, no CONFIRM
    assert opened.delegation in (0, 3)


def test_unchecked_opens_what_is_there_and_ignores_attributes_but_the_size(directory):
    fh = directory.make(b"f", b"content", {MODE: 0o600})
    reply = directory.run(open_(b"f", how=UNCHECKED, values={MODE: 0o777}), getattr_(MODE, SIZE)).ok()
    assert reply.last.attrs == {MODE: 0o600, SIZE: 7}
    assert reply.of("OPEN").attrset == []
    reply = directory.run(open_(b"f", how=UNCHECKED, values={SIZE: 0}), getfh()).ok()
    assert reply.last.fh == fh and reply.of("OPEN").attrset == [SIZE]
    assert directory.content(fh) == b""


def test_guarded_makes_or_fails(directory):
    directory.run(open_(b"f", how=GUARDED)).ok()
    assert directory.run(open_(b"f", how=GUARDED)).status == "EXIST"


@pytest.mark.parametrize("how", [EXCLUSIVE, EXCLUSIVE_1])
def test_a_retried_exclusive_create_finds_its_own_file(directory, how):
    mine, other = b"verifier", b"other-vf"
    first = directory.run(open_(b"f", how=how, verifier=mine), getfh()).ok()
    again = directory.run(open_(b"f", how=how, verifier=mine), getfh()).ok()
    assert again.last.fh == first.last.fh
    assert directory.run(open_(b"f", how=how, verifier=other)).status == "EXIST"
    assert directory.run(open_(b"f", how=GUARDED)).status == "EXIST"


def test_an_exclusive_create_sets_its_attributes(directory):
    values = {MODE: 0o604}
    reply = directory.run(open_(b"f", how=EXCLUSIVE_1, verifier=b"verifier", values=values), getattr_(MODE)).ok()
    assert reply.last.attrs == values and MODE in reply.of("OPEN").attrset


def test_nocreate_needs_the_file(directory):
    assert directory.run(open_(b"missing")).status == "NOENT"
    directory.make(b"f")
    directory.run(open_(b"f")).ok()


@pytest.mark.parametrize("name, expected", [
    (b"", "INVAL"), (b"x" * 256, "NAMETOOLONG"), (b".", "BADNAME"), (b"..", "BADNAME"), (b"a/b", "BADCHAR"),
    (b"a\0b", "BADCHAR")])
def test_names_that_cannot_be(directory, name, expected):
    assert directory.run(open_(name, how=UNCHECKED)).status == expected
    assert directory.run(nfs4.create(name)).status == expected
    assert directory.run(lookup(name)).status == expected
    assert directory.run(nfs4.remove(name)).status == expected
    directory.make(b"source")
    assert directory.run(nfs4.savefh(), nfs4.rename(b"source", name)).status == expected
    assert directory.names() == [b"source"]


def test_names_of_255_bytes_and_of_any_bytes_are_names(directory):
    for name in (b"x" * 255, b"\xff\xfe latin-1 \xe9", b" ", b"...", b"\n", "ñ".encode()):
        directory.make(name)
        assert directory.run(lookup(name)).status == "OK"


@pytest.mark.parametrize("kind, expected", [
    (nfs4.DIR, "ISDIR"), (nfs4.LNK, "SYMLINK"), (nfs4.FIFO, "WRONG_TYPE"), (nfs4.SOCK, "WRONG_TYPE")])
def test_only_regular_files_are_opened(directory, kind, expected):
    directory.run(nfs4.create(b"thing", kind, data=b"target" if kind == nfs4.LNK else b"")).ok()
    assert directory.run(open_(b"thing")).status == expected
    assert directory.run(open_(b"thing", how=UNCHECKED)).status == expected
    assert directory.run(open_(b"thing", how=GUARDED)).status == "EXIST"


def test_open_by_name_needs_a_directory(session, directory):
    fh = directory.make(b"f")
    assert session.run(putfh(fh), open_(b"x", how=UNCHECKED)).status == "NOTDIR"


def test_open_by_filehandle(session, directory):
    fh = directory.make(b"f", b"data")
    reply = session.run(putfh(fh), open_(b"", claim=nfs4.CLAIM_FH), read(CURRENT, 0, 10)).ok()
    assert reply.last.data == b"data"
    assert session.run(putfh(directory.fh), open_(b"", claim=nfs4.CLAIM_FH)).status == "ISDIR"


def test_claims_of_delegations_that_one_does_not_have_fail(session, directory):
    fh = directory.make(b"f")
    for deleg in (nfs4.ANONYMOUS, (1, b"x" * 12)):
        assert session.run(putfh(fh), open_(b"", claim=nfs4.CLAIM_DELEG_CUR_FH, deleg=deleg)).status == "BAD_STATEID"
    assert session.run(putfh(fh), open_(b"", claim=6)).status == "NOTSUPP"  # CLAIM_DELEG_PREV_FH


@pytest.mark.parametrize("share, deny", [(0, 0), (3, 4), (3, 2**32 - 1), (0x40000000, 0)])
def test_shares_that_mean_nothing_are_invalid(directory, share, deny):
    directory.make(b"f")
    assert directory.run(open_(b"f", share=share, deny=deny)).status == "INVAL"


def test_wants_are_no_shares(directory):
    directory.make(b"f")
    reply = directory.run(open_(b"f", share=ACCESS_READ | 0x400)).ok()  # WANT_NO_DELEG
    assert reply.last.delegation in (0, 3)


def test_an_attribute_that_cannot_be_set_makes_no_file(directory):
    refused = directory.run(open_(b"f", how=UNCHECKED, values={nfs4.FILEID: 5}))
    assert refused.status == "INVAL"
    assert directory.names() == []


# --- permission -----------------------------------------------------------------------------------

def test_opening_is_checked_against_mode_and_owner(directory):
    directory.make(b"f", values={MODE: 0o640, nfs4.OWNER: b"1000", nfs4.OWNER_GROUP: b"2000"})
    expected = {
        (1000, 1): ("OK", "OK"), (1001, 2000): ("OK", "ACCESS"), (1001, 1): ("ACCESS", "ACCESS"), (0, 0): ("OK", "OK")}
    for (uid, gid), statuses in expected.items():
        found = tuple(directory.run(open_(b"f", share=share), cred=auth_sys(uid, gid)).status
                      for share in (ACCESS_READ, ACCESS_WRITE))
        assert found == statuses, (uid, gid)
    member = auth_sys(1001, 1, groups=(5, 2000))
    assert directory.run(open_(b"f", share=ACCESS_READ), cred=member).status == "OK"


def test_making_a_file_needs_write_permission_on_the_directory(directory):
    inner = directory.mkdir(b"inner", 0o755)
    stranger = auth_sys(1000, 1000)
    making = directory.session.run(putfh(inner), open_(b"f", how=UNCHECKED), cred=stranger)
    assert making.status == "ACCESS"


def test_a_new_file_may_be_written_whatever_its_mode(directory):
    user = auth_sys(1000, 1000)
    reply = directory.run(open_(b"f", how=GUARDED, values={MODE: 0}), write(CURRENT, 0, b"data"), cred=user)
    assert reply.status == "OK"


def test_an_open_goes_on_after_chmod(session, directory):
    user = auth_sys(1000, 1000)
    reply = directory.run(open_(b"f", how=GUARDED, values={MODE: 0o600}), getfh(), cred=user).ok()
    fh, stateid = reply.last.fh, reply.of("OPEN").stateid
    session.run(putfh(fh), nfs4.setattr_({MODE: 0}), cred=user).ok()
    session.run(putfh(fh), write(stateid, 0, b"data"), cred=user).ok()
    assert session.run(putfh(fh), read(ANONYMOUS, 0, 1), cred=user).status in ("OK", "ACCESS")
    assert directory.run(open_(b"f"), cred=user).status == "ACCESS"


# --- shares ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("first, second, expected", [
    ((ACCESS_READ, DENY_NONE), (ACCESS_BOTH, DENY_NONE), "OK"),
    ((ACCESS_READ, DENY_WRITE), (ACCESS_READ, DENY_NONE), "OK"),
    ((ACCESS_READ, DENY_WRITE), (ACCESS_WRITE, DENY_NONE), "SHARE_DENIED"),
    ((ACCESS_WRITE, DENY_NONE), (ACCESS_READ, DENY_WRITE), "SHARE_DENIED"),
    ((ACCESS_READ, DENY_READ), (ACCESS_READ, DENY_NONE), "SHARE_DENIED"),
    ((ACCESS_READ, DENY_READ), (ACCESS_WRITE, DENY_NONE), "OK"),
    ((ACCESS_BOTH, DENY_BOTH), (ACCESS_READ, DENY_NONE), "SHARE_DENIED"),
])
def test_shares_of_two_clients(connect, directory, first, second, expected):
    other = connect()
    fh, stateid = directory.open(b"f", share=first[0], deny=first[1])
    asking = open_(b"f", share=second[0], deny=second[1])
    assert directory.run(asking, session=other).status == expected
    directory.session.run(putfh(fh), close(stateid)).ok()
    assert directory.run(asking, session=other).status == "OK"


def test_a_denied_open_does_not_truncate(connect, directory):
    other = connect()
    fh = directory.make(b"f", b"precious")
    directory.open(b"f", share=ACCESS_READ, deny=DENY_WRITE, how=None)
    cutting = open_(b"f", how=UNCHECKED, values={SIZE: 0})
    assert directory.run(cutting, session=other).status == "SHARE_DENIED"
    assert directory.content(fh) == b"precious"


def test_owners_of_one_client_deny_each_other(directory):
    directory.open(b"f", share=ACCESS_READ, deny=DENY_WRITE, owner=b"one")
    assert directory.run(open_(b"f", owner=b"two")).status == "SHARE_DENIED"
    # Its own deny counts for the owner, too (RFC 7530 section 9.9, RFC 8881 section 9.7).
    assert directory.run(open_(b"f", owner=b"one", share=ACCESS_WRITE)).status == "SHARE_DENIED"
    assert directory.run(open_(b"f", owner=b"one", share=ACCESS_READ)).status == "OK"


def test_special_stateids_meet_denies(connect, directory):
    other = connect()
    fh, _ = directory.open(b"f", share=ACCESS_READ, deny=DENY_BOTH)
    assert io_status(other, fh, ANONYMOUS, False) == "LOCKED"
    assert io_status(other, fh, ANONYMOUS, True) == "LOCKED"
    assert io_status(other, fh, BYPASS, False) == "OK"
    assert io_status(other, fh, BYPASS, True) == "LOCKED"
    assert other.run(putfh(fh), nfs4.setattr_({SIZE: 0})).status == "LOCKED"


# --- stateids -------------------------------------------------------------------------------------

def test_a_second_open_upgrades_the_first(session, directory):
    fh, first = directory.open(b"f", share=ACCESS_READ)
    assert io_status(session, fh, first, True) == "OPENMODE"
    _, second = directory.open(b"f", share=ACCESS_WRITE)
    assert second == (2, first[1])
    assert io_status(session, fh, second, True) == "OK"
    assert io_status(session, fh, first, False) == "OLD_STATEID"
    assert io_status(session, fh, (0, first[1]), True) == "OK"
    assert io_status(session, fh, (3, first[1]), True) == "BAD_STATEID"


def test_reading_through_an_open_for_writing_is_allowed(session, directory):
    fh, stateid = directory.open(b"f", share=ACCESS_WRITE)
    assert io_status(session, fh, stateid, False) == "OK"


def test_a_downgrade_must_be_a_union_of_opens(session, directory):
    fh, stateid = directory.open(b"f", share=ACCESS_BOTH)
    assert session.run(putfh(fh), open_downgrade(stateid, ACCESS_READ)).status == "INVAL"
    _, stateid = directory.open(b"f", share=ACCESS_READ)
    assert session.run(putfh(fh), open_downgrade(stateid, ACCESS_READ, DENY_WRITE)).status == "INVAL"
    assert session.run(putfh(fh), open_downgrade(stateid, 0)).status == "INVAL"
    lower = session.run(putfh(fh), open_downgrade(stateid, ACCESS_READ)).ok().last.stateid
    assert lower == (3, stateid[1])
    assert io_status(session, fh, lower, True) == "OPENMODE"


def test_stateids_of_others_are_bad(connect, session, directory):
    other = connect()
    fh, stateid = directory.open(b"f")
    elsewhere = directory.make(b"g")
    assert io_status(other, fh, stateid, False) == "BAD_STATEID"
    assert io_status(session, elsewhere, stateid, False) == "BAD_STATEID"
    for at in range(12):
        forged = bytearray(stateid[1])
        forged[at] ^= 1
        assert io_status(session, fh, (0, bytes(forged)), False) == "BAD_STATEID"


def test_close_ends_the_open_and_answers_the_invalid_stateid(session, directory):
    fh, stateid = directory.open(b"f")
    closed = session.run(putfh(fh), close(stateid)).ok().last.stateid
    assert closed == (2**32 - 1, bytes(12))
    for gone in (stateid, closed, (0, stateid[1])):
        assert session.run(putfh(fh), close(gone)).status == "BAD_STATEID"
        assert io_status(session, fh, gone, False) == "BAD_STATEID"


def test_close_takes_any_seqid_of_zero(session, directory):
    fh, stateid = directory.open(b"f")
    session.run(putfh(fh), close((0, stateid[1]))).ok()


def test_the_current_stateid_passes_through_a_request(directory):
    reply = directory.run(open_(b"f", how=UNCHECKED), write(CURRENT, 0, b"data"), read(CURRENT, 0, 9), close(CURRENT))
    assert reply.ok().results[-2].data == b"data"


def test_the_current_stateid_goes_with_its_filehandle(session, directory):
    opening = open_(b"f", how=UNCHECKED)
    assert directory.run(opening, putfh(directory.fh), lookup(b"f"), close(CURRENT)).status == "BAD_STATEID"
    reply = directory.run(opening, nfs4.savefh(), putrootfh(), nfs4.restorefh(), close(CURRENT))
    assert reply.status == "OK"
    fh, stateid = directory.open(b"f")
    assert session.run(putfh(fh), close(CURRENT)).status == "BAD_STATEID"
    session.run(putfh(fh), close(stateid)).ok()


def test_test_stateid_judges_each(session, directory):
    _, stateid = directory.open(b"f", share=ACCESS_READ)
    _, stateid = directory.open(b"f", share=ACCESS_READ)
    asked = (stateid, (1, stateid[1]), (7, stateid[1]), (0, stateid[1]), (1, os.urandom(12)), ANONYMOUS)
    codes = session.run(nfs4.test_stateid(*asked)).ok().last.codes
    assert codes == ["OK", "OLD_STATEID", "BAD_STATEID", "OK", "BAD_STATEID", "BAD_STATEID"]
    assert session.run(nfs4.free_stateid(stateid)).status == "LOCKS_HELD"
    assert session.run(nfs4.free_stateid((1, os.urandom(12)))).status == "BAD_STATEID"


def test_an_unlinked_file_lives_while_it_is_open(session, directory):
    fh, stateid = directory.open(b"f")
    session.run(putfh(fh), write(stateid, 0, b"still here")).ok()
    directory.run(nfs4.remove(b"f")).ok()
    assert session.run(putfh(fh), read(stateid, 0, 100)).ok().last.data == b"still here"
    assert session.run(putfh(fh), getattr_(nfs4.NUMLINKS)).ok().last.attrs == {nfs4.NUMLINKS: 0}
    session.run(putfh(fh), close(stateid)).ok()
    assert session.run(putfh(fh), getattr_(SIZE)).status == "STALE"


def test_a_file_replaced_by_rename_lives_while_it_is_open(session, directory):
    fh, stateid = directory.open(b"old")
    session.run(putfh(fh), write(stateid, 0, b"old")).ok()
    directory.make(b"new", b"new")
    directory.run(nfs4.savefh(), nfs4.rename(b"new", b"old")).ok()
    assert session.run(putfh(fh), read(stateid, 0, 9)).ok().last.data == b"old"
    assert directory.content(directory.fh_of(b"old")) == b"new"

"""Clients, sessions and exactly-once replies over the wire. RFC 8881 sections 2.10 and 18.35 to 18.51."""

import os

import nfs4
from nfs4 import auth_sys, channel, create_session, exchange_id, getfh, lookup, putrootfh, sequence
import pytest


def raw(session, seqid, *ops, slot=0, cachethis=True, conn=None, highest=None):
    """The reply's bytes to a request with a sequence id of the test's choice."""
    body = nfs4.compound_body(sequence(session.id, seqid, slot, highest, cachethis), *ops)
    return (conn or session.conn).call(body)


def status(session, seqid, *ops, **options):
    return nfs4.Reply(raw(session, seqid, *ops, **options)).status


# --- EXCHANGE_ID ----------------------------------------------------------------------------------

def test_a_known_client_gets_its_clientid_again(conn):
    first = nfs4.Client(conn)
    first.session()
    again = conn.compound(exchange_id(first.owner, first.verifier)).ok().last
    assert again.clientid == first.clientid
    assert again.flags & 0x80000000  # CONFIRMED_R


def test_an_unconfirmed_client_is_replaced(conn):
    first = nfs4.Client(conn)
    again = conn.compound(exchange_id(first.owner, first.verifier)).ok().last
    assert again.clientid != first.clientid
    assert conn.compound(create_session(first.clientid, 1)).status == "STALE_CLIENTID"


def test_another_principal_cannot_take_a_client_that_is_in_use(conn):
    first = nfs4.Client(conn)
    first.session()
    stranger = auth_sys(uid=1234)
    taken = conn.compound(exchange_id(first.owner, os.urandom(8)), cred=stranger)
    assert taken.status == "CLID_INUSE"
    updated = conn.compound(exchange_id(first.owner, first.verifier, flags=0x40000000), cred=stranger)
    assert updated.status == "PERM"


@pytest.mark.parametrize("confirmed, same_verifier, expected", [
    (False, True, "NOENT"), (True, True, "OK"), (True, False, "NOT_SAME")])
def test_an_update_wants_the_confirmed_client(conn, confirmed, same_verifier, expected):
    client = nfs4.Client(conn)
    if confirmed:
        client.session()
    verifier = client.verifier if same_verifier else os.urandom(8)
    assert conn.compound(exchange_id(client.owner, verifier, flags=0x40000000)).status == expected


def test_a_restarted_client_loses_its_sessions_when_it_is_confirmed(conn):
    old = nfs4.Client(conn)
    session = old.session()
    new = nfs4.Client(conn, owner=old.owner)
    session.run().ok()
    new.session()
    assert session.run().status == "BADSESSION"


@pytest.mark.parametrize("flags", [4, 8, 0x80000000])  # 4 is SUPP_FENCE_OPS, of version 4.2 only
def test_flags_that_are_not_a_clients_are_invalid(conn, flags):
    assert conn.compound(exchange_id(b"x", bytes(8), flags)).status == "INVAL"


def test_the_server_is_no_pnfs_server(conn):
    assert nfs4.Client(conn).exchanged.flags & 0x70000 == 0x10000


# --- CREATE_SESSION -------------------------------------------------------------------------------

def test_create_session_is_replayed_byte_for_byte(conn):
    client = nfs4.Client(conn)
    body = nfs4.compound_body(create_session(client.clientid, client.sequenceid))
    first = conn.call(body)
    assert nfs4.Reply(first).status == "OK"
    assert conn.call(body) == first


def test_create_session_wants_its_sequenceid(conn):
    client = nfs4.Client(conn)
    for sequenceid in (client.sequenceid - 1, client.sequenceid + 1):
        assert conn.compound(create_session(client.clientid, sequenceid)).status == "SEQ_MISORDERED"
    client.session()
    assert conn.compound(create_session(client.clientid, client.sequenceid + 1)).status == "SEQ_MISORDERED"
    client.session()


def test_create_session_by_another_principal_confirms_nothing(conn):
    client = nfs4.Client(conn)
    request = create_session(client.clientid, client.sequenceid)
    assert conn.compound(request, cred=auth_sys(uid=77)).status == "CLID_INUSE"
    assert conn.compound(request).status == "OK"


@pytest.mark.parametrize("fore", [channel(request=20), channel(response=0), channel(response=40)],
                         ids=["request 20", "response 0", "response 40"])
def test_channels_that_carry_nothing_are_too_small(conn, fore):
    client = nfs4.Client(conn)
    assert conn.compound(create_session(client.clientid, client.sequenceid, fore=fore)).status == "TOOSMALL"
    client.session()


def test_channels_are_clamped_to_what_the_server_can_do(conn):
    most = 2**32 - 1
    made = nfs4.Client(conn).session(fore=channel(most, most, most, most, most)).created.fore
    assert made.request <= 2 << 20 and made.response <= 2 << 20
    assert made.cached <= 1 << 16 and 8 <= made.ops <= 1024 and 1 <= made.slots <= 1024
    assert made.padding == 0 and made.rdma == []


def test_unknown_flags_of_create_session_are_invalid(conn):
    client = nfs4.Client(conn)
    assert conn.compound(create_session(client.clientid, client.sequenceid, flags=0xF)).status == "INVAL"


def test_a_clientid_from_nowhere_is_stale(conn):
    for clientid in (0, 2**64 - 1, nfs4.Client(conn).clientid ^ 1 << 20):
        assert conn.compound(create_session(clientid, 1)).status == "STALE_CLIENTID"
        assert conn.compound(nfs4.destroy_clientid(clientid)).status == "STALE_CLIENTID"


# --- SEQUENCE -------------------------------------------------------------------------------------

def test_a_retry_gets_the_same_bytes_and_runs_nothing(session, directory):
    session.seqids[3] = 1
    make = nfs4.compound_body(sequence(session.id, 1, 3, cachethis=True), nfs4.putfh(directory.fh),
                              nfs4.create(b"once"), getfh(), tag=b"a tag")
    first = session.conn.call(make)
    assert nfs4.Reply(first).status == "OK"
    assert session.conn.call(make) == first
    directory.run(nfs4.remove(b"once")).ok()
    assert session.conn.call(make) == first
    assert directory.names() == []


def test_a_failed_request_is_replayed_too(session):
    first = raw(session, 1, putrootfh(), lookup(b"nowhere"), slot=2)
    assert nfs4.Reply(first).status == "NOENT"
    assert raw(session, 1, putrootfh(), lookup(b"nowhere"), slot=2) == first


def test_a_retry_over_another_connection_is_answered_there(session, address):
    first = raw(session, 1, putrootfh(), getfh(), slot=2)
    with nfs4.Conn(address) as other:
        assert raw(session, 1, putrootfh(), getfh(), slot=2, conn=other) == first


def test_another_request_with_a_used_sequenceid_is_a_false_retry(session):
    assert status(session, 1, putrootfh(), getfh(), slot=2) == "OK"
    assert status(session, 1, putrootfh(), nfs4.getattr_(nfs4.SIZE), slot=2) == "SEQ_FALSE_RETRY"
    assert status(session, 2, putrootfh(), slot=2) == "OK"


def test_a_retry_by_another_user_is_a_false_retry(session):
    """RFC 8881 section 2.10.6.1.3.1: it must be refused when the users differ."""
    body = nfs4.compound_body(sequence(session.id, 1, 2, cachethis=True), putrootfh(), getfh())
    first = session.conn.call(body)
    assert nfs4.Reply(session.conn.call(body, cred=auth_sys(uid=1000))).status == "SEQ_FALSE_RETRY"
    assert session.conn.call(body, cred=auth_sys(groups=(1, 2), machine=b"renamed")) == first


@pytest.mark.parametrize("where", [0, -1, -9])
def test_a_difference_anywhere_in_the_names_of_a_request_is_a_false_retry(session, where):
    names = [b"a" * 250, bytearray(b"a" * 250)]
    names[1][where] ^= 1
    bodies = [[putrootfh(), lookup(b"b" * 250), lookup(bytes(name))] for name in names]
    assert status(session, 1, *bodies[0], slot=2) == "NOENT"
    assert status(session, 1, *bodies[1], slot=2) == "SEQ_FALSE_RETRY"
    short = [[putrootfh(), nfs4.access(bits)] for bits in (1, 2)]
    assert status(session, 2, *short[0], slot=2) == "OK"
    assert status(session, 2, *short[1], slot=2) == "SEQ_FALSE_RETRY"


def test_a_retry_may_say_something_else_about_its_slots(session, directory):
    """Linux encodes SEQUENCE anew when it sends a request again: by then more of its slots may be in use."""
    make = [nfs4.putfh(directory.fh), nfs4.create(b"once"), getfh()]
    first = raw(session, 1, *make, slot=2)
    assert nfs4.Reply(first).status == "OK"
    assert raw(session, 1, *make, slot=2, highest=5) == first


def test_what_was_not_cached_cannot_be_retried(session):
    assert status(session, 1, putrootfh(), getfh(), slot=2, cachethis=False) == "OK"
    assert status(session, 1, putrootfh(), getfh(), slot=2, cachethis=False) == "RETRY_UNCACHED_REP"
    assert status(session, 2, putrootfh(), slot=2) == "OK"


@pytest.mark.parametrize("seqid", [0, 3, 4, 2**32 - 1])
def test_a_misordered_request_leaves_the_slot_alone(session, seqid):
    assert status(session, 1, putrootfh(), slot=2) == "OK"
    assert status(session, seqid, putrootfh(), slot=2) == "SEQ_MISORDERED"
    assert status(session, 2, putrootfh(), slot=2) == "OK"


def test_slots_are_counted_from_zero(session):
    last = session.created.fore.slots - 1
    assert status(session, 1, slot=last) == "OK"
    assert status(session, 1, slot=last + 1) == "BADSLOT"
    assert status(session, 2**32 - 1, slot=2**32 - 1) == "BADSLOT"
    assert status(session, 2, slot=last, highest=last + 1) == "BAD_HIGH_SLOT"


def test_slots_are_independent(session):
    for seqid in range(1, 4):
        for slot in range(1, session.created.fore.slots):
            assert status(session, seqid, putrootfh(), slot=slot) == "OK"


def test_an_unknown_session_is_bad(session):
    for at in range(16):
        wrong = bytearray(session.id)
        wrong[at] ^= 1
        assert session.conn.compound(sequence(bytes(wrong), 2)).status == "BADSESSION"
    session.run().ok()


def test_sequence_answers_what_it_was_asked(session):
    found = nfs4.Reply(raw(session, 1, slot=5)).ok().last
    assert (found.sessionid, found.seqid, found.slot, found.flags) == (session.id, 1, 5, 0)
    assert found.highest == found.target == session.created.fore.slots - 1


def test_a_request_may_not_have_more_operations_than_the_session(connect):
    session = connect(fore=channel(ops=4))
    allowed = session.created.fore.ops
    session.run(*[putrootfh()] * (allowed - 1)).ok()
    assert session.run(*[putrootfh()] * allowed).status == "TOO_MANY_OPS"
    session.run(putrootfh()).ok()


def test_a_request_larger_than_the_session_allows_is_refused_before_it_is_decoded(connect):
    session = connect(fore=channel(request=512))
    assert session.run(putrootfh(), lookup(b"x" * 500)).status == "REQ_TOO_BIG"
    session.run(putrootfh()).ok()


def test_a_reply_larger_than_the_session_allows_is_cut_at_the_operation(connect):
    session = connect(fore=channel(response=400, cached=400))
    wide = nfs4.getattr_(nfs4.SUPPORTED_ATTRS, nfs4.OWNER, nfs4.OWNER_GROUP, nfs4.FILEHANDLE, nfs4.FSID)
    reply = session.run(putrootfh(), wide, wide, wide, wide)
    assert reply.status == "REP_TOO_BIG"
    assert len(reply.body) <= 400 and reply.results[2].status == "OK"
    session.run(putrootfh()).ok()


def test_a_reply_too_large_for_the_cache_is_cut_when_it_was_to_be_cached(connect):
    session = connect(fore=channel(cached=10))
    assert session.run(cachethis=True).status == "REP_TOO_BIG_TO_CACHE"
    session = connect(fore=channel(cached=200))
    wide = nfs4.getattr_(nfs4.SUPPORTED_ATTRS, nfs4.OWNER, nfs4.OWNER_GROUP, nfs4.FILEHANDLE, nfs4.FSID)
    assert session.run(putrootfh(), wide, wide, wide, cachethis=True).status == "REP_TOO_BIG_TO_CACHE"
    session.run(putrootfh(), wide, wide, wide).ok()


def test_a_change_whose_answer_would_not_fit_is_not_made(connect):
    session = connect(fore=channel(response=240, cached=240))
    name = b"no-room-" + os.urandom(4).hex().encode()
    filler = [getfh()] * 2
    reply = session.run(putrootfh(), *filler, nfs4.create(name))
    assert reply.status == "REP_TOO_BIG"
    assert session.run(putrootfh(), lookup(name)).status == "NOENT"


# --- where operations may stand -------------------------------------------------------------------

def test_sequence_comes_first_and_once(session):
    assert session.run(sequence(session.id, 9)).status == "SEQUENCE_POS"
    assert session.conn.compound(putrootfh(), sequence(session.id, 9)).status == "OP_NOT_IN_SESSION"


def test_operations_need_a_session(conn):
    for op in (putrootfh(), nfs4.reclaim_complete(), getfh()):
        assert conn.compound(op).status == "OP_NOT_IN_SESSION"


def test_operations_without_a_session_stand_alone(session):
    alone = [exchange_id(b"x", bytes(8)), create_session(1, 1), nfs4.destroy_session(bytes(16)),
             nfs4.destroy_clientid(1), nfs4.bind_conn(session.id)]
    for op in alone:
        assert session.conn.compound(op, putrootfh()).status == "NOT_ONLY_OP"


def test_another_sessions_life_can_be_managed_from_within_one(session, conn):
    client = nfs4.Client(conn)
    made = session.run(create_session(client.clientid, client.sequenceid)).ok().last
    session.run(nfs4.destroy_session(made.sessionid)).ok()
    session.run(nfs4.destroy_clientid(client.clientid)).ok()


# --- the end of sessions and clients --------------------------------------------------------------

def test_a_destroyed_session_is_gone(conn):
    session = nfs4.Client(conn).session()
    conn.compound(nfs4.destroy_session(session.id)).ok()
    assert session.run().status == "BADSESSION"
    assert conn.compound(nfs4.destroy_session(session.id)).status == "BADSESSION"
    conn.compound(nfs4.destroy_clientid(session.client.clientid)).ok()


def test_a_session_can_destroy_itself_at_the_end_of_a_request(conn):
    session = nfs4.Client(conn).session()
    assert session.run(nfs4.destroy_session(session.id), putrootfh()).status == "NOT_ONLY_OP"
    session.run(putrootfh(), nfs4.destroy_session(session.id)).ok()
    assert session.run().status == "BADSESSION"


def test_only_a_bound_connection_destroys_a_session(conn, address):
    session = nfs4.Client(conn).session()
    with nfs4.Conn(address) as stranger:
        refused = stranger.compound(nfs4.destroy_session(session.id))
        assert refused.status == "CONN_NOT_BOUND_TO_SESSION"
        session.run(conn=stranger).ok()  # that binds it
        stranger.compound(nfs4.destroy_session(session.id)).ok()


def test_a_client_with_sessions_or_state_is_busy(session, directory):
    busy = nfs4.destroy_clientid(session.client.clientid)
    assert session.conn.compound(busy).status == "CLIENTID_BUSY"
    directory.open(b"file")
    session.conn.compound(nfs4.destroy_session(session.id)).ok()
    assert session.conn.compound(busy).status == "CLIENTID_BUSY"


def test_bind_conn_names_the_channels_it_got(session, address):
    with nfs4.Conn(address) as other:
        found = other.compound(nfs4.bind_conn(session.id, 3)).ok().last  # FORE_OR_BOTH
        assert found.sessionid == session.id and found.direction in (1, 3)
        assert other.compound(nfs4.bind_conn(bytes(16))).status == "BADSESSION"


# --- RECLAIM_COMPLETE -----------------------------------------------------------------------------

def test_reclaim_complete_is_said_once_and_before_anything_is_opened(conn):
    session = nfs4.Client(conn).session()
    early = session.run(putrootfh(), nfs4.open_(b"early", how=nfs4.UNCHECKED))
    assert early.status == "GRACE"
    session.run(putrootfh(), nfs4.reclaim_complete(one_fs=True)).ok()
    assert session.run(putrootfh(), nfs4.open_(b"early", how=nfs4.UNCHECKED)).status == "GRACE"
    session.run(nfs4.reclaim_complete()).ok()
    assert session.run(nfs4.reclaim_complete()).status == "COMPLETE_ALREADY"
    assert session.run(putrootfh(), lookup(b"early")).status == "NOENT"


def test_reclaim_complete_of_one_file_system_needs_a_filehandle(conn):
    session = nfs4.Client(conn).session()
    assert session.run(nfs4.reclaim_complete(one_fs=True)).status == "NOFILEHANDLE"


# --- many clients ---------------------------------------------------------------------------------

def test_a_flood_of_unconfirmed_clients_leaves_room_for_an_honest_one(conn, address):
    for i in range(3000):
        conn.send_call(nfs4.compound_body(exchange_id(b"flood-%d" % i, bytes(8))))
        conn.receive_record()
    nfs4.connect(address).destroy()

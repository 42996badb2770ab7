"""The memory that sessions reserve for the replies they keep. RFC 8881 sections 2.10.6.1 and 18.36."""

import re
import urllib.request

import nfs4
import nfs4_back
from nfs4 import channel, create_session, destroy_session, putrootfh
import pytest
import shoal_server

BUDGET = 256 * 1024
GREEDY = channel(cached=1 << 16, slots=1024)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    directory = tmp_path_factory.mktemp("reply-cache")
    with shoal_server.Server(directory / "shoal", options=["--set", f"nfs.reply_cache={BUDGET}"]) as running:
        yield running


def reserved(server):
    """The gauge, which is of the last second."""
    text = urllib.request.urlopen(f"{server.endpoint}/metrics").read().decode()
    return int(re.search(r"^shoal_nfs_reply_cache_reserved_bytes (\d+)$", text, re.M).group(1))


def fill(conn):
    """Sessions that ask for all they can get, each of its own client, until nothing is left."""
    sessions = []
    while True:
        client = nfs4.Client(conn)
        reply = conn.compound(create_session(client.clientid, client.sequenceid, fore=GREEDY))
        if reply.status != "OK":
            return sessions, client, reply.status
        sessions.append(nfs4.Session(client, conn, reply.last))


def test_sessions_share_the_budget_and_give_it_back(server, conn):
    sessions, refused, status = fill(conn)
    assert status == "NOSPC"
    slots = [session.created.fore.slots for session in sessions]
    cached = [session.created.fore.cached for session in sessions]
    assert len(sessions) > 32 and slots[0] > 1 and slots[-1] == 1
    assert slots == sorted(slots, reverse=True) and min(cached) >= 512
    assert BUDGET / 2 < sum(a * b for a, b in zip(slots, cached)) <= BUDGET
    shoal_server.wait_until(lambda: BUDGET / 2 < reserved(server) <= BUDGET, 30, "the gauge shows it")
    for session in sessions:
        session.run(putrootfh(), nfs4.getfh(), cachethis=True).ok()
    conn.compound(destroy_session(sessions[0].id)).ok()
    again = conn.compound(create_session(refused.clientid, refused.sequenceid, fore=GREEDY)).ok().last
    conn.compound(destroy_session(again.sessionid)).ok()
    for session in sessions[1:]:
        conn.compound(destroy_session(session.id)).ok()
    shoal_server.wait_until(lambda: reserved(server) == 0, 30, "the gauge shows that all is given back")
    made = nfs4.Client(conn).session(fore=GREEDY)
    assert made.created.fore.slots == slots[0]
    made.destroy()


def test_a_slot_keeps_what_it_was_given_room_for(server, conn):
    sessions, _, _ = fill(conn)
    last = sessions[-1]
    wide = nfs4.getattr_(nfs4.SUPPORTED_ATTRS, nfs4.OWNER, nfs4.OWNER_GROUP, nfs4.FILEHANDLE, nfs4.FSID)
    assert last.created.fore.cached == 512
    assert last.run(putrootfh(), *[wide] * 5, cachethis=True).status == "REP_TOO_BIG_TO_CACHE"
    last.run(putrootfh(), *[wide] * 5).ok()
    for session in sessions:
        session.destroy()


def slots_of(session):
    """(sr_highest_slotid, sr_target_highest_slotid), told with a new request in slot 0."""
    found = session.run().ok().of("SEQUENCE")
    return found.highest, found.target


def test_slots_are_taken_back_when_memory_is_scarce_and_given_again(address, conn):
    """RFC 8881 section 2.10.6.1: only once the client has seen what it is asked, and has nothing out above it."""
    made = nfs4.Client(nfs4_back.BackConn(address))
    session = made.session(flags=nfs4_back.BACK_CHANNEL, fore=GREEDY, back=channel(4096, 4096, 0, 8, 4)).ready()
    most = session.created.fore.slots - 1
    fewer = (most + 1) // 2 - 1
    assert most > 1 and slots_of(session) == (most, most)
    session.run(slot=most, cachethis=True).ok()
    fillers, _, _ = fill(conn)
    call = session.conn.wait_for(nfs4_back.CB_RECALL_SLOT)
    assert (call.target, call.sequence["sessionid"]) == (fewer, session.id)
    assert slots_of(session) == (most, fewer)
    session.run(slot=most).ok()  # it may still be used, and shows that this slot's client has not heard of it
    for _ in range(10):  # the answer of the first is known to have come when the slot is used anew
        highest, target = slots_of(session)
        if highest == target:
            break
    assert highest == fewer
    assert session.run(slot=most).status == "BADSLOT"
    session.run(slot=highest).ok()
    for filler in fillers:
        filler.destroy()
    shoal_server.wait_until(lambda: slots_of(session) == (most, most), 30, "the slots are there again")
    assert session.run(slot=most).status == "SEQ_MISORDERED"
    session.seqids[most] = 0
    session.run(slot=most).ok()  # it begins anew
    session.destroy()
    session.conn.close()

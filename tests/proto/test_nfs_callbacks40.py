"""Version 4.0: delegations, over a connection that the server makes to where the client is. RFC 7530 sections 10.2, 10.4 and 16.28."""

import nfs4
import nfs4_back
import nfs40
import nfs40_back
import nfs_place
from nfs4 import ACCESS_BOTH, ACCESS_READ, ACCESS_WRITE, CHANGE, MODE, SIZE, putfh
from nfs4_back import CB_GETATTR, CB_RECALL, NONE, READ, WRITE, begin, delegreturn
import pytest
import shoal_server
from shoal_server import wait_until

LEASE_S = 5


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    options = ["--set", "nfs.callbacks_v40=1", "--set", f"nfs.lease={LEASE_S}"]
    with shoal_server.Server(tmp_path_factory.mktemp("back40") / "shoal", options=options) as running:
        yield running


@pytest.fixture
def service():
    with nfs40_back.Service() as listening:
        yield listening


def introduce(conn, service, **options):
    options.setdefault("address", service.address)
    return nfs40.Client40(conn, ident=nfs40_back.IDENT, **options)


@pytest.fixture
def client(conn, service):
    return introduce(conn, service)


class Held:
    """What a client of 4.0 has of a file."""

    def __init__(self, client, directory, share, name=b"f"):
        encoded = nfs4.open_(name, share=share, clientid=client.clientid)
        reply = client.open(directory.fh, encoded).ok()
        opened = reply.of("OPEN")
        self.client, self.kind, self.open = client, opened.delegation, opened.stateid
        self.fh = next(result.fh for result in reply.results if hasattr(result, "fh"))
        self.stateid = getattr(opened, "deleg_stateid", None)

    def run(self, *ops):
        return self.client.run(putfh(self.fh), *ops)

    def close(self):
        self.client.close(self.fh, self.open).ok()

    def give_back(self):
        return self.run(delegreturn(self.stateid)).ok()


def delegated(client, directory, share, name=b"f"):
    """A file that is opened with a delegation, as soon as the server has heard that the client answers. The first OPEN
    confirms the owner, and gets none."""
    def tried():
        held = Held(client, directory, share, name)
        if held.kind == NONE:
            held.close()
        return held if held.kind != NONE else None
    return wait_until(tried, 30, "a delegation")


@pytest.fixture
def reader(client, directory):
    directory.make(b"f", b"0123456789", {MODE: 0o666})
    held = delegated(client, directory, ACCESS_READ)
    assert held.kind == READ
    return held


@pytest.fixture
def writer(client, directory):
    directory.make(b"f", b"0123456789", {MODE: 0o666})
    held = delegated(client, directory, ACCESS_BOTH)
    assert held.kind == WRITE
    return held


def gets_none(client, directory, name=b"none"):
    """Whether OPENs of a client that is confirmed get no delegation."""
    directory.make(name, values={MODE: 0o666})
    kinds = set()
    for _ in range(20):
        held = Held(client, directory, ACCESS_READ, name)
        kinds.add(held.kind)
        held.close()
    return kinds == {NONE}


def recalled(service, held, finish):
    call = service.wait_for(CB_RECALL)
    assert (call.stateid, call.fh, call.cred[0]) == (held.stateid, held.fh, 1)  # AUTH_SYS
    held.give_back()
    assert finish().status in ("OK", "DELAY")  # of a machine that is busy: it waits 70 ms


def test_the_server_asks_first_and_from_where_it_was_reached(reader, service, address):
    assert service.nulls == 1
    assert service.peers[0][0] == address[0]
    assert not service.calls
    assert reader.run(nfs4.read(reader.stateid, 0, 4)).ok().last.data == b"0123"
    assert reader.run(nfs4.write(reader.stateid, 0, b"x")).status == "OPENMODE"
    reader.give_back()
    assert reader.run(delegreturn(reader.stateid)).status == "BAD_STATEID"


def test_a_change_by_another_version_recalls_it(reader, service, directory):
    recalled(service, reader, begin(directory.session, putfh(reader.fh), nfs4.setattr_({SIZE: 0})))


def test_a_write_delegation_is_recalled_by_a_reader_of_its_own_version(writer, service, directory, address):
    with nfs40_back.Service() as elsewhere, nfs4.Conn(address) as conn:
        other = introduce(conn, elsewhere)
        directory.make(b"warm", values={MODE: 0o666})
        Held(other, directory, ACCESS_READ, b"warm").close()  # its owner is confirmed
        encoded = nfs40.numbered(nfs4.open_(b"f", share=ACCESS_READ, clientid=other.clientid), other.seqid + 1)
        xid = conn.send_call(nfs4.compound_body(putfh(directory.fh), encoded, nfs4.getfh(), minor=0))
        service.wait_for(CB_RECALL)
        writer.run(nfs4.write(writer.stateid, 0, b"last words")).ok()
        writer.give_back()
        assert nfs4.Reply(conn.receive_reply(xid)).status in ("OK", "DELAY")
        assert not elsewhere.calls


def test_own_changes_recall_nothing(writer, service, directory):
    """GETATTR, SETATTR, RENAME and REMOVE name no client: they are of whose connection they come on."""
    writer.run(nfs4.getattr_(SIZE, CHANGE)).ok()
    writer.run(nfs4.setattr_({MODE: 0o600})).ok()
    writer.run(nfs4.setattr_({SIZE: 3}, writer.stateid)).ok()
    writer.client.run(putfh(directory.fh), nfs4.savefh(), nfs4.rename(b"f", b"g")).ok()
    writer.client.run(putfh(directory.fh), nfs4.remove(b"g")).ok()
    assert not service.calls
    writer.give_back()


def test_on_a_connection_of_two_clients_nobody_is_known(writer, service, directory):
    with nfs40_back.Service() as elsewhere:
        introduce(writer.client.conn, elsewhere)
        xid = writer.client.conn.send_call(
            nfs4.compound_body(putfh(writer.fh), nfs4.setattr_({MODE: 0o600}), minor=0))
        service.wait_for(CB_RECALL)
        status = nfs4.Reply(writer.client.conn.receive_reply(xid)).status
        assert status == "DELAY"  # the connection that could have brought it back waits itself
        writer.give_back()


def test_a_client_that_starts_anew_on_its_connection_is_known(writer, service, directory):
    writer.client.verifier = bytes(8)
    writer.client.introduce()
    held = delegated(writer.client, directory, ACCESS_BOTH)
    held.run(nfs4.setattr_({MODE: 0o600})).ok()
    assert not service.calls
    held.give_back()


def test_a_getattr_of_another_client_asks_the_writer(writer, service, directory):
    before = writer.run(nfs4.getattr_(CHANGE, SIZE)).ok().last.attrs
    service.answers[CB_GETATTR] = lambda call: (
        0, nfs4.bitmap([CHANGE, SIZE]) + nfs4.opaque(nfs4.u64(before[CHANGE] + 1, 55)))
    found = directory.session.run(putfh(writer.fh), nfs4.getattr_(CHANGE, SIZE)).ok().last.attrs
    assert found[SIZE] == 55 and found[CHANGE] > before[CHANGE]
    call = service.wait_for(CB_GETATTR)
    assert (call.fh, call.attrs) == (writer.fh, [CHANGE, SIZE])
    writer.give_back()


def test_opens_made_under_a_delegation_are_claimed_while_it_is_recalled(writer, service, directory):
    finish = begin(directory.session, putfh(directory.fh), nfs4.open_(b"f", share=ACCESS_READ))
    service.wait_for(CB_RECALL)
    claim = nfs4.open_(b"f", share=ACCESS_BOTH, clientid=writer.client.clientid, claim=nfs4.CLAIM_DELEGATE_CUR,
                       deleg=writer.stateid)
    assert writer.client.open(directory.fh, claim).ok().of("OPEN").delegation == NONE
    by_handle = nfs4.open_(b"", clientid=writer.client.clientid, claim=nfs4.CLAIM_DELEG_CUR_FH, deleg=writer.stateid)
    assert writer.client.open(writer.fh, by_handle).last.status == "NOTSUPP"  # of 4.1
    writer.give_back()
    assert finish().status in ("OK", "DELAY")


def renew(client):
    return client.run(nfs40.renew(client.clientid)).status


def test_a_lost_way_back_is_told_by_renew_and_repaired_by_setclientid(reader, service, directory):
    assert renew(reader.client) == "OK"
    service.close()
    wait_until(lambda: renew(reader.client) == "CB_PATH_DOWN", 30, "the connection closed")
    assert gets_none(reader.client, directory)
    with nfs40_back.Service() as again:
        reader.client.callback["address"] = again.address
        made = reader.client.run(nfs40.setclientid(reader.client.owner, reader.client.verifier,
                                                   **reader.client.callback)).ok().last
        assert made.clientid == reader.client.clientid
        reader.client.run(nfs40.setclientid_confirm(made.clientid, made.confirm)).ok()
        wait_until(lambda: renew(reader.client) == "OK", 30, "the new way back")
        recalled(again, reader, begin(directory.session, putfh(reader.fh), nfs4.setattr_({SIZE: 0})))
    service.__init__()  # for the fixture to close


def test_who_has_no_delegation_is_not_told_of_a_lost_way_back(client, service):
    wait_until(lambda: service.nulls, 30, "CB_NULL")
    service.close()
    assert renew(client) == "OK"
    service.__init__()


@pytest.mark.parametrize("where", ["another host", "a low port", "no port", "no address", "no netid", "nobody listens"])
def test_nobody_else_is_ever_called(where, conn, directory):
    with nfs40_back.Service("127.0.0.2") as other, nfs40_back.Service() as own:
        port = own.address.rsplit(b".", 2)[1:]
        address = {"another host": other.address, "a low port": b"127.0.0.1.3.255", "no port": b"127.0.0.1.0.0",
                   "no address": b"not.an.address." + b".".join(port), "no netid": own.address,
                   "nobody listens": b"127.0.0.1.255.254"}[where]
        client = introduce(conn, own, address=address, netid=b"udp" if where == "no netid" else b"tcp")
        assert gets_none(client, directory)
        assert not other.peers and not own.peers
        assert renew(client) == "OK"


def test_who_does_not_answer_gets_none(conn, service, directory):
    service.is_silent = True
    client = introduce(conn, service)
    wait_until(lambda: service.nulls, 30, "CB_NULL")
    assert gets_none(client, directory)


def test_nothing_is_served_on_the_way_back(reader, service):
    assert service.ask(nfs4.compound_body(nfs4.putrootfh(), minor=0))
    reader.give_back()


def test_what_is_not_returned_within_a_lease_is_gone(reader, service, directory):
    """Version 4.0 has no FREE_STATEID: nothing remains of it."""
    change = nfs4.setattr_({SIZE: 0})
    assert directory.session.run(putfh(reader.fh), change).status == "DELAY"
    service.wait_for(CB_RECALL)

    def changed():
        assert renew(reader.client) == "OK"
        return directory.session.run(putfh(reader.fh), change).status == "OK"
    wait_until(changed, 60, "the revocation")
    assert reader.run(delegreturn(reader.stateid)).status == "BAD_STATEID"
    assert reader.run(nfs4.read(reader.stateid, 0, 4)).status == "BAD_STATEID"
    assert reader.run(nfs4.read(reader.open, 0, 4)).ok()


def test_none_without_the_option(service, tmp_path):
    with shoal_server.Server(tmp_path / "shoal") as plain:
        address = plain.up()["mount_targets"][0]["ip"], plain.nfs_port
        session = nfs4.connect(address)
        directory = nfs_place.new_directory(session)
        with nfs4.Conn(address) as conn:
            client = introduce(conn, service)
            assert gets_none(client, directory)
        assert not service.peers
        session.conn.close()


def test_a_writer_gets_write_access_only_with_a_write_open(client, directory):
    directory.make(b"f", values={MODE: 0o666})
    held = delegated(client, directory, ACCESS_WRITE)
    assert held.kind == WRITE
    held.close()
    held.run(nfs4.write(held.stateid, 0, b"outlives the open")).ok()
    held.give_back()


def test_after_a_restart_it_is_called_again(reader, service, directory, server):
    reader.client.conn.close()
    directory.session.conn.close()
    server.restart()
    address = server.up()["mount_targets"][0]["ip"], server.nfs_port
    with nfs4.Conn(address) as conn:
        reader.client.conn = conn
        reader.client.introduce()
        wait_until(lambda: service.nulls == 2, 30, "CB_NULL")

"""TLS on the NFS port: from the first byte and after AUTH_TLS; certificates, bad handshakes, many handshakes."""

import json
import os
import socket
import ssl
import subprocess
import threading

import nfs4
from nfs4 import putfh, read, u32, write
import nfs_place
import pytest
import shoal_server

AUTH_TLS = u32(7, 0)
SUFFIX = "efs.us-east-1.shoal.internal"


def context(ca, version=None):
    """What a client that trusts `ca` uses, of one version of TLS."""
    made = ssl.create_default_context(cafile=str(ca))
    if version is not None:
        made.minimum_version = made.maximum_version = version
    return made


@pytest.fixture(scope="module")
def ca(server, address):
    return server.data_dir / "ca.pem"


@pytest.fixture(scope="module")
def file_system(server):
    return server.up()["file_system_id"]


def secure(address, ca, version=None, name=None):
    return nfs4.connect(address, conn=nfs4.Conn(address, tls=context(ca, version), name=name))


def use(session):
    """Writes and reads what does not fit into one record of TLS."""
    play = nfs_place.new_directory(session)
    data = os.urandom(300_000)
    fh, stateid = play.open(b"file")
    for at in range(0, len(data), 1 << 17):
        session.run(putfh(fh), write(stateid, at, data[at:at + (1 << 17)])).ok()
    assert play.content(fh, 1 << 19) == data


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_may_begin_with_tls(address, ca, version):
    session = secure(address, ca, version)
    assert session.conn.socket.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2"}.get(version, "TLSv1.3")
    use(session)
    session.conn.close()


def test_plain_and_secured_connections_stand_side_by_side(address, ca, session):
    secured = secure(address, ca)
    play = nfs_place.new_directory(secured)
    play.make(b"file", b"by TLS")
    seen = session.run(putfh(play.fh_of(b"file")), read(nfs4.BYPASS, 0, 100)).ok().last.data
    assert seen == b"by TLS"
    secured.conn.close()


def test_the_certificate_has_the_names_of_the_file_system(address, ca, file_system):
    for name in (f"{file_system}.{SUFFIX}", f"fs-0123456789abcdef0.{SUFFIX}", f"us-east-1a.{file_system}.{SUFFIX}",
                 address[0], "localhost"):
        nfs4.Conn(address, tls=context(ca), name=name).close()
    for name in ("example.org", f"a.b.{SUFFIX}", "127.0.0.99", f"us-east-1a.fs-0123456789abcdef0.{SUFFIX}"):
        with pytest.raises(ssl.SSLCertVerificationError):
            nfs4.Conn(address, tls=context(ca), name=name)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_are_refused(address, ca):
    old = context(ca)
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        nfs4.Conn(address, tls=old)


def test_requests_may_overtake_each_other_in_tls(address, ca):
    """Many requests at once, whose replies are larger than what the socket takes in one go."""
    session = secure(address, ca)
    play = nfs_place.new_directory(session)
    data = os.urandom(1 << 20)
    fh, stateid = play.open(b"large")
    session.run(putfh(fh), write(stateid, 0, data[:1 << 19])).ok()
    session.run(putfh(fh), write(stateid, 1 << 19, data[1 << 19:])).ok()
    conn = session.conn
    xids = [conn.send_call(nfs4.compound_body(nfs4.sequence(session.id, session.seqids.get(slot, 0) + 1, slot),
                                              putfh(fh), read(stateid, slot << 17, 1 << 17)))
            for slot in range(8)]
    found = {}
    for _ in xids:
        record = conn.receive_record()
        found[int.from_bytes(record[:4], "big")] = record
    for slot, xid in enumerate(xids):
        assert data[slot << 17:(slot + 1) << 17] in found[xid]
    conn.close()


def test_a_policy_may_require_tls(server, address, ca, file_system, session):
    path = f"/file-systems/{file_system}/policy"
    statements = [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "elasticfilesystem:Client*"},
                  {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "elasticfilesystem:Client*",
                   "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    server.shoal("api", "--data", server.data_dir, "PUT", path, json.dumps({"Policy": policy}))
    try:
        assert session.run(nfs4.putrootfh()).status == "ACCESS"
        secured = secure(address, ca)
        use(secured)
        secured.conn.close()
    finally:
        server.shoal("api", "--data", server.data_dir, "DELETE", path)
    session.run(nfs4.putrootfh()).ok()


# --- AUTH_TLS, RFC 9289 ------------------------------------------------------------------------------

def ask_for_tls(conn, procedure=0):
    """Sends the probe; returns the reply after its xid."""
    xid = conn.send_call(b"", cred=AUTH_TLS, procedure=procedure)
    record = conn.receive_record()
    assert record[:4] == u32(xid)
    return record[4:]


STARTTLS = u32(1, 0, 0, 8) + b"STARTTLS" + u32(0)
BAD_CREDENTIAL = u32(1, 1, 1, 1)


def test_auth_tls_is_answered_with_starttls_and_tls_follows(address, ca):
    conn = nfs4.Conn(address)
    assert ask_for_tls(conn) == STARTTLS
    wanted = context(ca)
    wanted.set_alpn_protocols(["sunrpc"])
    conn.start_tls(wanted)
    assert conn.socket.selected_alpn_protocol() == "sunrpc"
    assert ask_for_tls(conn) == BAD_CREDENTIAL, "there is TLS already"
    use(nfs4.connect(address, conn=conn))
    conn.close()


def test_tls_after_auth_tls_is_not_for_another_protocol(address, ca):
    conn = nfs4.Conn(address)
    assert ask_for_tls(conn) == STARTTLS
    wanted = context(ca)
    wanted.set_alpn_protocols(["http/1.1"])
    with pytest.raises((ssl.SSLError, ConnectionError, nfs4.ConnectionClosed)):
        conn.start_tls(wanted)
        conn.call(b"", procedure=0)
    conn.close()


def test_tls_after_auth_tls_works_without_alpn(address, ca):
    """As Linux's tlshd asks for it (ktls-utils 1.4.0)."""
    conn = nfs4.Conn(address)
    assert ask_for_tls(conn) == STARTTLS
    conn.start_tls(context(ca))
    assert conn.socket.selected_alpn_protocol() is None
    use(nfs4.connect(address, conn=conn))
    conn.close()


def test_auth_tls_is_for_the_null_procedure_only(conn):
    assert ask_for_tls(conn, procedure=1) == BAD_CREDENTIAL
    assert ask_for_tls(conn) == STARTTLS
    assert conn.call(b"", procedure=0) == b"", "a client that only asked may go on without"


def test_what_is_sent_behind_the_probe_too_early_ends_the_connection(conn):
    probe = u32(1, 0, 2, 100003, 4, 0) + AUTH_TLS + nfs4.AUTH_NONE
    null = u32(2, 0, 2, 100003, 4, 0) + nfs4.AUTH_NONE * 2
    conn.socket.sendall(b"".join(u32(0x80000000 | len(record)) + record for record in (probe, null)))
    with pytest.raises(nfs4.ConnectionClosed):
        conn.receive_record()


# --- bad and many handshakes -------------------------------------------------------------------------

def is_closed(sock):
    """Whether the server ends the connection (the socket's time limit is far away)."""
    try:
        while sock.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def client_hello():
    """The first bytes of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    plain = ssl.create_default_context()
    plain.check_hostname = False
    plain.verify_mode = ssl.CERT_NONE
    with pytest.raises(ssl.SSLWantReadError):
        plain.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


def test_garbage_ends_the_connection_and_nothing_else(address, session):
    hello = client_hello()
    cut = bytearray(hello)
    cut[9:11] = b"\x01\x00"  # a version that nobody speaks
    for garbage in (b"\x16\x03\x01\xff\xff" + os.urandom(4096), b"\x16" * 100, b"\x16\x03\x03\x00\x04\x02\x00\x00\x00",
                    b"\x16\x03\x01" + os.urandom(2000), bytes(cut), hello[:5] + os.urandom(len(hello) - 5)):
        with socket.create_connection(address, timeout=60) as sock:
            sock.sendall(garbage)
            sock.shutdown(socket.SHUT_WR)
            assert is_closed(sock)
    session.run(nfs4.putrootfh()).ok()


def test_a_certificate_chain_beyond_the_limit_is_refused(address, ca, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key.pem", "-out",
                    tmp_path / "cert.pem", "-subj", "/CN=a", "-addext", "nsComment=" + "x" * 30000],
                   check=True, capture_output=True)
    large = context(ca, ssl.TLSVersion.TLSv1_2)
    large.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        nfs4.Conn(address, tls=large)


@pytest.fixture(scope="module")
def strict_server(tmp_path_factory):
    """A server that gives a handshake one second, and one place a reactor."""
    options = ["--set", "tls.handshake_time=1", "--set", "tls.handshakes_max=1"]
    with shoal_server.Server(tmp_path_factory.mktemp("strict"), options) as server:
        yield server


def test_half_handshakes_end_in_time_and_give_their_place_to_others(strict_server):
    address = nfs_place.mount_target(strict_server)
    hello = client_hello()
    halves = [socket.create_connection(address, timeout=60) for _ in range(20)]
    for i, half in enumerate(halves):
        half.sendall(hello[:len(hello) - i])
    for half in halves:
        assert is_closed(half)
        half.close()
    session = secure(address, strict_server.data_dir / "ca.pem")
    use(session)
    session.conn.close()
    assert "it took too long" in strict_server.log()


def test_a_thousand_handshakes_at_once_all_come_through(address, ca):
    """Each connection is held until all are there."""
    wanted = context(ca)
    conns, failures = [], []

    def work():
        for _ in range(125):
            try:
                conn = nfs4.Conn(address, timeout_s=120, tls=wanted)
                assert conn.call(b"", procedure=0) == b""
                conns.append(conn)
            except Exception as error:  # noqa: BLE001 (told below)
                failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]
    assert len(conns) == 1000
    for conn in conns:
        assert conn.call(b"", procedure=0) == b""
        conn.close()


# --- the authority, and certificates of one's own ----------------------------------------------------

def test_the_authority_stays_and_its_key_is_for_the_owner_only(strict_server):
    strict_server.up()
    files = [strict_server.data_dir / name for name in ("ca.pem", "ca-key.pem")]
    before = [path.read_bytes() for path in files]
    assert files[1].stat().st_mode & 0o777 == 0o600
    strict_server.restart()
    assert [path.read_bytes() for path in files] == before


def own_certificate(directory, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    directory / "key.new", "-out", directory / "cert.new", "-subj", f"/CN={name}", "-addext",
                    f"subjectAltName=DNS:{name}"], check=True, capture_output=True)
    os.replace(directory / "key.new", directory / "key.pem")
    os.replace(directory / "cert.new", directory / "cert.pem")
    return directory / "cert.pem"


def test_a_certificate_of_ones_own_is_shown_and_replaced_without_a_restart(tmp_path):
    cert = own_certificate(tmp_path, "one.example.org")
    options = ["--set", f"tls.certificate={cert}", "--set", f"tls.key={tmp_path / 'key.pem'}"]
    with shoal_server.Server(tmp_path / "server", options) as server:
        address = ("127.0.0.1", server.nfs_port)
        first = nfs4.Conn(address, tls=context(cert), name="one.example.org")
        own_certificate(tmp_path, "two.example.org")

        def shows_the_new_one():
            try:
                nfs4.Conn(address, tls=context(cert), name="two.example.org").close()
            except ssl.SSLCertVerificationError:
                return False
            return True

        shoal_server.wait_until(shows_the_new_one, 60, "the new certificate is shown")
        assert first.call(b"", procedure=0) == b"", "connections from before go on"
        first.close()
        (tmp_path / "good.pem").write_bytes(cert.read_bytes())
        cert.write_text("no certificate")
        shoal_server.wait_until(lambda: "the one before it stays" in server.log(), 60, "the damaged file is told")
        nfs4.Conn(address, tls=context(tmp_path / "good.pem"), name="two.example.org").close()


def test_a_certificate_without_its_key_ends_the_start(tmp_path):
    cert = own_certificate(tmp_path, "one.example.org")
    other = tmp_path / "other"
    other.mkdir()
    own_certificate(other, "one.example.org")
    for settings, words in (([f"tls.certificate={cert}"], "belong together"),
                            ([f"tls.certificate={cert}", f"tls.key={other / 'key.pem'}"], "no certificate and its key"),
                            ([f"tls.certificate={cert}", "tls.key=/nowhere"], "No such file")):
        options = [word for setting in settings for word in ("--set", setting)]
        server = shoal_server.Server(tmp_path / "server", options)
        with pytest.raises(RuntimeError, match=words):
            server.start()

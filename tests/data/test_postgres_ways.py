"""The ways to a PostgreSQL: through a pooler in transaction mode (as Neon's), over TLS, with wrong certificates and passwords."""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pg_server as pg_harness
import pytest
from shoal_server import find_program


def shoal(url, *words, status=0, stdin=b""):
    done = subprocess.run([find_program("shoal"), "data", *map(str, words)], input=stdin, capture_output=True,
                          env={**os.environ, "SHOAL_STORE": url}, timeout=60)
    assert done.returncode == status, (words, done.returncode, done.stderr)
    return done.stdout if status == 0 else done.stderr.decode()


BARS = b"timestamp_ns,open,high,low,close,volume\n60,1,2,0.5,1.5,10\n120,2,3,1,2,nan\n"


def use_everything(url, tmp_path):
    shoal(url, "init")
    for number in range(3):
        shoal(url, "put", "market", "BTC/USD", "1m", "-", stdin=b"%d" % number)
    shoal(url, "put", "bars", "AAPL", "1m", "-", stdin=BARS)
    shoal(url, "put", "bars", "AAPL", "1m", "-", stdin=BARS.replace(b"60,1,2", b"60,9,9"))
    (tmp_path / "model").write_bytes(os.urandom(2_500_000))
    shoal(url, "put", "checkpoint", "net", tmp_path / "model")
    shoal(url, "get", "checkpoint", "net", "-o", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "model").read_bytes()
    assert len(json.loads(shoal(url, "ls", "market", "--json"))) == 3
    assert b"60,9,9" in shoal(url, "get", "bars", "AAPL", "1m")
    return json.loads(shoal(url, "health", "--json"))


@pytest.fixture
def pooler(pg_server, tmp_path):
    """pgbouncer in transaction mode, with fewer server connections than clients."""
    program = shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    directory = pg_server.directory / "pooler"
    directory.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (directory / "users").write_text('"shoal" ""\n')
    (directory / "ini").write_text(f"""[databases]
* = host={pg_server.directory} port={pg_server.port} user=shoal
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
auth_file = {directory}/users
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
""")
    who = {}
    if pg_server.user:
        who = {"user": pg_server.user.pw_uid, "group": pg_server.user.pw_gid, "extra_groups": []}
        shutil.chown(directory, pg_server.user.pw_uid)
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen([program, directory / "ini"], stdout=log, stderr=log, cwd="/", **who)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert process.poll() is None, (directory / "log").read_text()
            time.sleep(0.05)
    yield port
    process.send_signal(signal.SIGKILL)
    process.wait()
    shutil.rmtree(directory)


def test_a_pooler_in_transaction_mode(pg_server, pooler, tmp_path):
    database = pg_server.new_database()
    health = use_everything(pg_server.tcp_url(database, pooler), tmp_path)
    assert health["ok"] and "pooler" in health["detail"], health
    direct = json.loads(shoal(pg_server.url(database), "health", "--json"))
    assert direct["ok"] and "pooler" not in direct["detail"], direct

    failures = []

    def append(worker):  # more clients than the pooler has server connections, which they swap at each transaction
        try:
            for number in range(3):
                shoal(pg_server.tcp_url(database, pooler), "put", "bars", f"S{worker}", "1m", "-",
                      stdin=BARS.replace(b"60,1,", b"60,%d," % number))
        except AssertionError as problem:
            failures.append(problem)

    workers = [threading.Thread(target=append, args=(worker,)) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures, failures[0]
    assert pg_server.ask(database, "SELECT count(*), min(open) FROM shoal_data.bars JOIN shoal_data.series"
                                   " ON id = series_id WHERE symbol LIKE 'S%' AND ts = 60") == "4|2"


@pytest.fixture(scope="module")
def tls_server():
    """A server that has a certificate of its own making, and asks for a password."""
    if pg_harness.find_bin() is None:
        pytest.skip("PostgreSQL is not installed")
    server = pg_harness.PgServer()
    key, certificate = server.directory / "server.key", server.directory / "server.crt"
    subprocess.run(["openssl", "req", "-new", "-x509", "-days", "2", "-nodes", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", certificate, "-keyout", key],
                   check=True, capture_output=True)
    key.chmod(0o600)
    if server.user:
        os.chown(key, server.user.pw_uid, server.user.pw_gid)
    server.settings = ("ssl=on", f"ssl_key_file={key}", f"ssl_cert_file={certificate}")
    with server:
        server.ask("postgres", "CREATE USER ada PASSWORD 's3cret-word'")
        server.ask("postgres", "CREATE DATABASE safe OWNER ada")
        (server.directory / "data/pg_hba.conf").write_text(
            "local all all trust\nhostssl all ada 127.0.0.1/32 scram-sha-256\n")
        server.ask("postgres", "SELECT pg_reload_conf()")
        yield server, certificate


def test_tls_and_passwords(tls_server, tmp_path):
    server, certificate = tls_server
    start = "postgresql://ada:s3cret-word@localhost"
    checked = f"{start}:{server.port}/safe?sslmode=verify-full&sslrootcert={certificate}"
    health = use_everything(checked, tmp_path)
    assert health["ok"] and "s3cret" not in json.dumps(health)
    refused = {
        f"{start}:{server.port}/safe?sslmode=disable": "pg_hba.conf",
        f"{start}:{server.port}/safe?sslmode=verify-full&sslrootcert={server.directory}/data/missing.crt": "certificate",
        f"postgresql://ada:s3cret-wrong@localhost:{server.port}/safe?sslmode=require": "password authentication failed",
    }
    for url, words in refused.items():
        said = shoal(url, "ls", "market", status=1)
        assert words in said and "s3cret" not in said, (url, said)

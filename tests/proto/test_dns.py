"""DNS of a running shoald: with dig, with bytes, through a resolver, and while mount targets come and go."""

import contextlib
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile

import pytest
import shoal_server
from shoal_server import wait_until

SUFFIX = "Shoal.Internal"  # in any case
ZONE = "efs.us-east-1.shoal.internal"
A, SOA, AAAA, ANY = 1, 6, 28, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
RATE = 50
HAS_IPV6 = os.path.exists("/proc/net/if_inet6") and "00000000000000000000000000000001" in open("/proc/net/if_inet6").read()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    port = shoal_server.free_port()
    listen = f"127.0.0.1:{port}" + (f", [::1]:{port}" if HAS_IPV6 else "")
    options = ["--set", f"dns.listen={listen}", "--set", f"node.suffix={SUFFIX}", "--set", "dns.ttl=7", "--set",
               f"dns.rate={RATE}"]
    with shoal_server.Server(tmp_path_factory.mktemp("dns"), options) as running:
        running.dns_port = port
        yield running


@pytest.fixture(scope="module")
def everywhere(server):
    """A file system with a mount target in each zone: (id, {zone: address})."""
    efs = server.boto3_client()
    fs_id, _ = server.create_file_system(efs)
    for subnet in server.subnets()[1:]:
        efs.create_mount_target(FileSystemId=fs_id, SubnetId=subnet)
    targets = wait_until(lambda: available(efs, fs_id, len(server.subnets())), 30, "the mount targets")
    return fs_id, {target["AvailabilityZoneName"]: target["IpAddress"] for target in targets}


def available(efs, fs_id, count):
    targets = efs.describe_mount_targets(FileSystemId=fs_id)["MountTargets"]
    return targets if [target["LifeCycleState"] for target in targets] == ["available"] * count else None


def question(name, kind=A, ident=0x1234):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    return struct.pack(">6H", ident, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">2H", kind, 1)


def code(message):
    return message[3] & 15


def addresses(message):
    """The addresses of an answer whose records are all of type A."""
    count = struct.unpack(">H", message[6:8])[0]
    records = message[len(message) - 16 * count:]
    return [socket.inet_ntoa(records[16 * i + 12:16 * i + 16]) for i in range(count)]


def udp(server, message, source="127.0.0.1", timeout_s=10):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.settimeout(timeout_s)
        sock.sendto(message, ("127.0.0.1", server.dns_port))
        answer, peer = sock.recvfrom(4096)
        assert peer == ("127.0.0.1", server.dns_port)
        return answer


def tcp_read(sock):
    size = struct.unpack(">H", sock.recv(2, socket.MSG_WAITALL))[0]
    return sock.recv(size, socket.MSG_WAITALL)


def framed(message):
    return struct.pack(">H", len(message)) + message


def dig(server, *words, at="127.0.0.1"):
    """(status, flags, lines of the answer) of dig."""
    done = subprocess.run(["dig", f"@{at}", "-p", str(server.dns_port), "+tries=1", "+time=10", "+noauthority",
                           *words],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    head = next(line for line in done.stdout.splitlines() if "->>HEADER<<-" in line)
    flags = next(line for line in done.stdout.splitlines() if line.startswith(";; flags:"))
    records = [line.split() for line in done.stdout.splitlines() if line and not line.startswith(";")]
    return head.split("status: ")[1].split(",")[0], flags.split(":")[1].split(";")[0].split(), records


def test_it_says_where_it_answers_and_for_what(server):
    announced = server.announced()
    assert announced["dns"][0] == f"127.0.0.1:{server.dns_port}"
    assert announced["suffix"] == SUFFIX


@pytest.mark.parametrize("way", [[], ["+tcp"], ["+noedns"], ["+bufsize=512"], ["+dnssec"], ["+cookie"]])
def test_dig_understands_the_answers(server, everywhere, way):
    fs_id, targets = everywhere
    status, flags, records = dig(server, *way, f"{fs_id}.{ZONE}")
    assert status == "NOERROR" and "aa" in flags and "ra" not in flags and "tc" not in flags
    assert sorted(record[-1] for record in records) == sorted(targets.values())
    assert {(record[0], record[1], record[3]) for record in records} == {(f"{fs_id}.{ZONE}.", "7", "A")}
    assert dig(server, *way, f"{fs_id}.{ZONE}", "AAAA") == ("NOERROR", flags, [])
    assert dig(server, *way, ZONE, "SOA")[2][0][4] == f"ns.{ZONE}."
    assert dig(server, *way, ZONE, "NS")[2][0][4] == f"ns.{ZONE}."
    assert dig(server, *way, f"ns.{ZONE}")[2][0][4] == "127.0.0.1"
    assert dig(server, *way, f"fs-0123.{ZONE}")[0] == "NXDOMAIN"
    assert dig(server, *way, "example.com")[0] == "REFUSED"


@pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6")
def test_it_answers_over_ipv6(server, everywhere):
    fs_id, targets = everywhere
    for way in ("+notcp", "+tcp"):
        assert len(dig(server, way, f"{fs_id}.{ZONE}", at="::1")[2]) == len(targets)
        assert dig(server, way, f"ns.{ZONE}", "AAAA", at="::1")[2][0][4] == "::1"


def test_an_asker_gets_the_target_of_its_zone(server, everywhere):
    fs_id, targets = everywhere
    for address in targets.values():
        source = address.rsplit(".", 1)[0] + ".200"  # in the same subnet
        assert addresses(udp(server, question(f"{fs_id}.{ZONE}"), source)) == [address]


def test_a_zone_may_be_named_by_name_or_id(server, everywhere):
    fs_id, targets = everywhere
    zones = server.boto3_client("ec2").describe_availability_zones()["AvailabilityZones"]
    for zone in zones:
        for name in (zone["ZoneName"], zone["ZoneId"]):
            assert addresses(udp(server, question(f"{name}.{fs_id}.{ZONE}"))) == [targets[zone["ZoneName"]]]


def test_the_letters_of_the_question_come_back(server, everywhere):
    asked = question(f"{everywhere[0].upper()}.EfS.us-EAST-1.sHOAL.internal")
    assert udp(server, asked)[12:len(asked)] == asked[12:]


def test_a_name_follows_its_mount_targets(server):
    efs = server.boto3_client()
    fs_id, address = server.create_file_system(efs)
    asked = question(f"{fs_id}.{ZONE}")
    assert addresses(udp(server, asked)) == [address]
    other = efs.create_mount_target(FileSystemId=fs_id, SubnetId=server.subnets()[1])
    wait_until(lambda: len(addresses(udp(server, asked))) == 2, 10, "the second target has the name")
    for target in efs.describe_mount_targets(FileSystemId=fs_id)["MountTargets"]:
        if target["MountTargetId"] != other["MountTargetId"]:
            efs.delete_mount_target(MountTargetId=target["MountTargetId"])
    source = address.rsplit(".", 1)[0] + ".200"  # even for who is in the zone of the one that is gone
    wait_until(lambda: addresses(udp(server, asked, source)) == [other["IpAddress"]], 10, "the name has moved")
    efs.delete_mount_target(MountTargetId=other["MountTargetId"])
    wait_until(lambda: code(udp(server, asked)) == NXDOMAIN, 10, "the name is gone")


def test_a_target_that_is_not_served_is_not_named(tmp_path):
    """Of the three targets of `shoal up`, clients are let in at one: all askers are sent there."""
    port = shoal_server.free_port()
    server = shoal_server.Server(tmp_path, ["--set", f"dns.listen=127.0.0.1:{port}", "--set",
                                            "nfs.listen=127.0.0.1, 127.16.16.0/20"])
    server.dns_port = port
    with server:
        up = server.up()
        zone = f"efs.{up['region']}.shoal.internal"
        served = [target["ip"] for target in up["mount_targets"] if target["ip"].startswith("127.16.16.")]
        for source in ("127.0.0.1", "127.16.0.200"):
            assert addresses(udp(server, question(f"{up['file_system_id']}.{zone}"), source)) == served
        assert code(udp(server, question(f"us-east-1a.{up['file_system_id']}.{zone}"))) == SERVFAIL


def test_many_questions_on_one_connection(server, everywhere):
    asked = [question(f"{everywhere[0]}.{ZONE}", ident=ident) for ident in range(2000)]
    stream = b"".join(framed(message) for message in asked)
    with socket.create_connection(("127.0.0.1", server.dns_port), timeout=30) as sock:
        sender = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=sock.fileno())  # sends while we read
        sender.stdin.write(stream)
        sender.stdin.close()
        assert [struct.unpack(">H", tcp_read(sock)[:2])[0] for _ in asked] == list(range(2000))
        sender.wait()


def test_bytes_that_drip_make_a_message(server, everywhere):
    with socket.create_connection(("127.0.0.1", server.dns_port), timeout=30) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in framed(question(f"us-east-1b.{everywhere[0]}.{ZONE}")):
            sock.sendall(bytes([byte]))
        assert addresses(tcp_read(sock)) == [everywhere[1]["us-east-1b"]]


def test_garbage_by_udp_gets_little(server, everywhere):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.2", 0))
        sock.settimeout(10)
        sock.connect(("127.0.0.1", server.dns_port))
        for message in (b"", b"x", question("a.b")[:11], b"\xff" * 512, bytes(12)[:2] + b"\x80" + bytes(20)):
            sock.send(message)  # none of these has an answer
        for message, wanted in ((question("a" + "." + ZONE)[:-1], FORMERR), (b"\0\1" + bytes(10), FORMERR),
                                (b"\0\1\x20" + bytes(9), NOTIMP), (bytes(1300), FORMERR)):
            sock.send(message)
            answer = sock.recv(4096)
            assert (code(answer), len(answer)) == (wanted, 12)
    assert code(udp(server, question(f"{everywhere[0]}.{ZONE}"))) == NOERROR


def test_garbage_by_tcp_is_hung_up_on(server, everywhere):
    for stream in (b"\xff\xff" + bytes(100), framed(b""), framed(b"\0" * 11), framed(b"\0\0\x80" + bytes(9)),
                   framed(bytes(1233))):
        with socket.create_connection(("127.0.0.1", server.dns_port), timeout=30) as sock:
            sock.sendall(stream)
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(4096) == b""
    with socket.create_connection(("127.0.0.1", server.dns_port), timeout=30) as sock:
        sock.sendall(framed(b"\0\1" + bytes(10)) + framed(question(f"{everywhere[0]}.{ZONE}")))
        assert code(tcp_read(sock)) == FORMERR
        assert code(tcp_read(sock)) == NOERROR  # one bad message does not end the connection


def test_too_many_connections_of_one_address_end_its_oldest(server, everywhere):
    crowd = [socket.create_connection(("127.0.0.1", server.dns_port), timeout=30) for _ in range(40)]
    crowd[-1].sendall(framed(question(f"{everywhere[0]}.{ZONE}")))
    assert code(tcp_read(crowd[-1])) == NOERROR
    with contextlib.suppress(ConnectionResetError):
        assert crowd[0].recv(1) == b""
    for sock in crowd:
        sock.close()


def test_one_source_cannot_get_more_than_its_rate(server, everywhere):
    """A burst from one address: the rate is answered, some of the rest is sent to TCP in as few bytes as were asked in."""
    asked = question(f"{everywhere[0]}.{ZONE}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.77", 0))
        sock.settimeout(2)
        answers = []
        for _ in range(20):  # what waits to be read is never much
            for _ in range(50):
                sock.sendto(asked, ("127.0.0.1", server.dns_port))
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    answers.append(sock.recv(4096))
            sock.settimeout(2)
        with contextlib.suppress(TimeoutError):
            while True:
                answers.append(sock.recv(4096))
    truncated = [answer for answer in answers if answer[2] & 2]
    whole = len(answers) - len(truncated)
    assert truncated and all(len(answer) == len(asked) for answer in truncated)
    assert RATE <= whole < 1000 and len(answers) < 1000
    assert dig(server, "-b", "127.0.0.77", "+tcp", f"{everywhere[0]}.{ZONE}")[0] == "NOERROR"
    assert code(udp(server, asked, "127.0.0.78")) == NOERROR  # others do not notice


@contextlib.contextmanager
def resolver(words, config, directory):
    """A resolver on a port of loopback, whose configuration has PORT in it; yields the port."""
    port = shoal_server.free_port()
    path = directory / "resolver.conf"
    path.write_text(config.replace("PORT", str(port)))
    with open(directory / "resolver.log", "wb") as log:
        process = subprocess.Popen([word.replace("FILE", str(path)) for word in words], stdout=log, stderr=log)
    try:
        wait_until(lambda: shoal_server.connects("127.0.0.1", port), 30, "the resolver is up")
        yield port
    finally:
        process.terminate()
        process.wait()


RESOLVERS = {
    "dnsmasq": (["dnsmasq", "--keep-in-foreground", "--user=root", "--conf-file=FILE"],
                "port=PORT\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\npid-file=\n"
                "server=/{zone}/127.0.0.1#{dns_port}\n"),
    "unbound": (["unbound", "-d", "-c", "FILE"],
                "server:\n  interface: 127.0.0.1@PORT\n  chroot: \"\"\n  username: \"\"\n  pidfile: \"\"\n  use-syslog: no\n"
                "  do-not-query-localhost: no\n  module-config: \"iterator\"\n  local-zone: \"internal.\" nodefault\n"
                "stub-zone:\n  name: \"{zone}\"\n  stub-addr: 127.0.0.1@{dns_port}\n"),
}


@pytest.mark.parametrize("program", RESOLVERS)
def test_a_resolver_forwards_to_it(server, everywhere, program):
    """The lines of docs/dns.md, in the real program."""
    path = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        pytest.skip(f"{program} is not installed")
    words, config = RESOLVERS[program]
    fs_id, targets = everywhere
    with tempfile.TemporaryDirectory() as folder, resolver(
            [path, *words[1:]], config.format(zone=ZONE, dns_port=server.dns_port),
            pathlib.Path(folder)) as port:
        found = subprocess.run(["dig", "@127.0.0.1", "-p", str(port), "+short", f"{fs_id}.{ZONE}"], check=True,
                               capture_output=True, text=True).stdout.split()
        assert sorted(found) == sorted(targets.values())
        gone = subprocess.run(["dig", "@127.0.0.1", "-p", str(port), f"fs-0.{ZONE}"], check=True, capture_output=True,
                              text=True).stdout
        assert "status: NXDOMAIN" in gone


def test_answers_are_counted(server, everywhere):
    import urllib.request
    udp(server, question(f"fs-none.{ZONE}"))
    text = urllib.request.urlopen(server.endpoint + "/metrics", timeout=30).read().decode()
    assert 'shoal_dns_answers_total{rcode="NXDOMAIN"}' in text and 'shoal_dns_answers_total{rcode="NOERROR"}' in text


def test_a_port_in_use_and_a_wrong_address_are_explained(server, tmp_path):
    program = str(shoal_server.find_program("shoald"))
    for listen, part in ((f"127.0.0.1:{server.dns_port}", "choose another port with dns.listen"),
                         ("192.0.2.1:8053", "none of this machine's"), ("8053", "dns.listen takes")):
        done = subprocess.run([program, "--data", tmp_path, "--control", f"127.0.0.1:{shoal_server.free_port()}",
                               "--nfs-port", "0", "--set", f"dns.listen={listen}"], capture_output=True, text=True,
                              timeout=60, env={**os.environ, **shoal_server.sanitizer_env()})
        assert done.returncode != 0 and part in done.stderr, done.stderr

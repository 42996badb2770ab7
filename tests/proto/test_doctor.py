"""shoal doctor: one deliberately broken set-up after the other, and the check that has to name it; no mount, no root needed."""

import json
import os
import pathlib
import socket
import subprocess
import threading

import pytest
import shoal_server

READ_ONLY = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": "*"}, "Resource": "*",
     "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientRootAccess"]}]}
NO_ROOT = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": "*"}, "Resource": "*",
     "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]}]}
ONLY_TLS = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "elasticfilesystem:Client*", "Resource": "*",
     "Condition": {"Bool": {"aws:SecureTransport": "true"}}}]}


class Place:
    """A file system with a directory of user 1000, a private one of root, and a file."""

    def __init__(self, server, run_dir):
        self.server = server
        self.file_system, self.address = server.create_file_system()
        self.env = {**server.env, "SHOAL_RUN_DIR": str(run_dir)}
        for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "SHOAL_DATA", "AWS_PROFILE"):
            self.env.pop(name, None)
        server.shoal("mkdir", "--data", server.data_dir, "-m", "0700", f"{self.file_system}:/private")
        file = pathlib.Path(run_dir).parent / "file"
        file.write_text("a file\n")
        server.shoal("cp", "--data", server.data_dir, file, f"{self.file_system}:/file")

    @classmethod
    def of(cls, server, file_system, run_dir):
        """One that makes nothing: for the doctor only."""
        made = cls.__new__(cls)
        made.server, made.file_system = server, file_system
        made.env = {name: value for name, value in server.env.items()
                    if name not in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "SHOAL_DATA", "AWS_PROFILE")}
        made.env["SHOAL_RUN_DIR"] = str(run_dir)
        return made

    def doctor(self, *words, env=None):
        """Runs shoal doctor; returns (exit status, {check: (status, found, fix)})."""
        done = subprocess.run([str(shoal_server.find_program("shoal")), "doctor", "--json", "--timeout", "5",
                               *map(str, words)], env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=100)
        assert done.stdout, done.stderr
        checks = json.loads(done.stdout)["checks"]
        assert [check["number"] for check in checks] == list(range(1, 15))
        return done.returncode, {c["name"]: (c["status"], c["found"], c["fix"]) for c in checks}

    def check(self, *words, **kwargs):
        """The same with the keys of the data directory."""
        return self.doctor("--data", self.server.data_dir, *words, **kwargs)

    def put_policy(self, policy):
        self.server.boto3_client().put_file_system_policy(
            FileSystemId=self.file_system, Policy=json.dumps(policy), BypassPolicyLockoutSafetyCheck=True)


@pytest.fixture(scope="module")
def place(server, tmp_path_factory):
    return Place(server, tmp_path_factory.mktemp("doctor") / "run")


@pytest.fixture
def policy(place):
    """policy(document): put for this test only."""
    yield place.put_policy
    place.server.boto3_client().delete_file_system_policy(FileSystemId=place.file_system)


def assert_culprit(result, name, *words):
    """The first check that fails is `name`, and its sentences have the words; what comes after was not reached or fails with it."""
    status, checks = result
    assert status == 1, checks
    failed = [key for key, value in checks.items() if value[0] == "FAIL"]
    assert failed[:1] == [name], checks
    text = " ".join(checks[name][1:])
    for word in words:
        assert word in text, checks[name]
    assert checks[name][2], "a failure has a fix"


def test_a_set_up_that_works_has_no_failure(place):
    status, checks = place.check(place.file_system)
    assert status == 0
    assert {name for name, value in checks.items() if value[0] == "ok"} == {
        "configuration", "service", "mount target", "TCP", "security group", "IAM and policy", "export", "identity",
        "write", "fsync", "read back"}
    assert checks["DNS"][0] == "warn" and "/etc/hosts" in checks["DNS"][2]
    left = place.server.shoal("ls", "--data", place.server.data_dir, "-a", f"{place.file_system}:/").stdout
    assert ".shoal-doctor" not in left


def test_tls_and_iam_are_checked_without_a_mount(place):
    status, checks = place.check("-o", "iam", place.file_system)
    assert status == 0, checks
    assert checks["TLS"][0] == "ok" and checks["read back"][0] == "ok"


def test_1_a_wrong_option(place):
    assert_culprit(place.check("-o", "noctoo", place.file_system), "configuration", "noctoo", "nocto")


def test_2_the_service_does_not_run(place):
    port = shoal_server.free_port()
    keys = {"AWS_ACCESS_KEY_ID": "AKIAX", "AWS_SECRET_ACCESS_KEY": "x"}
    result = place.doctor("-o", f"endpoint=http://127.0.0.1:{port}", place.file_system, env=keys)
    assert_culprit(result, "service", "does not answer", "shoal status")


def test_3_wrong_keys(place):
    keys = {"AWS_ACCESS_KEY_ID": "AKIAWRONGWRONGWRONGX", "AWS_SECRET_ACCESS_KEY": "wrong"}
    result = place.doctor("-o", f"endpoint={place.server.endpoint}", place.file_system, env=keys)
    assert_culprit(result, "service", "403", "keys", "clocks")


def test_4_no_such_file_system(place):
    assert_culprit(place.check("fs-0123456789abcdef0"), "mount target", "no file system fs-0123456789abcdef0")


def test_5_a_file_system_without_a_target_in_the_zone(place):
    assert_culprit(place.check("-o", "az=us-east-1f", place.file_system), "mount target", "us-east-1f", "az=")


def test_6_a_name_that_dns_does_not_know(place):
    result = place.doctor("nothing.invalid:/")
    assert_culprit(result, "DNS", "nothing.invalid")


def test_7_nothing_listens_at_the_port(place):
    result = place.check("-o", f"port={shoal_server.free_port()}", place.file_system)
    assert_culprit(result, "TCP", "Nothing listens", "port=")


def test_8_something_else_listens_at_the_port(place):
    result = place.check("-o", f"mounttargetip=127.0.0.1,port={place.server.control_port}", place.file_system)
    assert_culprit(result, "TCP", "port=")


def test_9_a_server_that_never_answers(place):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        result = place.check("-o", f"mounttargetip=127.0.0.1,port={port}", place.file_system)
    assert_culprit(result, "TCP", "does not answer an NFS call")


def test_10_a_connection_that_is_closed_at_once(place):
    """As a security group that lets nobody in, or nfs.listen, closes it."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        def close_all():
            while True:
                try:
                    door.accept()[0].close()
                except OSError:
                    return
        threading.Thread(target=close_all, daemon=True).start()
        result = place.check("-o", f"mounttargetip=127.0.0.1,port={door.getsockname()[1]}", place.file_system)
        door.shutdown(socket.SHUT_RDWR)
    assert_culprit(result, "security group", "authorize-security-group-ingress", "nfs.listen")


def test_11_an_authority_that_did_not_sign(place, tmp_path):
    key, ca = tmp_path / "key.pem", tmp_path / "ca.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", ca,
                    "-subj", "/CN=another", "-days", "2"], check=True, capture_output=True)
    result = place.check("-o", f"tls,cafile={ca}", place.file_system)
    assert_culprit(result, "TLS", "not signed by an authority", "cafile=")


def test_12_a_certificate_for_another_name(place):
    result = place.check("-o", "tls,suffix=elsewhere.example", place.file_system)
    assert_culprit(result, "TLS", "elsewhere.example", "suffix=")


def test_13_a_policy_that_asks_for_tls(place, policy):
    policy(ONLY_TLS)
    result = place.check(place.file_system)
    assert_culprit(result, "IAM and policy", "without TLS", "ClientMount", "-o tls", "the server says: ")
    status, checks = place.check("-o", "tls", place.file_system)
    assert status == 0, checks


def test_14_a_policy_that_withholds_writing(place, policy):
    policy(READ_ONLY)
    assert_culprit(place.check(place.file_system), "write", "ClientWrite")


def test_15_a_policy_that_squashes_root(place, policy):
    policy(NO_ROOT)
    result = place.check("--as", "0", f"{place.file_system}:/private")
    assert_culprit(result, "export" if result[1]["export"][0] == "FAIL" else "write", "private")


def test_16_no_such_access_point(place):
    result = place.check("-o", "accesspoint=fsap-0123456789abcdef0", place.file_system)
    assert_culprit(result, "access point", "no access point fsap-0123456789abcdef0")


def test_17_an_access_point_of_another_file_system(place):
    efs = place.server.boto3_client()
    other, _ = place.server.create_file_system()
    point = efs.create_access_point(FileSystemId=other)["AccessPointId"]
    result = place.check("-o", f"accesspoint={point}", place.file_system)
    assert_culprit(result, "access point", "belongs to " + other)


def test_18_a_path_that_is_not_there(place):
    result = place.check(f"{place.file_system}:/nothing/here")
    assert_culprit(result, "export", "there is no /nothing/here", "shoal mkdir")


def test_19_a_path_that_is_a_file(place):
    assert_culprit(place.check(f"{place.file_system}:/file"), "export", "not a directory")


def test_20_a_user_without_permission(place):
    result = place.check("--as", "1000:1000", place.file_system)
    assert_culprit(result, "write", "1000:1000", "chown")


def test_21_a_ca_file_that_is_not_there(place):
    assert_culprit(place.check("-o", "tls,cafile=/nothing/ca.pem", place.file_system), "TLS", "/nothing/ca.pem")


def test_22_a_directory_where_nothing_is_mounted(place, tmp_path):
    status, checks = place.doctor(tmp_path)
    assert status == 0
    assert checks["configuration"][0] == "warn" and "no NFS file system" in checks["configuration"][1]
    assert checks["read back"][0] == "ok"
    assert os.listdir(tmp_path) == []


def test_23_a_security_group_that_lets_nobody_in(place):
    """The real thing, where test 10 has only its look: the server's own word is joined."""
    ec2, efs = place.server.boto3_client("ec2"), place.server.boto3_client()
    target = efs.describe_mount_targets(FileSystemId=place.file_system)["MountTargets"][0]["MountTargetId"]
    before = efs.describe_mount_target_security_groups(MountTargetId=target)["SecurityGroups"]
    group = ec2.create_security_group(GroupName="nobody", Description="x")["GroupId"]
    efs.modify_mount_target_security_groups(MountTargetId=target, SecurityGroups=[group])
    try:
        result = place.check(place.file_system)
    finally:
        efs.modify_mount_target_security_groups(MountTargetId=target, SecurityGroups=before)
    assert_culprit(result, "security group", group, "the server says: no security group of the mount target admits it")


def test_24_an_address_that_the_server_does_not_serve(tmp_path_factory):
    with shoal_server.Server(tmp_path_factory.mktemp("few"), ["--set", "nfs.listen=127.16.0.0/12"]) as server:
        fs = server.up()["file_system_id"]
        place = Place.of(server, fs, tmp_path_factory.mktemp("few-run"))
        result = place.check("-o", "mounttargetip=127.0.0.1", fs)
    assert_culprit(result, "security group", "outside nfs.listen")


def expired_certificate(directory, name):
    """(certificate, key), signed by itself, of the year before last."""
    (directory / "ca.conf").write_text(f"""[ca]
default_ca = it
[it]
database = {directory}/index
new_certs_dir = {directory}
serial = {directory}/serial
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = DNS:{name}
""")
    (directory / "index").write_text("")
    (directory / "serial").write_text("01\n")
    key, cert = directory / "key.pem", directory / "cert.pem"
    for words in (["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", directory / "csr", "-subj", "/CN=old"],
                  ["ca", "-batch", "-selfsign", "-config", directory / "ca.conf", "-keyfile", key, "-in", directory / "csr",
                   "-out", cert, "-notext", "-startdate", "20230101000000Z", "-enddate", "20240101000000Z"]):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
    return cert, key


def test_25_a_certificate_that_has_expired(tmp_path):
    cert, key = expired_certificate(tmp_path, "*.efs.us-east-1.shoal.internal")
    with shoal_server.Server(tmp_path / "server", ["--set", f"tls.certificate={cert}", "--set", f"tls.key={key}"]) as server:
        fs = server.up()["file_system_id"]
        place = Place.of(server, fs, tmp_path)
        result = place.check("-o", f"tls,cafile={cert}", fs)
    assert_culprit(result, "TLS", "out of date", "clocks", "renew", "the server says: ")


def with_etc(place, files, *words):
    """The doctor where /etc has these files, too: {path below /etc: text}. In a mount namespace of its own."""
    if os.geteuid() != 0:
        pytest.skip("another /etc needs root")
    folder = pathlib.Path(place.env["SHOAL_RUN_DIR"]).parent / os.urandom(4).hex()
    for name, text in files.items():
        path = folder / "upper" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    (folder / "work").mkdir()
    script = ('mount -t overlay etc -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" /etc || exit 77; shift; exec "$@"')
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", folder,
                           shoal_server.find_program("shoal"), "doctor", "--json", "--timeout", "5", *map(str, words)],
                          env=place.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100)
    if done.returncode == 77:
        pytest.skip(f"no overlay can be mounted here: {done.stderr}")
    assert done.stdout, done.stderr
    return done.returncode, {c["name"]: (c["status"], c["found"], c["fix"]) for c in json.loads(done.stdout)["checks"]}


def test_26_a_wrong_record_in_dns(place):
    name = f"{place.file_system}.efs.us-east-1.shoal.internal"
    result = with_etc(place, {"hosts": f"127.0.0.1 localhost\n192.0.2.7 {name}\n"}, "--data", place.server.data_dir, place.file_system)
    assert_culprit(result, "DNS", "192.0.2.7", f"the mount target is {place.address}", "/etc/hosts")


CONF = "amazon/efs/efs-utils.conf"


def test_27_a_broken_efs_utils_conf(place):
    result = with_etc(place, {CONF: "[mount\nthis is no line of it\n"}, "--data", place.server.data_dir, place.file_system)
    assert_culprit(result, "configuration", "efs-utils.conf", "key = value")


def test_28_an_efs_utils_conf_with_the_suffix_of_aws(place):
    """As it comes with the package, before `shoal efs-utils-conf --install`."""
    conf = "[mount]\ndns_name_format = {az}.{fs_id}.efs.{region}.{dns_name_suffix}\ndns_name_suffix = amazonaws.com\nregion = eu-west-1\n"
    ca = place.server.data_dir / "ca.pem"
    result = with_etc(place, {CONF: conf}, "-o",
                      f"tls,cafile={ca},mounttargetip={place.address},port={place.server.nfs_port}", place.file_system)
    assert_culprit(result, "TLS", "eu-west-1.amazonaws.com", "suffix=")


def test_29_a_key_that_cannot_be_used(own_server, tmp_path):
    kms = own_server.boto3_client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    fs, _ = own_server.create_file_system(CreationToken="e", Encrypted=True, KmsKeyId=key)
    kms.disable_key(KeyId=key)
    own_server.restart()
    result = Place.of(own_server, fs, tmp_path).check(fs)
    assert_culprit(result, "IAM and policy", "the server says: the key that encrypts the file system cannot be used")


def test_30_an_access_point_whose_root_is_missing(place):
    efs = place.server.boto3_client()
    point = efs.create_access_point(FileSystemId=place.file_system, RootDirectory={"Path": "/not/made"})["AccessPointId"]
    result = place.check("-o", f"tls,accesspoint={point}", place.file_system)
    assert_culprit(result, "IAM and policy", "the access point's root directory is missing", "CreationInfo")


def test_the_text_has_a_line_for_each_check_and_its_fix(place):
    done = place.server.shoal("doctor", "--data", place.server.data_dir, f"{place.file_system}:/nothing", check=False)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("shoal doctor fs-")
    assert [line.split()[0] for line in lines if line[:2].strip().isdigit()] == [str(n) for n in range(1, 15)]
    assert any("fix: make it" in line for line in lines)

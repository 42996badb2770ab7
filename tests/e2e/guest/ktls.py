"""shoald inside the guest, whose kernel knows TLS: whether the kernel takes encryption over."""

import os
import pathlib
import ssl
import subprocess
import sys
import time

SOURCES = pathlib.Path(__file__).resolve().parents[3]


def counters():
    """{name: count} of the kernel's TLS; None: it knows none."""
    try:
        with open("/proc/net/tls_stat") as file:
            return {name: int(count) for name, count in map(str.split, file)}
    except FileNotFoundError:
        return None


def read_by_tls(shoald, shoal, version):
    """Starts shoald, writes and reads half a megabyte by TLS; returns (the counters before, after, whether all came back)."""
    sys.path[:0] = [str(SOURCES / "tests" / "proto"), str(SOURCES / "tests" / "lib")]
    import nfs4
    import nfs_place
    import shoal_server
    os.environ["SHOAL_BUILD"] = os.path.dirname(shoald)
    server = shoal_server.Server(f"/run/ktls-{time.monotonic_ns()}", ["--set", "engine.reserve=1MiB"])
    shoal_server.find_program = {"shoald": shoald, "shoal": shoal}.get
    with server:
        target = server.up()["mount_targets"][0]["ip"]
        context = ssl.create_default_context(cafile=str(server.data_dir / "ca.pem"))
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
        before = counters()
        session = nfs4.connect((target, server.nfs_port), conn=nfs4.Conn((target, server.nfs_port), tls=context))
        directory = nfs_place.new_directory(session)
        data = os.urandom(500_000)
        fh, stateid = directory.open(b"file")
        for at in range(0, len(data), 1 << 17):
            session.run(nfs4.putfh(fh), nfs4.write(stateid, at, data[at:at + (1 << 17)])).ok()
        same = directory.content(fh, 1 << 19) == data
        after = counters()
        session.conn.close()
    subprocess.run(["rm", "-rf", str(server.directory)], check=True)
    return before, after, same

"""Debian's stunnel4 between a kernel client and shoald, configured as efs-utils' mount helper configures it.

Only the local end differs: it listens on the address of the guest's tap device, where efs-utils has it on loopback.
"""

import shutil
import subprocess

import efs_certificate
from shoal_server import connects, free_port, wait_until

CONFIG = """\
fips = no
foreground = yes
debug = notice
socket = l:SO_REUSEADDR=yes
[efs]
client = yes
accept = {host}:{port}
connect = {address}:{server_port}
sslVersion = TLSv1.2
renegotiation = no
TIMEOUTbusy = 20
TIMEOUTclose = 0
TIMEOUTidle = 70
delay = yes
verify = 2
CAfile = {ca}
cert = {cert}
key = {key}
checkHost = {name}
"""


def why_not():
    """Why it cannot run, or None."""
    return None if shutil.which("stunnel4") else "stunnel4 is not installed (make setup installs all)"


class Tunnel:
    """A way from `client` (a kernel client) to a mount target by TLS. `certificate`: as efs_certificate.make()."""

    def __init__(self, directory, client, server, address, fs_id, **certificate):
        self.directory = directory
        self.client = client
        self.fs_id = fs_id
        self.certificate = certificate
        self.port = free_port()
        cert, key = self.renew()
        self.config = directory / "stunnel.conf"
        self.config.write_text(CONFIG.format(
            host=client.host, port=self.port, address=address, server_port=server.nfs_port, cert=cert, key=key,
            ca=server.data_dir / "ca.pem", name=f"{fs_id}.efs.us-east-1.shoal.internal"))
        self.process = None
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def renew(self):
        """A new certificate, as the watchdog of efs-utils makes one every hour."""
        return efs_certificate.make(self.directory, fs_id=self.fs_id, **self.certificate)

    def start(self):
        with (self.directory / "stunnel.log").open("ab") as log:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "stunnel4", str(self.config)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(lambda: connects(self.client.host, self.port), 10, "stunnel listens")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def mount(self, where, version="4.1", options="", path="/"):
        """Mounts at /mnt/`where` with the options of efs-utils; (status, what mount said, mount point)."""
        words = (f"vers={version},port={self.port},proto=tcp,hard,timeo=600,retrans=2,rsize=1048576,wsize=1048576,"
                 "noresvport,retry=0" + (f",{options}" if options else ""))
        mount_point = f"/mnt/{where}"
        self.client.call("os.makedirs", mount_point, exist_ok=True)
        status, out, err = self.client.run("mount", "-t", "nfs4", "-o", words, f"{self.client.host}:{path}", mount_point,
                                           check=False, timeout_s=90)
        return status, out + err, mount_point

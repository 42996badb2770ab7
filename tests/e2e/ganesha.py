"""NFS-Ganesha as the server under test: SHOAL_E2E_PEER=ganesha proves that the tests themselves are right.

Never part of a normal run. The exported directory must lie on a file system with handles (ext4, xfs).
"""

import pathlib
import subprocess

from shoal_server import connects, free_port, wait_until

CONFIGURATION = """
NFS_CORE_PARAM {{ Protocols = 4; NFS_Port = {port}; Bind_addr = 127.0.0.1; Enable_NLM = false;
    Enable_RQUOTA = false; Enable_UDP = None; mount_path_pseudo = true; }}
NFSV4 {{ Graceless = true; Lease_Lifetime = 20; RecoveryBackend = fs; RecoveryRoot = {directory}/recovery;
    Only_Numeric_Owners = true; Allow_Numeric_Owners = true; }}
EXPORT {{ Export_Id = 1; Path = {directory}/export; Pseudo = /; Access_Type = RW; Squash = None;
    SecType = sys; Transports = TCP; Protocols = 4; FSAL {{ Name = VFS; }} }}
"""


class Ganesha:
    """One ganesha.nfsd and its exported directory."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.port = free_port()
        for name in ("export", "recovery"):
            (self.directory / name).mkdir()
        configuration = self.directory / "ganesha.conf"
        configuration.write_text(CONFIGURATION.format(port=self.port, directory=self.directory))
        self.process = subprocess.Popen(
            ["ganesha.nfsd", "-F", "-f", configuration, "-L", self.directory / "log",
             "-p", self.directory / "pid"], stdin=subprocess.DEVNULL)
        wait_until(lambda: connects("127.0.0.1", self.port), 30, "Ganesha serves")

    def close(self):
        self.process.terminate()
        self.process.wait(60)

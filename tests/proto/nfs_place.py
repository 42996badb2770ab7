"""Where a test plays: the address of a mount target, and a directory of its own."""

import os

import nfs4


def mount_target(server):
    """(address, port) of a mount target of the default file system, which is made if need be."""
    return server.up()["mount_targets"][0]["ip"], server.nfs_port


class Directory:
    """A directory that only this test uses, seen through one session."""

    def __init__(self, session, fh):
        self.session = session
        self.fh = fh

    def run(self, *ops, session=None, **options):
        """Runs operations with this directory as the current filehandle."""
        return (session or self.session).run(nfs4.putfh(self.fh), *ops, **options)

    def fh_of(self, name):
        return self.run(nfs4.lookup(name), nfs4.getfh()).ok().last.fh

    def open(self, name, session=None, **options):
        """(filehandle, stateid) of an OPEN that must succeed."""
        options.setdefault("how", nfs4.UNCHECKED)
        reply = self.run(nfs4.open_(name, **options), nfs4.getfh(), session=session).ok()
        return reply.last.fh, reply.of("OPEN").stateid

    def make(self, name, data=b"", values=None):
        """A file with this content, closed; its filehandle."""
        fh, stateid = self.open(name, how=nfs4.GUARDED, values=values or {nfs4.MODE: 0o644})
        if data:
            self.session.run(nfs4.putfh(fh), nfs4.write(stateid, 0, data)).ok()
        self.session.run(nfs4.putfh(fh), nfs4.close(stateid)).ok()
        return fh

    def mkdir(self, name, mode=0o755):
        self.run(nfs4.create(name, nfs4.DIR, {nfs4.MODE: mode})).ok()
        return self.fh_of(name)

    def names(self):
        return [entry.name for entry in self.run(nfs4.readdir(maxcount=1 << 16)).ok().last.entries]

    def content(self, fh, count=1 << 16):
        return self.session.run(nfs4.putfh(fh), nfs4.read(nfs4.BYPASS, 0, count)).ok().last.data


def new_directory(session):
    name = b"dir-" + os.urandom(6).hex().encode()
    reply = session.run(nfs4.putrootfh(), nfs4.create(name, nfs4.DIR, {nfs4.MODE: 0o777}), nfs4.getfh())
    return Directory(session, reply.ok().last.fh)

"""mount(2) as Docker's local volume driver calls it: no mount.nfs between, the options go to the kernel as they are."""

import ctypes
import os

FLAGS = {"rw": 0, "ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "sync": 16, "noatime": 1024, "nodiratime": 2048}


def mount(source, target, kind, options):
    """Words that are flags of mount(2) become that; `options` has addr= with an address of IPv4."""
    libc = ctypes.CDLL(None, use_errno=True)
    words = options.split(",")
    flags = sum({FLAGS[word] for word in words if word in FLAGS})
    data = ",".join(word for word in words if word not in FLAGS)
    os.makedirs(target, exist_ok=True)
    if libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"mount {source} -t {kind} -o {data}: {os.strerror(error)}")

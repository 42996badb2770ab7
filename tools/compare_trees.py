#!/usr/bin/env python3
"""Compares two directory trees, byte by byte and attribute by attribute: tools/compare_trees.py A B.

Compared: names, types, modes, sizes, every byte, symbolic links, times of modification to the nanosecond, which names are
hard links of one file, and, for root, owners. Not: sizes of directories, and links from outside the trees.
"""
import collections
import os
import pathlib
import stat
import sys

CHUNK_BYTES = 1 << 20

Counts = collections.namedtuple("Counts", "entries bytes")


def walk(root):
    """{relative path: lstat} of everything below and with the root."""
    found = {".": os.lstat(root)}
    todo = ["."]
    while todo:
        directory = todo.pop()
        with os.scandir(os.path.join(root, directory)) as entries:
            for entry in entries:
                path = os.path.normpath(os.path.join(directory, entry.name))
                found[path] = entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    todo.append(path)
    return found


def first_names(tree):
    """{path: the first name of the same file}, for regular files: equal in both trees when the links are."""
    first = {}
    return {path: first.setdefault((st.st_dev, st.st_ino), path)
            for path, st in sorted(tree.items()) if stat.S_ISREG(st.st_mode)}


def same_bytes(a, b):
    with open(a, "rb") as file_a, open(b, "rb") as file_b:
        while True:
            chunk = file_a.read(CHUNK_BYTES)
            if chunk != file_b.read(CHUNK_BYTES):
                return False
            if not chunk:
                return True


def attributes(st):
    size = st.st_size if not stat.S_ISDIR(st.st_mode) else 0
    owner = (st.st_uid, st.st_gid) if os.geteuid() == 0 else None
    return {"type": stat.filemode(st.st_mode)[0], "mode": oct(stat.S_IMODE(st.st_mode)), "size": size,
            "time of modification": st.st_mtime_ns, "owner": owner}


def differences_of(path, a, b, st_a, st_b):
    """What differs between two entries of the same name."""
    values_a, values_b = attributes(st_a), attributes(st_b)
    for name, value in values_a.items():
        if stat.S_ISLNK(st_a.st_mode) and name == "mode":
            continue
        if value != values_b[name]:
            yield f"{path}: {name} {value} became {values_b[name]}"
    if values_a["type"] != values_b["type"]:
        return
    full_a, full_b = os.path.join(a, path), os.path.join(b, path)
    if stat.S_ISLNK(st_a.st_mode) and os.readlink(full_a) != os.readlink(full_b):
        yield f"{path}: points elsewhere"
    if stat.S_ISREG(st_a.st_mode) and st_a.st_size == st_b.st_size and not same_bytes(full_a, full_b):
        yield f"{path}: its bytes differ"


def compare(a, b):
    """(Counts, list of differences)."""
    tree_a, tree_b = walk(a), walk(b)
    differences = [f"{path}: is missing" for path in sorted(tree_a.keys() - tree_b.keys())]
    differences += [f"{path}: should not be there" for path in sorted(tree_b.keys() - tree_a.keys())]
    links_a, links_b = first_names(tree_a), first_names(tree_b)
    counted_bytes = 0
    for path in sorted(tree_a.keys() & tree_b.keys()):
        differences += differences_of(path, a, b, tree_a[path], tree_b[path])
        if links_a.get(path) != links_b.get(path):
            differences.append(f"{path}: is a hard link of {links_a.get(path)}, not of {links_b.get(path)}")
        if links_a.get(path) == path:
            counted_bytes += tree_a[path].st_size
    return Counts(len(tree_a), counted_bytes), differences


def main():
    counts, differences = compare(*map(pathlib.Path, sys.argv[1:3]))
    for difference in differences:
        print(difference)
    print(f"{counts.entries} entries, {counts.bytes} bytes, {len(differences)} differences")
    sys.exit(bool(differences))


if __name__ == "__main__":
    main()

"""Building software on a mount: a synthetic C project and a git history."""

import hashlib
import os
import subprocess

from command import run


GIT_ENV = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}  # not this machine's habits


def must(argv, cwd, **kwargs):
    """Runs a program that has to succeed and returns its output."""
    status, out, err = run(argv, cwd=cwd, env=GIT_ENV, **kwargs)
    assert status == 0, f"{argv}: status {status}\n{out[-2000:]}\n{err[-2000:]}"
    return out


def build_project(directory, archive, expected):
    """Unpacks the archive, builds it, runs it, and checks what make does about later changes."""
    must(["tar", "xf", archive], directory)
    must(["tar", "--compare", "-f", archive], directory)  # bytes, modes, owners and times
    project = f"{directory}/project"
    out = must(["make", "-j2"], project)
    assert out.count("gcc -c") == expected["objects"], out
    assert must(["./program"], project).strip() == expected["output"]
    assert "up to date" in must(["make"], project)
    os.utime(f"{project}/include/part1.h")
    out = must(["make"], project)
    assert out.count("gcc -c") == 1, f"only the users of part1.h are built again: {out}"
    must(["make", "clean"], project)
    must(["tar", "--compare", "-f", archive, "--exclude=part1.h"], directory)


GIT = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "gc.auto=0",
       "-c", "protocol.file.allow=always"]


def write_files(repository, round_number, count):
    for index in range(count):
        path = f"{repository}/dir{index % 7}/file{index}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(f"round {round_number} of file {index}\n" * (index + 1))


def import_history(repository, commits):
    """`commits` commits on branch `imported` through fast-import: one file changed in each."""
    lines = []
    for number in range(commits):
        lines += ["commit refs/heads/imported", f"committer Test <test@example.com> {number} +0000",
                  "data 2", "x\n", f"M 644 inline dir/f{number % 50}", f"data {len(str(number))}",
                  str(number)]
    must([*GIT, "fast-import", "--quiet"], repository, stdin="\n".join(lines) + "\n")


def git_history(directory, commits, files):
    """init, commits, branches, merge, gc, clone, fsck: the clone holds what was committed."""
    repository, clone = f"{directory}/repository", f"{directory}/clone"
    must([*GIT, "init", "-q", "-b", "main", repository], directory)
    for number in range(commits):
        write_files(repository, number, files)
        must([*GIT, "add", "-A"], repository)
        must([*GIT, "commit", "-qm", f"round {number}"], repository)
    must([*GIT, "checkout", "-qb", "topic", "HEAD~2"], repository)
    must(["rm", "dir3/file3"], repository)
    must([*GIT, "commit", "-qam", "topic"], repository)
    must([*GIT, "checkout", "-q", "main"], repository)
    must([*GIT, "merge", "-q", "-X", "ours", "--no-edit", "-s", "ours", "topic"], repository)
    import_history(repository, 300)
    assert must([*GIT, "status", "--porcelain"], repository) == ""
    must([*GIT, "fsck", "--strict", "--full"], repository)
    must([*GIT, "clone", "-q", f"file://{repository}", clone], directory)
    must([*GIT, "clone", "-q", repository, clone + "-links"], directory)  # hard links to the objects
    must([*GIT, "gc", "-q", "--prune=now"], repository)
    for checkout in (repository, clone, clone + "-links"):
        must([*GIT, "fsck", "--strict", "--full"], checkout)
        assert must([*GIT, "status", "--porcelain"], checkout) == ""
        assert must([*GIT, "rev-list", "--count", "HEAD"], checkout).strip() == str(commits + 2)
    assert must([*GIT, "rev-list", "--count", "imported"], repository).strip() == "300"
    assert tree_digest(f"{repository}/dir1") == tree_digest(f"{clone}/dir1")


def tree_digest(directory):
    """A digest over names and contents of all files below."""
    digest = hashlib.sha256()
    for parent, directories, files in os.walk(directory):
        directories.sort()
        for name in sorted(files):
            with open(os.path.join(parent, name), "rb") as file:
                relative = os.path.relpath(os.path.join(parent, name), directory)
                digest.update(relative.encode() + b"\0" + file.read() + b"\0")
    return digest.hexdigest()


def copy_and_compare(source, directory):
    """cp -a of a real tree of the machine, then a comparison of contents and attributes."""
    must(["cp", "-a", source, f"{directory}/copy"], directory)
    must(["diff", "-r", "--no-dereference", source, f"{directory}/copy"], directory)
    listing = ["find", ".", "-printf", "%P %y %m %U %G %T@ %l %n\n"]
    original = sorted(must(listing, source).splitlines())
    assert sorted(must(listing, f"{directory}/copy").splitlines()) == original
    subprocess.run(["rm", "-rf", f"{directory}/copy"], check=True)
    assert os.listdir(directory) == []

#!/usr/bin/env python3
"""What `make run` does after building: a service that runs, and a real tree copied in, read back and compared.

tools/run.py BUILD_DIR. The data directory is $SHOAL_DATA, else ~/.local/share/shoal; the tree is $SRC, else /usr/include;
$OPTIONS are further options of shoald, such as "--nfs-port 20490". Everything on the way goes through the service's own
doors: the EFS API and NFS. Said again, it finds what is there, and compares it again.
"""
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

import compare_trees

ACCESS_POINT_TOKEN = "make-run"


def say(text=""):
    print(text, flush=True)


def fail(text):
    sys.exit(f"make run: {text}")


class Shoal:
    """The command line tool, on one data directory."""

    def __init__(self, program, data):
        self.program = str(program)
        self.env = {**os.environ, "SHOAL_DATA": str(data)}

    def run(self, *words):
        """Runs a command whose words go to the terminal; ends this program when it fails."""
        status = subprocess.run([self.program, *map(str, words)], env=self.env).returncode
        if status:
            fail(f"`shoal {words[0]}` failed (exit code {status}); what it says stands above.")

    def ask(self, *words):
        """Runs a command and returns its JSON."""
        done = subprocess.run([self.program, *map(str, words)], env=self.env, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            fail(f"`shoal {words[0]}` failed (exit code {done.returncode}); what it says stands above.")
        return json.loads(done.stdout)

    def succeeds(self, *words):
        return subprocess.run([self.program, *map(str, words)], env=self.env, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0


def ensure_access_point(shoal, file_system_id):
    """(id, whether it was made now): found again by its token, as the API does it."""
    points = shoal.ask("api", "GET", f"/access-points?FileSystemId={file_system_id}")["AccessPoints"]
    for point in points:
        if point["ClientToken"] == ACCESS_POINT_TOKEN:
            return point["AccessPointId"], False
    body = {"ClientToken": ACCESS_POINT_TOKEN, "FileSystemId": file_system_id,
            "PosixUser": {"Uid": 1000, "Gid": 1000},
            "RootDirectory": {"Path": "/team", "CreationInfo": {"OwnerUid": 1000, "OwnerGid": 1000,
                                                                "Permissions": "0750"}},
            "Tags": [{"Key": "Name", "Value": "make-run"}]}
    return shoal.ask("api", "POST", "/access-points", json.dumps(body))["AccessPointId"], True


def read_back(shoal, source, remote):
    """Copies the tree out over NFS and compares it with the original; returns (counts, differences)."""
    with tempfile.TemporaryDirectory(prefix="shoal-run-") as directory:
        back = pathlib.Path(directory) / "tree"
        shoal.run("cp", "-r", remote, back)
        return compare_trees.compare(source, back)


def copy_and_compare(shoal, source, remote):
    """The main job. Gives what the comparison counted."""
    there_already = shoal.succeeds("stat", remote)
    if there_already:
        say(f"      {remote} is there from an earlier run; it is read back and compared again.")
    else:
        shoal.run("cp", "-r", source, remote)
    counts, differences = read_back(shoal, source, remote)
    if differences and there_already:
        say(f"      {len(differences)} entries differ, such as {differences[0]}; {source} is copied in anew.")
        shoal.run("rm", "-r", remote)
        shoal.run("cp", "-r", source, remote)
        counts, differences = read_back(shoal, source, remote)
    if differences:
        for difference in differences[:20]:
            say(f"      {difference}")
        fail(f"{len(differences)} entries differ from {source}.")
    return counts


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    data = pathlib.Path(os.environ.get("SHOAL_DATA") or pathlib.Path.home() / ".local/share/shoal").resolve()
    source = pathlib.Path(os.environ.get("SRC") or "/usr/include").resolve()
    options = shlex.split(os.environ.get("OPTIONS", ""))
    if not source.is_dir():
        fail(f"SRC={source} is no directory.")
    shoal = Shoal(build / "shoal", data)

    say(f"[1/4] The service on {data}")
    runs_already = shoal.succeeds("status")
    told = shoal.ask("up", "--data", data, "--json", *([] if runs_already else options))
    file_system_id = told["file_system_id"]
    say("      runs already" if runs_already else "      started")
    say(f"      file system {file_system_id}, mount targets in "
        + ", ".join(target["zone"] for target in told["mount_targets"]))
    say("[2/4] An access point, through the EFS API")
    point, made = ensure_access_point(shoal, file_system_id)
    say(f"      {point} {'made' if made else 'was there already'}")
    remote = f"{file_system_id}:/{source.name}"
    say(f"[3/4] {source} to {remote} over NFS, and back")
    started = time.monotonic()
    counts = copy_and_compare(shoal, source, remote)
    say(f"      {counts.entries} entries and {counts.bytes} bytes are the same, with modes, times, links"
        f"{' and owners' if os.geteuid() == 0 else ''}: {time.monotonic() - started:.1f} s in all")
    say("[4/4] What to do next\n")
    shoal.run("up", "--data", data)
    say(f"\nThe programs are in {build}; say `export PATH={build}:$PATH` to call them by name.")


if __name__ == "__main__":
    main()

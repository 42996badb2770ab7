"""Seen from inside the guest: the mount manager's programs, mounts that hang, processes that the kernel holds."""

import json
import os
import subprocess
import time


def states():
    """{pid: (state, name)} of all processes."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as file:
                text = file.read()
        except OSError:
            continue
        name = text[text.index("(") + 1:text.rindex(")")]
        found[int(pid)] = (text[text.rindex(")") + 2], name)
    return found


def uninterruptible():
    """Names of the processes that wait in the kernel and cannot be interrupted, kernel threads left out."""
    return sorted(name for pid, (state, name) in states().items()
                  if state == "D" and os.path.exists(f"/proc/{pid}/exe"))


def settled(seconds):
    """The processes in D state that are still so after `seconds` of looking."""
    deadline = time.monotonic() + seconds
    while uninterruptible() and time.monotonic() < deadline:
        time.sleep(0.1)
    return uninterruptible()


def mount_at(point):
    """The source and options of what is mounted at a path, or None; asks no server."""
    with open("/proc/self/mountinfo") as file:
        for line in reversed(file.read().splitlines()):
            left, _, right = line.partition(" - ")
            if left.split()[4] == point:
                kind, source, options = right.split()
                return {"type": kind, "source": source, "super": options, "options": left.split()[5]}
    return None


def state_file(name):
    with open(f"/run/shoal/mounts/{name}.json") as file:
        return json.load(file)


def timed(argv, timeout_s=120):
    """Runs a program; returns (status, output, errors, seconds)."""
    begin = time.monotonic()
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s)
    return done.returncode, done.stdout, done.stderr, time.monotonic() - begin


def write_until_told(directory, stop_file, log_path):
    """Appends numbered lines with fsync, noting each on this machine's disk when it was acknowledged; ends at `stop_file`.

    Returns the longest time that one write took, in seconds."""
    number, longest = 0, 0.0
    with open(f"{directory}/load", "ab", buffering=0) as file, open(log_path, "w") as log:
        while not os.path.exists(stop_file):
            begin = time.monotonic()
            file.write(b"%09d\n" % number)
            os.fsync(file.fileno())
            longest = max(longest, time.monotonic() - begin)
            log.write(f"{number}\n")
            log.flush()
            number += 1
    return longest


def lost_lines(directory, log_path):
    """(how many were acknowledged, those of them that the file does not have)."""
    with open(log_path) as log:
        acknowledged = [int(line) for line in log.read().splitlines()]
    with open(f"{directory}/load", "rb") as file:
        there = {int(line) for line in file.read().splitlines() if line.isdigit()}
    return len(acknowledged), sorted(set(acknowledged) - there)[:10]


def tunnels():
    """{port: state} of the tunnels in this guest."""
    found = {}
    directory = "/run/shoal/tunnels"
    for name in os.listdir(directory) if os.path.isdir(directory) else []:
        if name.endswith(".json"):
            with open(f"{directory}/{name}") as file:
                found[int(name.removesuffix(".json"))] = json.load(file)
    return found


def processes(name):
    """The pids of the processes with this name (as the kernel has it)."""
    return sorted(pid for pid, (_, found) in states().items() if found == name)


def wait_for(name, count, seconds=20):
    """Waits until `count` processes have the name; returns how many there are."""
    deadline = time.monotonic() + seconds
    while len(processes(name)) != count and time.monotonic() < deadline:
        time.sleep(0.05)
    return len(processes(name))


def connections_to(port):
    """How many TCP connections of this guest are established to a port."""
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file.read().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and row[3] == "01" for row in rows)

"""Load in the guest while the way to the server is broken again and again; what was acknowledged, and when.

The log is in the guest's memory file system, not on the mount: a line is written only after the call before it returned.
"""

import contextlib
import os
import time

import mounts


def content_of(number):
    return b"%09d|" % number * 100


def work_until_told(directory, stop_file, log_path):
    """Appends a line with fsync, and every fourth time makes, syncs and renames a file; ends at `stop_file`."""
    number = 0
    with open(f"{directory}/lines", "ab", buffering=0) as lines, open(log_path, "w") as log:
        while not os.path.exists(stop_file):
            lines.write(b"%09d\n" % number)
            os.fsync(lines.fileno())
            if number % 4 == 0:
                with open(f"{directory}/new-{number}", "wb", buffering=0) as file:
                    file.write(content_of(number))
                    os.fsync(file.fileno())
                try:
                    os.rename(f"{directory}/new-{number}", f"{directory}/done-{number}")
                except FileNotFoundError:
                    pass  # done already: the first answer was lost
            log.write(f"{number} {time.monotonic()}\n")
            log.flush()
            number += 1
    return number


def acknowledged(log_path):
    """[(number, when)] of whole lines; none before the log is begun."""
    if not os.path.exists(log_path):
        return []
    with open(log_path) as log:
        return [(int(number), float(when)) for number, when in
                (line.split() for line in log.read().splitlines(keepends=True) if line.endswith("\n"))]


def now():
    return time.monotonic()


def first_after(log_paths, moment, seconds):
    """How long after `moment` each log has an acknowledgement, in seconds; None: not within `seconds` from now."""
    deadline = time.monotonic() + seconds
    while True:
        found = [next((when - moment for _, when in acknowledged(path) if when > moment), None) for path in log_paths]
        if None not in found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def count_between(log_paths, begin, end):
    """How many acknowledgements there were between two moments."""
    return sum(begin < when < end for path in log_paths for _, when in acknowledged(path))


def switches(pid):
    """How often the process has given up the processor by itself: it has run between two that differ."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt_switches"))


def stuck(seconds):
    """Processes in D state that do not leave it within `seconds`; those that write are in it now and then."""
    deadline = time.monotonic() + seconds
    before = {}
    for pid, (state, name) in mounts.states().items():
        if state == "D" and os.path.exists(f"/proc/{pid}/exe"):
            with contextlib.suppress(OSError):
                before[pid] = (name, switches(pid))
    while before and time.monotonic() < deadline:
        time.sleep(0.05)
        now_ = mounts.states()
        for pid, (name, count) in list(before.items()):
            with contextlib.suppress(OSError):
                if now_.get(pid, ("", ""))[0] == "D" and switches(pid) == count:
                    continue
            del before[pid]
    return sorted(name for name, _ in before.values())


def lost(directory, log_path):
    """(how many numbers were acknowledged, those of them that are not all there)."""
    numbers = [number for number, _ in acknowledged(log_path)]
    with open(f"{directory}/lines", "rb") as file:
        lines = {int(line) for line in file.read().splitlines() if line.isdigit()}
    missing = [number for number in numbers if number not in lines]
    for number in numbers:
        if number % 4 == 0:
            try:
                with open(f"{directory}/done-{number}", "rb") as file:
                    if file.read() != content_of(number):
                        missing.append(number)
            except FileNotFoundError:
                missing.append(number)
    return len(numbers), missing[:10]

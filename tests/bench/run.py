#!/usr/bin/env python3
"""Compare shoald with NFS-Ganesha on one disk: in turns, several rounds, medians, ratios.

    tests/bench/run.py --build build --name first

Both servers run on loopback, each in a directory of its own under --directory (a file system with
handles, as ext4 or xfs; not tmpfs). `--servers encrypted,shoald` measures what encryption at rest costs,
`--servers tls,shoald` what TLS does. Results go to tests/bench/results/<date>-<name>.json and .md.
Every answer is checked by shoal-bench; one wrong one makes this exit with 1. Ganesha needs root.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE.parent / "e2e")]

import ganesha  # noqa: E402 (found by the line above)
import shoal_server  # noqa: E402

OPERATIONS = ("getattr lookup open lock create create_write unlink rename readdir randread "
              "randwrite stablewrite seqread seqwrite").split()
ALONE = ("getattr", "lookup", "open", "lock", "create", "randread", "stablewrite")  # also with one request in flight: pure latency
SETTLE_S = 1


class Shoald:
    """Our daemon, with one file system mounted by the address of its mount target."""

    name = "shoald"
    options = ()  # of shoal-bench

    def __init__(self, directory):
        self.server = shoal_server.Server(directory)
        self.server.start()
        contract = self.server.up()
        self.address = f"{contract['mount_targets'][0]['ip']}:{contract['nfs_port']}"
        self.pid = self.server.pid

    def close(self):
        self.server.close()


class Tls(Shoald):
    """The same daemon, spoken to by TLS."""

    name = "tls"
    options = ("--tls",)


class Encrypted(Shoald):
    """The same daemon, with an encrypted file system."""

    name = "encrypted"

    def __init__(self, directory):
        super().__init__(directory)
        _, address = self.server.create_file_system(CreationToken="bench", Encrypted=True)
        self.address = f"{address}:{self.server.nfs_port}"


class Ganesha:
    """Debian's nfs-ganesha over the local file system; it answers before metadata is durable."""

    name = "ganesha"
    options = ()

    def __init__(self, directory):
        directory.mkdir(parents=True)
        self.server = ganesha.Ganesha(directory)
        self.address = f"127.0.0.1:{self.server.port}"
        self.pid = self.server.process.pid

    def close(self):
        self.server.close()


SERVERS = {kind.name: kind for kind in (Shoald, Tls, Encrypted, Ganesha)}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build", help="the build directory")
    parser.add_argument("--directory", help="of the servers' data (the build directory)")
    parser.add_argument("--name", default="bench", help="part of the results' file names")
    parser.add_argument("--servers", default="shoald,ganesha")
    parser.add_argument("--op", default=",".join(OPERATIONS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--inflight", type=int, default=16)
    parser.add_argument("--files", type=int, default=20000, help="made to be unlinked")
    parser.add_argument("--no-results", action="store_true", help="print only")
    return parser.parse_args()


def cases(arguments):
    """(operation, connections, in flight) of each line of the table."""
    for operation in arguments.op.split(","):
        yield operation, arguments.connections, arguments.inflight
    for operation in ALONE:
        if operation in arguments.op.split(","):
            yield operation, 1, 1


def measure(server, case, arguments):
    """One run of shoal-bench; its result, with an `error` text when it failed."""
    operation, connections, in_flight = case
    os.sync()  # what the run before left in the page cache is not this one's to write
    time.sleep(SETTLE_S)
    command = [shoal_server.find_program("shoal-bench"), "--server", server.address, "--path", "/",
               "--op", operation, "--connections", connections, "--inflight", in_flight,
               "--seconds", arguments.seconds, "--files", arguments.files,
               "--server-pid", server.pid, "--json", *server.options]
    run = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                         check=False)
    result = {"operation": operation, "operations_per_second": 0.0}
    with contextlib.suppress(json.JSONDecodeError, IndexError):
        result = json.loads(run.stdout)[0]
    if run.returncode != 0:
        result["error"] = run.stderr.strip() or f"exit status {run.returncode}"
        print(f"  {server.name}: {operation}: {result['error']}", file=sys.stderr)
    return result


def median(results, key):
    values = [result[key] for result in results if result.get(key) is not None]
    return statistics.median(values) if values else 0.0


def summarize(case, runs):
    """The medians of one case, per server."""
    keys = ("operations_per_second", "mib_per_second", "p50_us", "p99_us", "max_us",
            "client_cpu_us_per_operation", "server_cpu_us_per_operation")
    return {"operation": case[0], "connections": case[1], "in_flight": case[2],
            "servers": {name: {**{key: median(results, key) for key in keys},
                               "failed_runs": sum("error" in result for result in results)}
                        for name, results in runs.items()}}


def table(rows, names):
    """Markdown: one line per case; the ratio is the first server's figure by the second's."""
    head = ["operation", "load", *(f"{name} ops/s" for name in names)]
    if len(names) == 2:
        head.append("ratio")
    for title in ("MiB/s", "p50 us", "p99 us", "server CPU us"):
        head.append(f"{title}: {' / '.join(names)}")
    lines = ["| " + " | ".join(head) + " |", "|---|---|" + "--:|" * (len(head) - 2)]
    for row in rows:
        of = [row["servers"][name] for name in names]
        cells = [row["operation"], f"{row['connections']}x{row['in_flight']}",
                 *(f"{each['operations_per_second']:,.0f}" + (" (!)" if each["failed_runs"] else "")
                   for each in of)]
        if len(names) == 2:
            base = of[1]["operations_per_second"]
            cells.append(f"{of[0]['operations_per_second'] / base:.2f}" if base else "-")
        for key, digits in (("mib_per_second", 0), ("p50_us", 0), ("p99_us", 0),
                            ("server_cpu_us_per_operation", 1)):
            cells.append(" / ".join(f"{each[key]:,.{digits}f}" for each in of))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def machine(directory):
    """What the figures depend on; nothing that names the machine."""
    with open("/proc/cpuinfo", encoding="ascii") as file:
        models = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    with open("/proc/meminfo", encoding="ascii") as file:
        memory_kib = int(file.readline().split()[1])
    kind = first_line("stat", "-f", "-c", "%T", directory)
    return {"cores": os.cpu_count(), "processor": models[0] if models else platform.machine(),
            "memory_gib": round(memory_kib / 2**20, 1),
            "kernel": "Linux " + platform.release().split("-")[0],
            "disk": disk_kind(directory, kind), "load_before": os.getloadavg()[0]}


def first_line(*command):
    """The first line that a program writes; empty when it cannot be run."""
    with contextlib.suppress(OSError):
        run = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
        return (run.stdout + run.stderr).partition("\n")[0].strip() if run.returncode == 0 else ""
    return ""


def disk_kind(directory, file_system):
    """The file system and what carries it."""
    device = os.stat(directory).st_dev
    block = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    disk = block if (block / "queue").is_dir() else block.parent
    with contextlib.suppress(OSError):
        rotates = (disk / "queue/rotational").read_text().strip() == "1"
        bus = "virtual disk" if disk.name.startswith("vd") else \
            "rotating disk" if rotates else "solid-state disk"
        return f"{file_system} on a {bus}"
    return file_system


def write_results(arguments, report, text):
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    stem = folder / f"{report['date']}-{arguments.name}"
    stem.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    about = report["machine"]
    stem.with_suffix(".md").write_text(
        f"# {arguments.name}, {report['date']}\n\n"
        f"{about['cores']} cores ({about['processor']}), {about['memory_gib']} GiB, "
        f"{about['kernel']}, {about['disk']}; client and servers on one machine, load "
        f"{about['load_before']:.1f} before.\n"
        f"Medians of {arguments.rounds} rounds of {arguments.seconds:g} s, servers in turns; all "
        f"data verified. Commit {report['commit']}; {report['peer']}.\n\n"
        f"    {report['command']}\n\n{text}\n")
    print(f"\nwritten: {os.path.relpath(stem)}.md")


def main():
    arguments = parse_arguments()
    os.environ["SHOAL_BUILD"] = str(pathlib.Path(arguments.build).resolve())
    names = arguments.servers.split(",")
    rows = []
    place = arguments.directory or arguments.build
    with tempfile.TemporaryDirectory(prefix="bench-", dir=place) as folder, \
            contextlib.ExitStack() as stack:
        about = machine(folder)
        servers = []
        for name in names:
            server = SERVERS[name](pathlib.Path(folder) / name)
            stack.callback(server.close)
            servers.append(server)
        for case in cases(arguments):
            runs = {name: [] for name in names}
            for _ in range(arguments.rounds):
                for server in servers:
                    runs[server.name].append(measure(server, case, arguments))
            rows.append({**summarize(case, runs), "runs": runs})
            print(table(rows[-1:], names).splitlines()[-1], flush=True)
    text = table(rows, names)
    print("\n" + text)
    report = {"date": datetime.date.today().isoformat(), "machine": about,
              "commit": first_line("git", "rev-parse", "--short", "HEAD"),
              "peer": first_line("ganesha.nfsd", "-v"),
              "command": shlex.join(["tests/bench/run.py", *sys.argv[1:]]), "rows": rows}
    if not arguments.no_results:
        write_results(arguments, report, text)
    return 1 if any("error" in result for row in rows for runs in row["runs"].values()
                    for result in runs) else 0


if __name__ == "__main__":
    sys.exit(main())

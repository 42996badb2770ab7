#!/usr/bin/env python3
"""A storm of TLS handshakes against shoald: all connections at once, side by side with plain ones.

    tests/bench/storm.py --build build --count 1000

Each round is tls-storm with TLS and then without; medians. Results go to tests/bench/results/<date>-<name>.json and .md. A
connection that fails, or is not answered while all are held, makes this exit with 1.
"""

import argparse
import datetime
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE)]

import run  # noqa: E402 (found by the line above)
import shoal_server  # noqa: E402

COLUMNS = ("milliseconds", "per_second", "p50_ms", "p99_ms", "server_cpu_ms")


def cpu_ms(pid):
    """What the process has used, in milliseconds."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def storm(server, address, count, *options):
    before = cpu_ms(server.pid)
    done = subprocess.run([str(shoal_server.find_program("tls-storm")), address, str(server.nfs_port), str(count), *options],
                          capture_output=True, text=True, check=False)
    result = json.loads(done.stdout)
    result["server_cpu_ms"] = cpu_ms(server.pid) - before
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--name", default="tls-storm")
    parser.add_argument("--no-results", action="store_true")
    arguments = parser.parse_args()
    os.environ["SHOAL_BUILD"] = str(pathlib.Path(arguments.build).resolve())
    rounds = {"tls": [], "plain": []}
    with tempfile.TemporaryDirectory(prefix="storm-", dir=arguments.build) as folder:
        about = run.machine(folder)
        with shoal_server.Server(pathlib.Path(folder) / "shoal") as server:
            address = server.up()["mount_targets"][0]["ip"]
            for _ in range(arguments.rounds):
                rounds["tls"].append(storm(server, address, arguments.count))
                rounds["plain"].append(storm(server, address, arguments.count, "--plain"))
    lines = ["| | " + " | ".join(("all done, ms", "a second", "p50 ms", "p99 ms", "server CPU ms")) + " |", "|---|" + "--:|" * 5]
    for kind, results in rounds.items():
        cells = [f"{statistics.median(result[key] for result in results):,.1f}" for key in COLUMNS]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    text = "\n".join(lines)
    print(text)
    if not arguments.no_results:
        report = {"date": datetime.date.today().isoformat(), "machine": about,
                  "commit": run.first_line("git", "rev-parse", "--short", "HEAD"),
                  "command": shlex.join(["tests/bench/storm.py", *sys.argv[1:]]), "rounds": rounds}
        stem = HERE / "results" / f"{report['date']}-{arguments.name}"
        stem.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
        stem.with_suffix(".md").write_text(
            f"# {arguments.count} TLS handshakes at once, {report['date']}\n\n"
            f"{about['cores']} cores ({about['processor']}), {about['memory_gib']} GiB, {about['kernel']}; client (one thread) and "
            f"server on one machine, load {about['load_before']:.1f} before.\nMedians of {arguments.rounds} rounds. All connections "
            "are opened at once and held; each is answered a NULL call when all are there. A handshake's time runs\nfrom its "
            f"connect() to its end, so it includes waiting for the others. Commit {report['commit']}.\n\n    {report['command']}\n\n{text}\n")
        print(f"written: {os.path.relpath(stem)}.md")
    return 0 if all(result["answered"] == arguments.count for results in rounds.values() for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The tunnel, the server and the network are killed in turns under load, for mounts with and without TLS.

Each time: the load goes on by itself, no process stays in D state; at the end every acknowledged write is there. The times to
recover are printed. SHOAL_KILLS=100 makes it a long run (docs/durability.md has its figures).
"""

import os
import pathlib
import signal
import statistics
import subprocess
import time

import pytest

from test_tunnel import WORKER, TlsPlace

KILLS = int(os.environ.get("SHOAL_KILLS", "6"))
NETWORK_AWAY_S = 1.0
RECOVER_LIMIT_S = 90  # a test's patience, not a promise


@pytest.fixture
def place(client, own_server):
    return TlsPlace(own_server, client)


class Breaker:
    """Breaks one part and mends it."""

    def __init__(self, place, logs):
        self.place = place
        self.client = place.client
        self.logs = logs
        self.killed = set()

    def run(self, kind):
        """Gives the guest's time at which all was there again, by this machine's clock: the guest may not be reachable then."""
        fresh = self.fresh_workers() if kind == "tunnel" else []
        begin, began = self.client.call("kills.now"), time.monotonic()
        away = getattr(self, kind)(fresh)
        moment = begin + time.monotonic() - began
        if away:
            acknowledged = self.client.call("kills.count_between", self.logs, *(begin + when - began for when in away))
            assert acknowledged == 0, "the network was not away"
        return moment

    def fresh_workers(self):
        deadline = time.monotonic() + 30
        fresh = []
        while not fresh and time.monotonic() < deadline:
            fresh = [pid for pid in self.client.call("mounts.processes", WORKER) if pid not in self.killed]
        assert fresh, "the supervisor started no other worker"
        self.killed.update(fresh)
        return fresh

    def tunnel(self, workers):
        """Its supervisor has to start another one."""
        for pid in workers:
            self.client.call("os.kill", pid, signal.SIGKILL)

    def server(self, _):
        self.place.server.kill9()
        time.sleep(0.2)
        self.place.server.start()

    def network(self, _):
        """Packets are lost both ways and no connection is told: each end sends to a station that is not there.

        Gives from when to when, by this machine's clock."""
        device, guest, nobody = f"kclient{self.client.number}", self.client.address, "02:00:00:00:00:99"
        own = pathlib.Path(f"/sys/class/net/{device}/address").read_text().strip()
        ip("link", "set", "dev", device, "address", nobody)
        ip("neigh", "replace", guest, "lladdr", nobody, "dev", device, "nud", "permanent")
        since = time.monotonic() + 0.1  # what was on its way by then may be acknowledged
        try:
            time.sleep(NETWORK_AWAY_S)
        finally:
            until = time.monotonic()
            ip("link", "set", "dev", device, "address", own)
            ip("neigh", "flush", "dev", device, "nud", "permanent")
        return since, until


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def test_whatever_is_killed_the_load_goes_on_and_nothing_is_lost(place):
    client = place.client
    points = {"tls": "/mnt/k-tls", "plain": "/mnt/k-plain"}
    place.mount_tls(points["tls"])
    status, _, err, _ = place.mount(points["plain"])
    assert status == 0, err
    logs = [f"/run/kills-{name}" for name in points]
    sessions = []
    for point, log in zip(points.values(), logs):
        client.call("os.mkdir", f"{point}/{os.path.basename(point)}")
        session = client.session()
        session.start("kills.work_until_told", f"{point}/{os.path.basename(point)}", "/run/kills-stop", log)
        sessions.append(session)
    assert None not in client.call("kills.first_after", logs, 0, RECOVER_LIMIT_S)
    breaker = Breaker(place, logs)
    recoveries = {"tunnel": [], "server": [], "network": []}
    for round_ in range(KILLS):
        kind = list(recoveries)[round_ % 3]
        moment = breaker.run(kind)
        waited = client.call("kills.first_after", logs, moment, RECOVER_LIMIT_S)
        assert None not in waited, f"kill {round_} of the {kind}: no write in {RECOVER_LIMIT_S} s\n{place.server.log()}"
        recoveries[kind].append(max(waited))
        assert client.call("kills.stuck", 30) == [], f"in D state after kill {round_} of the {kind}"
    client.run("touch", "/run/kills-stop")
    done = [session.result(120) for session in sessions]
    for kind, times in recoveries.items():
        if times:
            print(f"{len(times)} kills of the {kind}: writes go on after {statistics.median(times):.1f} s (median), "
                  f"{max(times):.1f} s at most")
    for (name, point), log in zip(points.items(), logs):
        count, missing = client.call("kills.lost", f"{point}/{os.path.basename(point)}", log)
        print(f"{name}: {count} acknowledged, {len(missing)} lost")
        assert count > KILLS and missing == []
    assert min(done) > KILLS
    for session in sessions:
        session.close()
    client.run("rm", "-f", "/run/kills-stop", *logs)
    place.unmount(*points.values())

"""Steps of the tests of the data layer on a mount; each function is one client's part. `shoal` is the program's path."""

import json
import os
import subprocess


def data(shoal, store, *words, stdin="", env=None):
    """Runs `shoal data`; gives its standard output."""
    done = subprocess.run([shoal, "data", *map(str, words), "--store", store], input=stdin, capture_output=True, text=True,
                          timeout=120, env={**os.environ, **(env or {})})
    if done.returncode != 0:
        raise RuntimeError(f"shoal data {words}: {done.returncode} {done.stderr}")
    return done.stdout


def save_all(shoal, store, owner, count, scratch):
    """Documents of one second, versions of one checkpoint and bars of one series, beside the other client's."""
    ids = []
    os.makedirs(scratch, exist_ok=True)
    for number in range(count):
        text = json.dumps({"owner": owner, "number": number})
        ids.append(data(shoal, store, "put", "market", "BTC/USD", "1m", "-", "--time", "1700000000", stdin=text).strip())
        with open(f"{scratch}/model", "wb") as file:
            file.write(bytes([ord(owner[0])]) * (number * 300_001 + 1))
        data(shoal, store, "put", "checkpoint", "net", f"{scratch}/model", "-q", "--metadata", text)
        with open(f"{scratch}/bars.csv", "w") as file:
            file.write("timestamp_ns,open,high,low,close,volume\n")
            for row in range(5):
                file.write(f"{(number * 5 + row) * 2 + (owner == 'two')},{number},1,1,1,1\n")
        data(shoal, store, "put", "bars", "BTC/USD", "1m", f"{scratch}/bars.csv")
    return ids


def look(shoal, store, scratch):
    """What a client sees: ids of documents, (version, owner, number, size) of checkpoints, times of bars."""
    os.makedirs(scratch, exist_ok=True)
    ids = [item["id"] for item in json.loads(data(shoal, store, "ls", "market", "--json"))]
    versions = []
    for item in json.loads(data(shoal, store, "ls", "checkpoint", "net", "--json")):
        data(shoal, store, "get", "checkpoint", "net", "--version", item["version"], "-o", f"{scratch}/copy", "-q")
        with open(f"{scratch}/copy", "rb") as file:
            content = file.read()
        owner, number = item["metadata"]["owner"], item["metadata"]["number"]
        if content != bytes([ord(owner[0])]) * (number * 300_001 + 1):
            raise RuntimeError(f"version {item['version']} is not what {owner} saved as {number}")
        versions.append((item["version"], owner, number))
    times = [row[0] for row in json.loads(data(shoal, store, "get", "bars", "BTC/USD", "1m", "--json"))]
    return ids, versions, times

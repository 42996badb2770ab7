"""SQLite on a mount, as programs use it: several writers, both journal modes, a crash of a writer."""

import os
import signal
import sqlite3
import time


def connect(path):
    connection = sqlite3.connect(path, timeout=120, isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def make_bank(path, mode, accounts=20):
    """A database whose sum stays the same, whatever transfers are made."""
    connection = connect(path)
    assert connection.execute(f"PRAGMA journal_mode={mode}").fetchone()[0] == mode.lower()
    connection.execute("CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER, note TEXT)")
    connection.execute("CREATE TABLE transfer(worker INTEGER, number INTEGER, PRIMARY KEY(worker, number))")
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO account VALUES(?, 1000, '')", [(n,) for n in range(accounts)])
    connection.execute("COMMIT")
    connection.close()


def transfer(path, worker, count, mode=None, accounts=20):
    """`count` transactions, each of which moves money and grows a row; returns when all are committed."""
    connection = connect(path)
    if mode:  # Other than WAL, it is each connection's own.
        assert connection.execute(f"PRAGMA journal_mode={mode}").fetchone()[0] == mode.lower()
    for number in range(count):
        connection.execute("BEGIN IMMEDIATE")
        source, target = (worker * 7 + number) % accounts, (worker * 3 + number * 5 + 1) % accounts
        connection.execute("UPDATE account SET balance=balance-1 WHERE id=?", (source,))
        connection.execute("UPDATE account SET balance=balance+1, note=substr(note||?,-2000) WHERE id=?",
                           ("x" * 100, target))
        connection.execute("INSERT INTO transfer VALUES(?, ?)", (worker, number))
        try:
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise RuntimeError(f"transfer {number} of worker {worker}: {error.sqlite_errorname}") from error
    connection.close()


def check_bank(path, transfers, accounts=20):
    """Nothing was lost, nothing half done, and SQLite finds its file whole."""
    connection = connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("SELECT sum(balance) FROM account").fetchone()[0] == accounts * 1000
    found = connection.execute("SELECT count(*) FROM transfer").fetchone()[0]
    assert found == transfers, f"{found} of {transfers} transfers"
    connection.close()


def fork_transfer(path, worker, count):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            transfer(path, worker, count)
            status = 0
        finally:
            os._exit(status)
    return pid


def concurrent_writers(directory, mode, writers, count):
    """Several processes of one client write one database at the same time."""
    path = f"{directory}/bank.db"
    make_bank(path, mode)
    children = [fork_transfer(path, worker, count) for worker in range(writers)]
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    check_bank(path, writers * count)
    assert os.listdir(directory) == ["bank.db"]


def killed_writer(directory, mode):
    """A writer killed in the middle leaves a journal that the next opener rolls back."""
    path = f"{directory}/bank.db"
    make_bank(path, mode)
    for worker in range(3):
        pid = fork_transfer(path, worker, 100000)
        time.sleep(1)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        connection = connect(path)
        count = connection.execute("SELECT count(*) FROM transfer").fetchone()[0]
        connection.close()
        assert count > 0
        check_bank(path, count)

#!/usr/bin/python3
"""Runs inside the guest and carries out the calls of tests on the host.

Each connection is a session: a process of its own, which keeps the files it has open until the host closes
the connection. A call names a function of any module (those of this directory too), and the answer is its
value or the exception it raised. The transport is multiprocessing.connection, on the tap, with a shared key.
"""

import importlib
import multiprocessing.connection
import os
import signal
import sys
import traceback

PORT = 7000


def call(name, args, kwargs):
    module_name, _, function_name = name.rpartition(".")
    return getattr(importlib.import_module(module_name), function_name)(*args, **kwargs)


def serve(connection):
    """Answers the calls of one session until its host is gone."""
    while True:
        try:
            name, args, kwargs = connection.recv()
        except EOFError:
            return
        try:
            answer = (True, call(name, args, kwargs), None)
        except Exception as error:  # the test on the host decides what an error means
            answer = (False, error, traceback.format_exc())
        try:
            connection.send(answer)
        except (TypeError, ValueError, AttributeError) as error:  # a value that cannot be pickled
            connection.send((False, RuntimeError(f"{name}: {error}"), None))


def main():
    key = os.environ["SHOAL_E2E_KEY"].encode()
    address = (os.environ["KC_ADDR"], PORT)
    listener = multiprocessing.connection.Listener(address, authkey=key, backlog=16)
    print("ready", flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # sessions are reaped by the kernel
    while True:
        try:
            connection = listener.accept()
        except (multiprocessing.AuthenticationError, EOFError, OSError):
            continue
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            os.umask(0o022)
            os.chdir("/")
            serve(connection)
            os._exit(0)
        connection.close()


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    main()

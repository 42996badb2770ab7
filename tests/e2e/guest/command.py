"""Runs programs in the guest."""

import os
import subprocess


def run(argv, cwd=None, stdin=None, timeout_s=280, env=None):
    """Returns (status, stdout, stderr) as text; a program past its time is killed and raises."""
    done = subprocess.run(argv, cwd=cwd, input=stdin, capture_output=True, text=True,
                          errors="replace", timeout=timeout_s, env={**os.environ, **(env or {})},
                          **({} if stdin is not None else {"stdin": subprocess.DEVNULL}))
    return done.returncode, done.stdout, done.stderr

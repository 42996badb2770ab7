"""Runs commands of the installed aws-cli without the second that each takes to start: its own driver, kept.

python3 aws_in_process.py: reads a command a line, a JSON list of words; answers with a line, [exit status, stdout, stderr].
Which aws-cli it is depends on the Python that runs this.
"""

import contextlib
import io
import json
import sys

import awscli.clidriver


def run(driver, words):
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = driver.main(words)
        except SystemExit as end:
            status = end.code
    out.flush()
    err.flush()
    return [status or 0, out.buffer.getvalue().decode(), err.buffer.getvalue().decode()]


if __name__ == "__main__":
    answers = sys.stdout
    driver = awscli.clidriver.create_clidriver()
    for line in sys.stdin:
        print(json.dumps(run(driver, json.loads(line))), file=answers, flush=True)

"""Failures of the set-up: a sentence on what went wrong, and one on what to do."""

import os
import subprocess
import sys


class Problem(Exception):
    """A failure that the user can act on."""

    def __init__(self, message, hint):
        super().__init__(message)
        self.message = message
        self.hint = hint


def say(text):
    """Prints a line to standard error."""
    print(text, file=sys.stderr, flush=True)


def report(problem):
    say("error: %s\nhint: %s" % (problem.message, problem.hint))


def run_quietly(command, timeout=None):
    """Runs a command. Returns its exit code, or None if it did not start or took too long, and what it printed."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
            env=dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1"),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(error)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def last_lines(text, count=2):
    """The end of what a command printed, on one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-count:])

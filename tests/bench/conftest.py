"""What the tests of this folder share."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Whoever runs the tests in the background may ignore Ctrl-C, and so would marbench.
_CODE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from marbench.cli import main
main()
"""
_MARBENCH = [sys.executable, "-c", _CODE]


@pytest.fixture
def marbench() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Return a function that starts ``marbench``, which says what it says to a file, and does not outlive the test."""
    started = []

    def start(log: Path, *arguments: object) -> subprocess.Popen[bytes]:
        with log.open("wb") as file:
            command = [*_MARBENCH, *map(str, arguments)]
            started.append(subprocess.Popen(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()

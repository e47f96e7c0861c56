"""Processes that are forked from a server. Real processes and signals."""

import contextlib
import os
import signal

import pytest

from marbench.machine.forkserver import ForkServer

TARGET = "import os\ndef ids(channel):\n    channel.send({'pid': os.getpid(), 'parent': os.getppid()})\n"


@pytest.fixture
def server(tmp_path, monkeypatch):
    (tmp_path / "telling.py").write_text(TARGET + "    channel.receive()\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    one = ForkServer(())
    yield one
    one.close()


@contextlib.contextmanager
def interrupted(server_pid):
    """Raise KeyboardInterrupt in the block while the server, which is stopped, still owes its answer."""

    def interrupt(*_):
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    os.kill(server_pid, signal.SIGSTOP)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@pytest.mark.parametrize("during", ["fork", "kill"])
def test_after_an_interrupt_no_answer_is_taken_for_that_to_another_question(server, during):
    child = server.fork("telling:ids")
    told = child.channel.receive()[0]
    with interrupted(told["parent"]):
        if during == "fork":
            server.fork("telling:ids")
        else:
            child.kill()
    child.kill()
    for _ in range(2):
        other = server.fork("telling:ids")
        assert other.channel.receive()[0]["pid"] == other.pid
        assert os.WTERMSIG(other.kill()) == signal.SIGKILL

"""A worker process of this machine: it is told units of work, and tells what comes of them."""

from __future__ import annotations

import os
import pickle
import tempfile
from dataclasses import dataclass

import numpy as np

from marbench.bench.work import PRELOAD, Session, Work, do
from marbench.errors import MarbenchError
from marbench.machine.channel import Channel
from marbench.machine.forkserver import ForkServer

__all__ = ["UnitDone", "WorkerError", "receive", "send", "serve"]


@dataclass(frozen=True)
class UnitDone:
    """Everything of a unit has been told."""

    number: int


@dataclass(frozen=True)
class WorkerError:
    """The worker cannot work: its data or its device are not there."""

    message: str


def send(channel: Channel, message: object) -> None:
    """Send anything that can be pickled. Only between marbench's own processes: methods of others never get here."""
    channel.send({}, {"pickle": np.frombuffer(pickle.dumps(message), np.uint8)})


def receive(channel: Channel) -> object:
    """Return what `send` has sent; raises `ChannelError`."""
    return pickle.loads(channel.receive()[1]["pickle"].tobytes())


def serve(channel: Channel) -> None:
    """Do what comes through the channel until it is closed."""
    # While nothing has been computed yet: its children must find no lock held and no data.
    server = ForkServer(PRELOAD)
    server.start_forked()
    session = None  # made with the first unit, which says of what
    while True:
        work = receive(channel)
        assert isinstance(work, Work)  # whoever starts a worker sends nothing else
        os.environ["TMPDIR"] = tempfile.tempdir = work.scratch
        try:
            session = session or Session(work.conditions, server)
            for event in do(work, session):
                send(channel, event)
        except MarbenchError as error:
            send(channel, WorkerError(str(error)))
            return
        send(channel, UnitDone(work.unit.number))

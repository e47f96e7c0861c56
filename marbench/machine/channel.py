"""Messages between processes that do not trust each other: JSON and plain arrays, never a pickle.

A message is a JSON object and any number of named arrays. Whoever receives one says how large it may be, and until when
it waits; whatever else comes is a `ChannelError`.
"""

from __future__ import annotations

import json
import math
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.machine.text import said_by

__all__ = ["Channel", "ChannelClosed", "ChannelError", "ChannelTimeout"]

_FRAME = struct.Struct("!IQ")  # bytes of the header, bytes of the arrays
_HEADER_LIMIT = 16 << 20
_DTYPES = ("float32", "bool", "uint8")

Arrays = Mapping[str, NDArray[Any]]


class ChannelError(Exception):
    """What came is no message."""


class ChannelClosed(ChannelError):
    """The other side is gone."""


class ChannelTimeout(ChannelError):
    """Nothing came in time."""


class Channel:
    """One end of a pair of connected sockets."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    @classmethod
    def of_descriptor(cls, descriptor: int) -> Channel:
        """Return the channel of an inherited file descriptor."""
        return cls(socket.socket(fileno=descriptor))

    def fileno(self) -> int:
        """Return the file descriptor, so that `selectors` can wait for messages."""
        return self._socket.fileno()

    def close(self) -> None:
        """Let the other side know that nothing more will come."""
        self._socket.close()

    def send(self, header: Mapping[str, Any], arrays: Arrays | None = None, deadline: float | None = None) -> None:
        """Send a message; ``deadline`` as in `receive`. Arrays are float32, bool or uint8."""
        blocks = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
        described = [[name, str(block.dtype), list(block.shape)] for name, block in blocks.items()]
        text = json.dumps({"header": header, "arrays": described}).encode()
        try:
            self._limit(deadline)
            self._socket.sendall(_FRAME.pack(len(text), sum(block.nbytes for block in blocks.values())) + text)
            for block in blocks.values():
                self._limit(deadline)
                self._socket.sendall(block.reshape(-1).view(np.uint8).data)
        except TimeoutError:
            raise ChannelTimeout("the message was not taken in time") from None
        except OSError as error:
            raise ChannelClosed(said_by(error)) from None

    def receive(
        self, limit: int = 1 << 34, deadline: float | None = None
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Wait for a message and return its header and arrays.

        Parameters
        ----------
        limit : int
            Bytes that all arrays together may have.
        deadline : float, optional
            `time.monotonic` until when to wait; without one for ever.

        Raises
        ------
        ChannelTimeout, ChannelClosed, ChannelError
        """
        header_size, size = _FRAME.unpack(self._exactly(_FRAME.size, deadline))
        if header_size > _HEADER_LIMIT or size > limit:
            raise ChannelError(f"a message of {header_size} + {size} bytes is larger than it can be")
        text = bytes(self._exactly(header_size, deadline))
        try:
            message = json.loads(text)
            header, described = message["header"], message["arrays"]
            shapes = [(str(name), np.dtype(_known(kind)), tuple(map(int, shape))) for name, kind, shape in described]
            if not isinstance(header, dict) or sum(_bytes_of(kind, shape) for _, kind, shape in shapes) != size:
                raise ValueError("header and arrays do not belong together")
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            raise ChannelError(f"what came is no message ({error})") from None
        return header, {name: self._array(kind, shape, deadline) for name, kind, shape in shapes}

    def _array(self, kind: np.dtype[Any], shape: tuple[int, ...], deadline: float | None) -> NDArray[Any]:
        raw = self._exactly(_bytes_of(kind, shape), deadline)
        try:
            return np.frombuffer(raw, dtype=np.uint8).view(kind).reshape(shape)
        except (ValueError, OverflowError) as error:  # too many axes, or a long one beside one of length 0
            raise ChannelError(f"what came is no message ({error})") from None

    def _exactly(self, count: int, deadline: float | None) -> bytearray:
        buffer = bytearray(count)
        view, done = memoryview(buffer), 0
        while done < count:
            self._limit(deadline)
            try:
                got = self._socket.recv_into(view[done:])
            except TimeoutError:
                raise ChannelTimeout("no message in time") from None
            except OSError as error:
                raise ChannelClosed(said_by(error)) from None
            if not got:
                raise ChannelClosed("the other side is gone")
            done += got
        return buffer

    def _limit(self, deadline: float | None) -> None:
        if deadline is None:
            self._socket.settimeout(None)
            return
        left = deadline - time.monotonic()
        if left <= 0:
            raise ChannelTimeout("no message in time")
        # Beyond a month the system's own limits are met.
        self._socket.settimeout(min(left, 30 * 86400.0))


def _known(kind: Any) -> str:
    if kind not in _DTYPES:
        raise ValueError(f"arrays are of {', '.join(_DTYPES)}, got {kind!r}")
    return str(kind)


def _bytes_of(kind: np.dtype[Any], shape: tuple[int, ...]) -> int:
    if min(shape, default=0) < 0:
        raise ValueError(f"an array of shape {shape}")
    return math.prod(shape) * kind.itemsize

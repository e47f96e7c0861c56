"""Kinds of input for `fuzz.py`: what users and plugins write or send (benchmarks, cards, names, answers)."""

from __future__ import annotations

import json
import random
import re
import socket
import threading
import time
import tomllib
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_mutations import NUMBERS, TEXTS, as_table, mutate_bytes, mutate_values, to_toml

from marbench.bench.producers import _outcome_of
from marbench.errors import MarbenchError
from marbench.machine.channel import Channel, ChannelError
from marbench.method.discovery import discover
from marbench.method.request import parse_methods
from marbench.resources import resource_folder
from marbench.spec import load_spec
from marbench.spec_file import spec_toml


class Kind(ABC):
    """Inputs of one kind: how they are made, and what marbench does with one.

    Parameters
    ----------
    folder : Path
        Of its own, to write files into.
    """

    name: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def make(self, rng: random.Random) -> bytes:
        """Return an input."""

    @abstractmethod
    def feed(self, data: bytes) -> None:
        """Let marbench take it. Raises `MarbenchError` where it refuses."""

    @abstractmethod
    def valid(self) -> list[bytes]:
        """Return inputs that are as they should be."""

    def show(self, data: bytes) -> str:
        """Return an input as a reader would want to see it."""
        return repr(data[:400]) + (f" … {len(data)} bytes" if len(data) > 400 else "")


class SpecKind(Kind):
    """Descriptions of benchmarks, by themselves and extending others."""

    name = "spec"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        built_in = sorted(resource_folder("data_specs").glob("*.toml"))
        texts = [path.read_text(encoding="utf-8") for path in built_in]
        texts += [spec_toml(load_spec(path)) for path in built_in]
        texts += ['extends = "mini"\nname = "mine"\ntitle = "Mine"\n\n[anatomy]\nsource = "dicom"\npath = "~/ct"\n']
        self.seeds = [text.encode() for text in texts]
        self.values = [tomllib.loads(text) for text in texts]

    def valid(self) -> list[bytes]:
        """See `Kind`."""
        return self.seeds[:-1]

    def make(self, rng: random.Random) -> bytes:
        """See `Kind`."""
        if rng.random() < 0.5:
            return mutate_bytes(rng.choice(self.seeds), self.seeds, rng)
        return to_toml(as_table(mutate_values(rng.choice(self.values), rng))).encode(errors="surrogatepass")

    def feed(self, data: bytes) -> None:
        """Load it; what is accepted must be the same benchmark after it was written and read."""
        path = self.folder / "spec.toml"
        path.write_bytes(data)
        spec = load_spec(path)
        # Where data lie is not kept.
        if spec.anatomy.source == "procedural":
            path.write_text(spec_toml(spec), encoding="utf-8")
            if load_spec(path).hash != spec.hash:
                raise AssertionError("written and read it is another benchmark")


class MethodKind(Kind):
    """``method.toml`` of plugins; a broken one is skipped, so what is raised is raised by `discover` itself."""

    name = "method"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        texts = [path.read_text(encoding="utf-8") for path in sorted(resource_folder("methods").glob("*/method.toml"))]
        self.seeds = [re.sub('(?m)^name = "', 'name = "x-', text).encode() for text in texts]
        self.values = [tomllib.loads(text.decode()) for text in self.seeds]
        (folder / "method.py").write_text("")

    def valid(self) -> list[bytes]:
        """See `Kind`."""
        return self.seeds

    def make(self, rng: random.Random) -> bytes:
        """See `Kind`."""
        if rng.random() < 0.5:
            return mutate_bytes(rng.choice(self.seeds), self.seeds, rng)
        return to_toml(as_table(mutate_values(rng.choice(self.values), rng))).encode(errors="surrogatepass")

    def feed(self, data: bytes) -> None:
        """Discover it, and ask for it."""
        (self.folder / "method.toml").write_bytes(data)
        found = discover([self.folder])
        for request in parse_methods("all", found):
            if request.entry.folder == self.folder:
                request.values()
                hash(request.label)


class NamesKind(Kind):
    """What users say to ``--methods``."""

    name = "names"
    seeds = (
        b"none", b"all", b"li,nmar", b"nmar[prior=raw]", b"dudonet[variant=E]", b"nmar[prior=raw],li,none",
        b"my.py:Mine", b"a/b/c.py:Mine,li", b"rdn,cgan,cnnmar", b"nmar[prior=raw,prior=li]", b"~/x.py:Y",
    )  # fmt: skip

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.found = discover()
        self.spec = load_spec("mini")

    def valid(self) -> list[bytes]:
        """See `Kind`."""
        return [b"none", b"all", b"li,nmar", b"nmar[prior=raw]", b"dudonet[variant=E]"]

    def make(self, rng: random.Random) -> bytes:
        """See `Kind`."""
        if rng.random() < 0.2:
            return "".join(
                rng.choice(["li", "nmar", "[", "]", ",", "=", ":", ".py", "prior", *TEXTS])
                for _ in range(rng.randrange(1, 12))
            ).encode(errors="surrogatepass")
        return mutate_bytes(rng.choice(self.seeds), self.seeds, rng)

    def feed(self, data: bytes) -> None:
        """Parse them, and fit them to a benchmark."""
        for request in parse_methods(data.decode(errors="surrogateescape"), self.found):
            request.values()
            if request.entry.origin == "file":
                hash(request.for_spec(self.spec).hash)


class AnswersKind(Kind):
    """What a method's process says to marbench."""

    name = "answers"
    _shape = (4, 4)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        failure = {"status": "error", "error_kind": "ValueError", "message": "no", "trace": "line 1"}
        self.headers: list[Any] = [
            {"call": 1, "seconds": 0.1, "peak_mb": 2.0, "failure": None},
            {"call": 1, "seconds": 0.1, "peak_mb": 2.0, "failure": failure},
            {"parameters": 17},
        ]
        self.arrays: list[Any] = [["image", "float32", [4, 4]]]
        self.seeds = [self._message(header, self.arrays, bytes(64)) for header in self.headers]

    @staticmethod
    def _message(header: Any, arrays: Any, data: bytes) -> bytes:
        text = json.dumps({"header": header, "arrays": arrays}).encode()
        return len(text).to_bytes(4, "big") + len(data).to_bytes(8, "big") + text + data

    def valid(self) -> list[bytes]:
        """See `Kind`."""
        return self.seeds

    def make(self, rng: random.Random) -> bytes:
        """See `Kind`."""
        if rng.random() < 0.4:
            return mutate_bytes(rng.choice(self.seeds), self.seeds, rng)
        header, arrays = rng.choice(self.headers), self.arrays
        if rng.random() < 0.6:
            header = mutate_values(header, rng)
        if rng.random() < 0.6:
            arrays = mutate_values(arrays, rng)
        return self._message(header, arrays, np.float32([rng.choice(NUMBERS[:12]) for _ in range(16)]).tobytes())

    def feed(self, data: bytes) -> None:
        """Receive it as a producer does."""
        own, other = socket.socketpair()
        sender = threading.Thread(target=_send, args=(other, data))
        sender.start()
        try:
            answer, images = Channel(own).receive(64, time.monotonic() + 5)
            _outcome_of(answer, images, self._shape, 1.0)
        except ChannelError as error:
            raise MarbenchError(str(error)) from error  # a producer makes a row of it
        finally:
            own.close()
            sender.join()


def _send(other: socket.socket, data: bytes) -> None:
    with other, suppress(OSError):
        other.sendall(data)

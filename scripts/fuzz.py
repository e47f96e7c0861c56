"""Feed marbench with broken, foreign and hostile files and texts: only `MarbenchError`s may come of them.

``python scripts/fuzz.py [--count N] [--seed S] [--only KIND]``

Inputs are made from valid ones by mutation: of bytes (flips, cuts, repeats, splices, extreme numbers, NULs), and of the
values in them (other types, extreme numbers, long and odd strings, nesting, keys that are gone, doubled, renamed). The
same seed gives the same inputs. What is raised beyond `MarbenchError`, takes more than some seconds of computing or
more than 3 GB is printed once per place with its input, made as small as a few tries allow; then the exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import io
import json
import math
import os
import random
import re
import resource
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import tomllib
import traceback
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save as save_safetensors

from marbench.bench.plan import Stored
from marbench.bench.producers import _outcome_of
from marbench.cases.suite import Suite
from marbench.errors import MarbenchError
from marbench.machine.channel import Channel, ChannelError
from marbench.method.discovery import discover
from marbench.method.request import parse_methods
from marbench.method.weights import assign_weights, find_weights, read_weights
from marbench.report.pages import render
from marbench.resources import resource_folder
from marbench.results.images import Gallery
from marbench.results.rows import Key, Row, TimingRow
from marbench.results.store import Store, open_run
from marbench.spec import PROTOCOL, Spec, load_spec
from marbench.spec_file import spec_toml

__all__ = ["KINDS", "Finding", "Kind", "fuzz"]

SECONDS = 10.0
"""Of computing that one input may take; rendering all pages of a small run takes two."""

GIGABYTES = 3.0

# Of 100,000 inputs so many are of a kind: what costs most comes least often.
SHARES = {"spec": 30, "method": 12, "names": 30, "answers": 15, "rows": 5, "cards": 3, "pictures": 2, "weights": 3}


class TooSlow(BaseException):
    """An input took too long; no `Exception`, so that nothing on the way takes it for its own."""


# ---------------------------------------------------------------- mutations

NUMBERS = [0, -1, 1, 2, 255, 2**31, 2**63, -(2**63) - 1, 10**30, 0.5, -0.0, 1e308, -1e308, 5e-324, math.nan, math.inf]
TEXTS = [
    "", " ", "\0", "\x1b[31m", "\u202e", "é", "\ufeff", "\n", "'", '"', "\\", "<script>alert(1)</script>", "{{7*7}}",
    "..", "../../etc/passwd", "/", "/etc/passwd", "~", "~nouser/x", "a/b", ".", "CON", "all", "none", "nan", "1e999",
    "a" * 300, "a" * 70_000, "/".join("a" * 3000), "[red]", "%s%n", "x.py:X", "C:\\x", "file:///etc/passwd", "$HOME",
]  # fmt: skip


def _odd_value(rng: random.Random) -> Any:
    made = rng.randrange(9)
    if made < 3:
        return rng.choice(NUMBERS)
    if made < 6:
        return rng.choice(TEXTS)
    if made == 6:
        return rng.choice([None, True, False, [], {}, [[]], {"": ""}, [None], [1, "a", 2.5]])
    if made == 7:
        nested: Any = 1
        for _ in range(rng.choice([3, 30, 300])):
            nested = [nested] if rng.random() < 0.5 else {"a": nested}
        return nested
    return [rng.choice(NUMBERS) for _ in range(rng.choice([1, 5, 100]))]


def mutate_values(value: Any, rng: random.Random) -> Any:
    """Return JSON-like values with one to three places changed."""
    value = json.loads(json.dumps(value)) if isinstance(value, dict | list) else value
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        holder, key = _place(value, rng)
        if holder is None:
            return _odd_value(rng)
        _change(holder, key, rng)
    return value


def _place(value: Any, rng: random.Random) -> tuple[Any, Any]:
    """Return a container somewhere in a value, and a key of it."""
    holder, key = None, None
    while isinstance(value, dict | list) and value:
        holder, key = value, rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        value = holder[key]
        if rng.random() < 0.3:
            break
    return holder, key


def _change(holder: Any, key: Any, rng: random.Random) -> None:
    made = rng.randrange(8)
    if made == 0:
        del holder[key]
    elif made == 1 and isinstance(holder, dict):
        holder[rng.choice([*TEXTS, f"{key}x", str(key).upper()])] = holder.pop(key)
    elif made == 2 and isinstance(holder, dict):
        holder[rng.choice(TEXTS)] = _odd_value(rng)
    elif made == 3:
        holder[key] = [holder[key]]
    elif made == 4:
        holder[key] = str(holder[key])
    elif made == 5 and isinstance(holder[key], int | float):
        holder[key] = holder[key] * rng.choice([-1, 0, 10, 1e10, 1e-10, 0.999]) if math.isfinite(holder[key]) else 0
    else:
        holder[key] = _odd_value(rng)


def mutate_bytes(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """Return bytes with one to eight places changed."""
    for _ in range(rng.choice([1, 1, 2, 4, 8])):
        size = len(data)
        start, length = rng.randrange(size + 1), rng.choice([1, 1, 2, 8, 64, 1000])
        end = min(size, start + length)
        made = rng.randrange(9)
        if made == 0 and size:
            changed = bytearray(data)
            changed[min(start, size - 1)] ^= 1 << rng.randrange(8)
            data = bytes(changed)
        elif made == 1:
            data = data[:start] + data[end:]
        elif made == 2:
            data = data[:start] + data[start:end] * rng.choice([2, 3, 100]) + data[end:]
        elif made == 3:
            data = data[:start] + rng.randbytes(length) + data[start:]
        elif made == 4:
            data = data[:start]
        elif made == 5:
            other = rng.choice(others)
            cut = rng.randrange(len(other) + 1)
            data = data[:start] + other[cut : cut + length] + data[end:]
        elif made == 6:
            data = data[:start] + rng.choice(TEXTS).encode(errors="surrogatepass") + data[end:]
        elif made == 7:
            data = _replace_number(data, rng)
        else:
            data = (
                data[:start]
                + rng.choice([b"\0", b"\xff\xfe", b"[" * 2000, b"{" * 500, b"\r", b"9" * 5000])
                + data[start:]
            )
    return data


def _replace_number(data: bytes, rng: random.Random) -> bytes:
    found = list(re.finditer(rb"-?\d+(?:\.\d+)?", data))
    if not found:
        return data
    place = rng.choice(found)
    return data[: place.start()] + str(rng.choice(NUMBERS)).encode() + data[place.end() :]


def to_toml(value: Any) -> str:
    """Return values as TOML; what TOML has no word for becomes something near."""
    lines = [f"{_toml_key(key)} = {_toml(item)}" for key, item in value.items() if not isinstance(item, dict)]
    for key, item in value.items():
        if isinstance(item, dict):
            lines += [f"[{_toml_key(key)}]", *(f"{_toml_key(name)} = {_toml(each)}" for name, each in item.items())]
    return "\n".join(lines) + "\n"


def _toml_key(key: str) -> str:
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else _toml(key)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps("" if value is None else value).replace("\\u0000", "\\u0001")


# ---------------------------------------------------------------- kinds of input


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
        return to_toml(_as_dict(mutate_values(rng.choice(self.values), rng))).encode(errors="surrogatepass")

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
        return to_toml(_as_dict(mutate_values(rng.choice(self.values), rng))).encode(errors="surrogatepass")

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


class RunFolder:
    """A small results folder, as a run leaves it, and a page of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "run"
        self.spec = load_spec("mini")
        self.keys = Suite(self.spec).case_keys[:20]
        store = Store(self.folder, self.spec)
        store.prepare()
        store.write_command("marbench run --spec mini")
        store.write_host("host", {"cpu": "A CPU", "cores": 2, "packages": {"numpy": "2"}, "gpus": []})
        for label in ("none", "li", "dudonet[variant=E]"):
            store.write_method(
                label, {"title": label, "summary": "s", "domain": "image", "method_hash": "0" * 16, "values": {}}
            )
            for row in self.rows(label):
                store.add(row)
        store.flush()
        store.add_timings([self.timing("li", repeat) for repeat in range(5)])
        for key in self.keys[:2]:
            Gallery(self.folder / "images", frozenset()).write(self.pictures(key.case_id))

    def rows(self, label: str) -> list[Row]:
        """Return the rows of a method."""
        rng = random.Random(label)
        scores = list(self._scores())
        return [
            Row(
                spec_hash=self.spec.hash, protocol=PROTOCOL, method=label, method_hash="0" * 16, preset="",
                case_id=key.case_id, patient_id=key.patient_id, slice_id=key.slice_id, metal_id=key.metal_id,
                size_group=key.size_group, case_index=index, metal_area_px=100, metal_area_mm2=99.5, region="pelvis",
                materials="steel", window_low=-160.0, window_high=240.0, seconds=0.1, peak_mb=80.0, host_id="host",
                scores={name: rng.uniform(0.5, 40) for name in scores},
            )
            for index, key in enumerate(self.keys)
        ]  # fmt: skip

    def _scores(self) -> Iterator[str]:
        yield "rmse_hu"
        for convention in self.spec.metrics.conventions:
            yield from (f"psnr[{convention}]", f"ssim[{convention}]")

    def timing(self, label: str, repeat: int) -> TimingRow:
        """Return a timed call."""
        return TimingRow(
            spec_hash=self.spec.hash, protocol=PROTOCOL, method=label, method_hash="0" * 16, preset="",
            case_id=self.keys[0].case_id, repeat=repeat, seconds=0.1, peak_mb=80.0, parameters=7, device="cpu",
            device_name="A CPU", threads=2, host_id="host",
        )  # fmt: skip

    def pictures(self, case: str) -> dict[str, bytes]:
        """Return the pictures of a case: name → content."""
        image, trace = np.arange(256, dtype=np.int16).reshape(16, 16), np.zeros((8, 12), np.int16)
        arrays = {
            "truth": image, "uncorrected": image, "metal": image > 250, "window": np.array([-160.0, 240.0]),
            "sinogram": trace, "truth_sinogram": trace, "metal_trace": trace > 0,
        }  # fmt: skip
        own = {"image": image, "method": np.array("li"), "method_hash": np.array("0" * 16)}
        return {f"{case}/_case.npz": _npz(arrays), f"{case}/li.npz": _npz(own)}

    def read(self) -> None:
        """Read the folder as a run and a page do, but for the page itself."""
        run = open_run(self.folder)
        Stored(run.rows)
        stored, _ = Store(self.folder, self.spec).stored()
        planned = Stored(stored)
        for key in self.keys:
            planned.get(Key("li", "0" * 16, key.case_id))
        Store(self.folder, self.spec).timings()

    def show(self) -> None:
        """Render the pages."""
        render(self.folder, self.folder.parent / "report")


def _npz(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=True, **arrays)
    return buffer.getvalue()


class RowsKind(Kind):
    """Parts of a results folder, by their bytes, their columns and their values."""

    name = "rows"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.run = RunFolder(folder)
        self.parts = [next((self.run.folder / name).glob("*.parquet")) for name in ("results", "timing")]
        self.seeds = [path.read_bytes() for path in self.parts]
        self.tables = [pq.read_table(path) for path in self.parts]

    def valid(self) -> list[bytes]:
        """See `Kind`."""
        return [bytes([which]) + seed for which, seed in enumerate(self.seeds)]

    def make(self, rng: random.Random) -> bytes:
        """See `Kind`."""
        which = rng.choice([0, 0, 0, 1])
        if rng.random() < 0.25:
            changed = mutate_bytes(self.seeds[which], self.seeds, rng)
        else:
            table = self.tables[which]
            for _ in range(rng.choice([1, 1, 2, 4])):
                table = _mutate_table(table, rng)
            buffer = io.BytesIO()
            try:
                pq.write_table(table, buffer)
            except (pa.ArrowException, ValueError, TypeError, OverflowError):
                return bytes([which]) + self.seeds[which]
            changed = buffer.getvalue()
        return bytes([which]) + changed

    def feed(self, data: bytes) -> None:
        """Read the folder; every so often, decided by the input, render it."""
        whole = self.seeds[data[0] % 2]
        path = self.parts[data[0] % 2]
        extra = path.with_name("0-fuzz.parquet")
        try:
            # In place of what was there, or beside it.
            (path if _digit(data) % 2 else extra).write_bytes(data[1:])
            self.run.read()
            if _digit(data) % 50 < 2:
                self.run.show()
        finally:
            extra.unlink(missing_ok=True)
            path.write_bytes(whole)


def _mutate_table(table: pa.Table, rng: random.Random) -> pa.Table:
    """Return a table with a column, some values or its metadata changed."""
    made = rng.randrange(10)
    if made == 0 and table.num_columns > 1:
        return table.remove_column(rng.randrange(table.num_columns))
    if made == 1:
        metadata = dict(table.schema.metadata or {})
        about = json.loads(metadata.get(b"marbench", b"{}"))
        metadata[b"marbench"] = json.dumps(mutate_values(about, rng)).encode(errors="surrogatepass")
        return table.replace_schema_metadata(metadata)
    if made == 2:
        return rng.choice([table.slice(0, 0), table.slice(0, 1), pa.concat_tables([table, table])])
    if made == 3:
        names = list(table.schema.names)
        names[rng.randrange(len(names))] = rng.choice(
            [*TEXTS, *names, "psnr[evil]", "ssim[dudonet2019]", "__index_level_0__"]
        )
        with suppress(ValueError, UnicodeEncodeError):
            return table.rename_columns(names)
        return table
    index = rng.randrange(table.num_columns)
    name, values = table.schema.names[index], table.column(index).to_pylist()
    if made == 4:
        kinds = [
            pa.string(), pa.large_string(), pa.binary(), pa.float64(), pa.float16(), pa.int64(), pa.int8(), pa.bool_(),
            pa.null(), pa.timestamp("ns"), pa.list_(pa.int64()), pa.dictionary(pa.int32(), pa.string()),
            pa.struct([("a", pa.int64())]), pa.decimal128(38, 2),
        ]  # fmt: skip
        kind = rng.choice(kinds)
        filler: Any = rng.choice([None, values[0] if values else None, 0, "x", b"\xff", [1], {"a": 1}])
        values = [filler] * len(values)
    else:
        kind = table.column(index).type
        for _ in range(rng.choice([1, 1, 3, len(values)])):
            if values:
                values[rng.randrange(len(values))] = _odd_value_of(kind, rng)
    try:
        return table.set_column(index, name, pa.array(values, kind))
    except (pa.ArrowException, ValueError, TypeError, OverflowError, UnicodeEncodeError):
        return table


def _odd_value_of(kind: Any, rng: random.Random) -> Any:
    """Return a value that a column can hold."""
    if rng.random() < 0.15:
        return None
    if pa.types.is_string(kind):
        return rng.choice([*TEXTS, "ok", "error", "crashed", "unavailable", "li", "", "0" * 16])
    if pa.types.is_integer(kind):
        return rng.choice([0, 1, -1, 5, 6, 99, 2**31, 2**62, 2**63 - 1, -(2**63)])
    return rng.choice([0.0, -0.0, 1.0, -1.0, 1e308, -1e308, 5e-324, math.nan, math.inf, -math.inf, 1e-9, 40.0])


def _digit(data: bytes) -> int:
    return hashlib.sha256(data).digest()[0]


class CardsKind(Kind):
    """Cards of methods and machines, commands, and the lists of files of pages."""

    name = "cards"
    files = (
        "methods/li.json",
        "hosts/host.json",
        "commands.txt",
        "running/1-a.json",
        "../report/files.json",
        "spec.toml",
    )

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.run = RunFolder(folder)
        (self.run.folder / "running").mkdir()
        (self.run.folder / "running" / "1-a.json").write_text(json.dumps([["li", "0" * 16, self.run.keys[0].case_id]]))
        self.run.show()
        self.seeds = [(self.run.folder / name).read_bytes() for name in self.files]
        card = json.loads((resource_folder("methods") / "dudonet/weights").glob("*.json").__next__().read_text())
        self.cards: list[Any] = [json.loads(self.seeds[0]), {**json.loads(self.seeds[0]), "trained": card}]

    def valid(self) -> list[bytes]:
        """See `Kind`."""
        return [bytes([which]) + seed for which, seed in enumerate(self.seeds)]

    def make(self, rng: random.Random) -> bytes:
        """See `Kind`."""
        which = rng.choice([0, 0, 0, 1, 1, 2, 3, 4, 5])
        if which in (2, 5) or rng.random() < 0.4:
            return bytes([which]) + mutate_bytes(self.seeds[which], self.seeds, rng)
        value = rng.choice(self.cards) if which == 0 else json.loads(self.seeds[which])
        return bytes([which]) + json.dumps(mutate_values(value, rng)).encode()

    def feed(self, data: bytes) -> None:
        """Read the folder; every so often, decided by the input, render it."""
        which = data[0] % len(self.files)
        path = self.run.folder / self.files[which]
        try:
            path.write_bytes(data[1:])
            self.run.read()
            if _digit(data) % 50 < (10 if which == 4 else 2):
                self.run.show()
        finally:
            path.write_bytes(self.seeds[which])


class PicturesKind(Kind):
    """Stored pictures."""

    name = "pictures"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.run = RunFolder(folder)
        self.case = self.run.keys[0].case_id
        content = self.run.pictures(self.case)
        self.names, self.seeds = list(content), list(content.values())
        self.arrays = [dict(np.load(io.BytesIO(seed))) for seed in self.seeds]

    def valid(self) -> list[bytes]:
        """See `Kind`."""
        return [bytes([which]) + seed for which, seed in enumerate(self.seeds)]

    def make(self, rng: random.Random) -> bytes:
        """See `Kind`."""
        which = rng.randrange(len(self.seeds))
        if rng.random() < 0.5:
            return bytes([which]) + mutate_bytes(self.seeds[which], self.seeds, rng)
        arrays = dict(self.arrays[which])
        name = rng.choice(list(arrays))
        odd = [
            np.zeros(0), np.zeros((16, 16)), np.full((16, 16), np.nan), np.array("x" * 999), np.array([None]),
            np.zeros((2, 2, 2), np.int16), np.array([b"\xff"]), np.zeros((1, 5000), np.int16),
            np.array(2**63, np.uint64), np.array([1 + 2j]),
        ]  # fmt: skip
        made = rng.randrange(3)
        if made == 0:
            del arrays[name]
        elif made == 1:
            arrays[name] = rng.choice(odd)
        else:
            with contextlib.suppress(ValueError):  # of text come no numbers
                arrays[name] = arrays[name].astype(rng.choice(["f8", "i8", "u1", "?", "U3", "O"]), copy=True)
        return bytes([which]) + _npz(arrays)

    def feed(self, data: bytes) -> None:
        """See whether the picture has to be made again; every so often, decided by the input, render it."""
        which = data[0] % len(self.seeds)
        path = self.run.folder / "images" / self.names[which]
        try:
            path.write_bytes(data[1:])
            Gallery(self.run.folder / "images", frozenset([self.case])).missing([Key("li", "0" * 16, self.case)])
            if _digit(data) % 10 < 1:
                self.run.show()
        finally:
            path.write_bytes(self.seeds[which])


class WeightsKind(Kind):
    """Weights files and their cards."""

    name = "weights"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.spec: Spec = load_spec("mini")
        self.network = torch.nn.Conv2d(1, 2, 3)
        self.tensors = {f"net.{key}": value for key, value in self.network.state_dict().items()}
        shipped = next((resource_folder("methods") / "dudonet/weights").glob("*.json"))
        content = save_safetensors(self.tensors)
        self.card = {
            **json.loads(shipped.read_text(encoding="utf-8")),
            "label": "x",
            "preset": None,
            "spec_hash": self.spec.hash,
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        self.seeds = [content, json.dumps(self.card).encode()]

    def valid(self) -> list[bytes]:
        """See `Kind`."""
        return [bytes([which]) + seed for which, seed in enumerate(self.seeds)]

    def make(self, rng: random.Random) -> bytes:
        """See `Kind`."""
        made = rng.randrange(4)
        if made == 0:
            return b"\0" + mutate_bytes(self.seeds[0], self.seeds, rng)
        if made == 1:
            return b"\1" + mutate_bytes(self.seeds[1], self.seeds, rng)
        if made == 2:
            return b"\1" + json.dumps(mutate_values(self.card, rng)).encode()
        tensors = {name: _odd_tensor(tensor, rng) for name, tensor in self.tensors.items() if rng.random() < 0.9}
        return b"\0" + save_safetensors(tensors)

    def feed(self, data: bytes) -> None:
        """Find, read and assign them; the card names the hash of the file that is there."""
        weights = data[1:] if data[0] == 0 else self.seeds[0]
        path = self.folder / "x.safetensors"
        path.write_bytes(weights)
        card = {**self.card, "sha256": hashlib.sha256(weights).hexdigest()}
        path.with_suffix(".json").write_bytes(json.dumps(card).encode() if data[0] == 0 else data[1:])
        os.environ["MARBENCH_WEIGHTS"] = str(self.folder)
        try:
            found = find_weights("x", None, self.card["parameters"], self.spec)
        finally:
            del os.environ["MARBENCH_WEIGHTS"]
        if found.file is not None:
            assign_weights({"net": self.network}, read_weights(found.file), "x")


def _odd_tensor(tensor: torch.Tensor, rng: random.Random) -> torch.Tensor:
    made = rng.randrange(6)
    if made == 0:
        return tensor.to(rng.choice([torch.int8, torch.bool, torch.float64, torch.float16, torch.int64]))
    if made == 1:
        return torch.full_like(tensor, rng.choice([math.nan, math.inf, 1e38]))
    if made == 2:
        return tensor.flatten()[: rng.randrange(tensor.numel() + 1)].clone()
    return tensor


def _as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"value": value}


KINDS: dict[str, type[Kind]] = {
    kind.name: kind
    for kind in (SpecKind, MethodKind, NamesKind, AnswersKind, RowsKind, CardsKind, PicturesKind, WeightsKind)
}


# ---------------------------------------------------------------- feeding


@dataclasses.dataclass
class Finding:
    """What is wrong, where, and the smallest input that was found for it."""

    kind: str
    error: str
    place: str
    data: bytes
    trace: str
    shown: str
    count: int = 1


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise `TooSlow` after so much computing, whatever else the machine does."""

    def expire(_number: int, _frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, expire)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


REFUSED = ("", "refused", "")


def attempt(kind: Kind, data: bytes) -> tuple[str, str, str] | None:
    """Feed an input; return None where it is accepted, else the error, its place and its trace, or `REFUSED`."""
    try:
        with _limited(SECONDS):
            kind.feed(data)
    except MarbenchError:
        return REFUSED
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if f"{os.sep}marbench{os.sep}" in frame.filename] or frames
        place = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
        last = "".join(traceback.format_exception(error)[-4:])
        return type(error).__name__, place, last
    return None


def smaller(kind: Kind, data: bytes, like: tuple[str, str], tries: int = 150) -> bytes:
    """Return a smaller input that fails in the same way, by cutting out pieces."""
    size = len(data) // 2
    while size >= 1 and tries > 0:
        start = 0
        while start < len(data) and tries > 0:
            candidate, tries = data[:start] + data[start + size :], tries - 1
            found = attempt(kind, candidate) if candidate else None
            if found is not None and found[:2] == like:
                data = candidate
            else:
                start += size
        size //= 2
    return data


@dataclasses.dataclass
class Tally:
    """What came of the inputs of a kind; ``slowest`` in seconds of computing."""

    accepted: int = 0
    refused: int = 0
    slowest: float = 0.0
    findings: dict[tuple[str, str], Finding] = dataclasses.field(default_factory=dict)


def fuzz(name: str, count: int, seed: int, folder: Path, tell: Callable[[str], None] = lambda _: None) -> Tally:
    """Feed so many inputs of a kind, after the valid ones that they are made from."""
    kind, rng, tally = KINDS[name](folder / name), random.Random(f"{name}-{seed}"), Tally()
    for valid in kind.valid():
        if (failure := attempt(kind, valid)) is not None:
            raise AssertionError(f"a valid input of the kind {name} is not accepted: {kind.show(valid)} {failure}")
    for number in range(count):
        data, start = kind.make(rng), time.process_time()
        failure = attempt(kind, data)
        tally.slowest = max(tally.slowest, time.process_time() - start)
        if failure is None:
            tally.accepted += 1
        elif failure is REFUSED:
            tally.refused += 1
        elif failure[:2] in tally.findings:
            tally.findings[failure[:2]].count += 1
        else:
            error, place, trace = failure
            data = smaller(kind, data, (error, place)) if error != "TooSlow" else data
            tally.findings[error, place] = Finding(name, error, place, data, trace, kind.show(data))
            tell(f"{name} {number}: {error} at {place}")
    return tally


def limit_memory(gigabytes: float) -> None:
    """Let too much memory be a MemoryError here, and harm nobody else."""
    used = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmData:")
    )
    wanted = used + int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Feed all kinds, print what was found, and return 1 if anything was."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000, metavar="N", help="Inputs of all kinds together.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    asked = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    limit_memory(GIGABYTES)
    folder, findings, total = Path(tempfile.mkdtemp(prefix="fuzz-")), list[Finding](), 0
    print("| kind | inputs | accepted | refused | findings | slowest, s of computing | seconds |")
    print("|---|---|---|---|---|---|---|")
    try:
        for name in [asked.only] if asked.only else KINDS:
            count = asked.count if asked.only else math.ceil(asked.count * SHARES[name] / sum(SHARES.values()))
            start = time.monotonic()
            tally = fuzz(name, count, asked.seed, folder, partial(print, file=sys.stderr, flush=True))
            cells = (name, count, tally.accepted, tally.refused, len(tally.findings), f"{tally.slowest:.2f}")
            print("|", " | ".join(map(str, cells)), "|", f"{time.monotonic() - start:.0f} |", flush=True)
            findings += tally.findings.values()
            total += count
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for finding in findings:
        print(f"\n{finding.kind}: {finding.error} at {finding.place}, {finding.count} times", finding.shown, sep="\n")
        print(finding.trace)
    print(f"\n{total} inputs, {len(findings)} kinds of findings.")
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())

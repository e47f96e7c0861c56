"""Kinds of input for `fuzz.py`: what a results folder holds (rows, cards, pictures), and weights."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from fuzz_mutations import TEXTS, mutate_bytes, mutate_values
from fuzz_run import RunFolder, as_npz
from fuzz_texts import Kind
from safetensors.torch import save as save_safetensors

from marbench.method.weights import assign_weights, find_weights, read_weights
from marbench.resources import resource_folder
from marbench.results.images import Gallery
from marbench.results.rows import Key
from marbench.spec import Spec, load_spec


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
        return bytes([which]) + as_npz(arrays)

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
            found = find_weights("x", None, self.card["parameters"], self.spec, self.folder)
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

"""A small results folder for `fuzz.py` to spoil."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from marbench.bench.plan import Stored
from marbench.cases.suite import Suite
from marbench.report.pages import render
from marbench.results.images import Gallery
from marbench.results.rows import Key, Row, TimingRow
from marbench.results.store import Store, open_run
from marbench.spec import PROTOCOL, load_spec


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
        return {f"{case}/_case.npz": as_npz(arrays), f"{case}/li.npz": as_npz(own)}

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


def as_npz(arrays: dict[str, Any]) -> bytes:
    """Return arrays as the content of an npz file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=True, **arrays)
    return buffer.getvalue()

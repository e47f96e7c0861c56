"""Results folders with known content, written as a run writes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.machine.arrays import npz
from marbench.machine.files import safe_name
from marbench.results.rows import Row, TimingRow
from marbench.results.store import Store
from marbench.spec import PROTOCOL, load_spec

AREAS_MM2 = (1992.0, 853.0, 852.0, 435.0, 235.0, 112.0, 112.0, 108.0, 51.0, 31.0)
MATERIALS = ("titanium", "cocr", "steel", "titanium", "steel", "titanium", "gold", "amalgam", "titanium,steel", "gold")
REGIONS = ("dental", "shoulder", "thorax", "abdomen", "pelvis")

HOSTILE = "<img src=x onerror=alert(1)>"


@dataclass(frozen=True)
class Synthetic:
    """A method whose scores are drawn around ``psnr`` dB."""

    label: str
    psnr: float
    seconds: float = 0.02
    parameters: int | None = None
    domain: str = "sinogram"
    version: str = ""
    role: str = ""


METHODS = (
    Synthetic("none", 17.5, 0.0002, domain="none", role="uncorrected"),
    Synthetic("li", 24.0, 0.011, role="baseline"),
    Synthetic("nmar", 26.0, 0.028, role="baseline"),
    Synthetic("cnnmar", 28.0, 0.06, 28929),
    Synthetic("dudonet", 32.2, 0.09, 1583425, "dual"),
    Synthetic("dudonet[variant=F]", 32.15, 0.088, 1583000, "dual"),
)


def write_run(
    folder: Path,
    methods: Sequence[Synthetic] = METHODS,
    spec: str = "mini",
    slices: int = 20,
    patients: int = 12,
    change: Callable[[Row], Row | None] = lambda row: row,
    pictures: int = 0,
    cards: dict[str, dict[str, Any]] | None = None,
) -> Path:
    """Fill a results folder: every slice with ten metals in five groups. ``change`` may alter a row or drop it."""
    resolved = load_spec(spec)
    store = Store(folder, resolved)
    store.prepare()
    store.write_command(f"marbench run --spec {resolved.name}")
    store.write_host("host", {"cpu": "A CPU", "cores": 2, "packages": {"numpy": "2"}, "gpus": []})
    for number, method in enumerate(methods):
        version = method.version or f"{number:016x}"
        card = {
            "name": method.label.partition("[")[0],
            "title": method.label.upper(),
            "summary": f"What {method.label} does.",
            "domain": method.domain,
            "role": method.role,
            "cite": "A. Author: A paper. https://doi.org/10.1118/1.3484090",
            "parameters": {"prior": {"default": "li", "choices": ["li", "raw"], "help": "The prior."}},
            "values": {"prior": "li"},
            "method_hash": version,
        }
        store.write_method(method.label, {**card, **(cards or {}).get(method.label, {})})
        rng = np.random.default_rng([number, slices])
        for index in range(slices * len(AREAS_MM2)):
            row = change(_row(resolved, method, version, index, patients, rng))
            if row is not None:
                store.add(row)
        store.flush()
        store.add_timings([_timing(resolved, method, version, repeat) for repeat in range(5)])
    for index in range(pictures):
        _pictures(folder / "images" / _case_id(index * 11, patients), methods, resolved.geometry.shape)
    return folder


def _case_id(index: int, patients: int) -> str:
    return f"p{index // 10 % patients:03d}-s{index // 10:05d}_m{index % 10:02d}"


def _row(spec: Any, method: Synthetic, version: str, index: int, patients: int, rng: np.random.Generator) -> Row:
    metal, patient = index % 10, index // 10 % patients
    patient_effect = 1.5 * math.sin(patient)
    psnr = method.psnr + 4 - 4 * math.log10(AREAS_MM2[metal] / 30) + patient_effect + rng.normal(0, 0.5)
    scores = {"rmse_hu": 3000 * 10 ** (-psnr / 20)}
    for place, convention in enumerate(spec.metrics.conventions):
        scores[f"psnr[{convention}]"] = psnr - 2.5 * place
        scores[f"ssim[{convention}]"] = 1 - 10 ** (-psnr / 28) - 0.01 * place
    return Row(
        spec_hash=spec.hash,
        protocol=PROTOCOL,
        method=method.label,
        method_hash=version,
        preset="",
        case_id=_case_id(index, patients),
        patient_id=f"p{patient:03d}",
        slice_id=f"s{index // 10:05d}",
        metal_id=f"m{metal:02d}",
        size_group=metal // 2 + 1,
        case_index=index,
        metal_area_px=round(AREAS_MM2[metal]),
        metal_area_mm2=AREAS_MM2[metal],
        region=REGIONS[patient % 5],
        materials=MATERIALS[metal],
        window_low=-160.0,
        window_high=240.0,
        seconds=method.seconds,
        peak_mb=80.0,
        host_id="host",
        scores=scores,
    )


def failed(row: Row, status: Any = "error", message: str = "it failed", trace: str = "Traceback …") -> Row:
    """Return a row as a failure."""
    return replace(row, status=status, error_kind="ValueError", message=message, trace=trace, scores={})


def _timing(spec: Any, method: Synthetic, version: str, repeat: int) -> TimingRow:
    return TimingRow(
        spec_hash=spec.hash,
        protocol=PROTOCOL,
        method=method.label,
        method_hash=version,
        preset="",
        case_id="c0",
        repeat=repeat,
        seconds=method.seconds * (1 + 0.05 * repeat),
        peak_mb=80.0,
        parameters=method.parameters,
        device="cpu",
        device_name="A CPU",
        threads=2,
        host_id="host",
    )


def with_other_rays(case: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return a stored case whose sinograms have a view less than the benchmark's."""
    return {name: case[name][1:] if name.endswith(("sinogram", "trace")) else case[name] for name in case}


def _pictures(folder: Path, methods: Sequence[Synthetic], rays: tuple[int, int]) -> None:
    folder.mkdir(parents=True)
    rows, columns = np.mgrid[-1:1:64j, -1:1:64j]
    truth = np.where(rows**2 + columns**2 < 0.8, 40, -1000).astype(np.int16)
    streaks = (300 * np.sin(12 * np.arctan2(rows, columns))).astype(np.int16)
    metal = rows**2 + columns**2 < 0.01
    case = {"truth": truth, "uncorrected": truth + streaks, "metal": metal, "window": np.array([-160.0, 240.0])}
    views, bins = np.mgrid[-1 : 1 : rays[0] * 1j, -1 : 1 : rays[1] * 1j]
    trace = np.abs(bins - 0.2 * np.sin(3 * views)) < 0.1
    free = (4000 * np.sqrt(np.clip(1 - bins**2, 0, 1))).astype(np.int16)
    measured = free + (3000 * trace).astype(np.int16)
    case |= {"sinogram": measured, "truth_sinogram": free, "metal_trace": trace}
    case["region noise"] = (rows + 0.3) ** 2 + (columns - 0.2) ** 2 < 0.02
    (folder / "_case.npz").write_bytes(npz(case))
    for number, method in enumerate(methods):
        version = np.array(method.version or f"{number:016x}")
        image = {"image": truth + streaks // (2 + number), "method": np.array(method.label), "method_hash": version}
        (folder / f"{safe_name(method.label)}.npz").write_bytes(npz(image))

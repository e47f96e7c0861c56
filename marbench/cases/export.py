"""Cases as files that others can read: ``.npz``, previews, a table and a text that explains them."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from marbench.anatomy.slices import Split
from marbench.cases.case import Case, CaseInfo
from marbench.cases.recorded import read_facts
from marbench.cases.suite import Suite
from marbench.errors import DataError
from marbench.geometry import FanBeam
from marbench.machine.arrays import npz
from marbench.machine.files import write_atomically
from marbench.spec import Spec
from marbench.spec_file import hold_to_spec

__all__ = ["export_cases"]

README = """\
{title}: simulated CT scans with metal, made by marbench (benchmark hash {hash})

spec.toml                benchmark: geometry, grid, physics, metals, split
cases.csv                one line per case
<split>/<case_id>.npz    one case
<split>/<case_id>.png    truth (left) and uncorrected image (right) in the display window

Arrays of a case
  image_hu                       uncorrected reconstruction, HU, (rows, columns) = ({rows}, {columns})
  truth_hu                       what a perfect method would return, HU, (rows, columns)
  sinogram_line_integral         measured, corrected for beam hardening in water, (views, bins) = ({views}, {bins})
  truth_sinogram_line_integral   the same without metal
  metal_mask                     pixels that are at least half metal
  metal_any                      pixels that hold any metal; they are not scored
  metal_trace                    rays that meet metal, (views, bins)
  window_hu                      display window, (low, high)
  info_json                      place in the benchmark, ids, size group, metal area, materials, region

Conventions
  Images: row 0 is the top, x points right, y points up, the isocentre is the centre of the image; pixel {pixel:g} cm.
  A ray (theta, t) is the line x cos(theta) + y sin(theta) = t.
  Fan beam, {detector} detector: view k has the source angle beta = {beta_text}, and the source at
  D (-sin(beta), cos(beta)), D = {distance:g} cm. A ray at fan angle gamma has
  theta = beta + gamma, t = D sin(gamma). {bin_text}
  HU = 1000 (mu / mu_water - 1) with mu_water = {water:g} 1/cm.
"""


def export_cases(
    suite: Suite,
    folder: Path,
    limit: int | None = None,
    advance: Callable[[], None] = lambda: None,
    note: Callable[[str], None] = lambda _: None,
) -> int:
    """Write the cases of a suite that a folder lacks, and return how many it holds of them then.

    `marbench.cases.recorded.RecordedCases` reads them. ``advance`` is called after each, ``note`` is told of files that
    are no cases, and are left alone.

    Raises
    ------
    StoreError
        The folder holds another benchmark, or cannot be written.
    DataError
        A case cannot be made.
    """
    hold_to_spec(folder, suite.spec)
    write_atomically(folder / "README.txt", _readme(suite.spec).encode())
    keys = suite.case_keys[:limit]
    for index, key in enumerate(keys):
        path = folder / suite.split / f"{key.case_id}.npz"
        if not _is_whole(path):
            case = suite[index]
            write_atomically(path.with_suffix(".png"), _preview(case))
            write_atomically(path, _arrays(case, index))  # last: whoever finds it finds the preview
        advance()
    write_atomically(folder / "cases.csv", _table(folder, note).encode())
    return len(keys)


def _readme(spec: Spec) -> str:
    fan, grid = spec.geometry, spec.grid
    place = f"(j - (bins - 1) / 2{f' + {fan.offset:g}' if fan.offset else ''})"
    if fan.detector == "arc":
        bin_text = f"Bin j is at gamma = {place} {fan.pitch:.9g} rad."
    else:
        bin_text = (
            f"Bin j is at gamma = arctan({place} {fan.pitch:.9g} cm / {fan.detector_distance:g} cm), "
            "the flat detector's distance from the source."
        )
    return README.format(
        title=spec.title,
        hash=spec.hash,
        rows=grid.rows,
        columns=grid.columns,
        views=fan.views,
        bins=fan.bins,
        pixel=grid.pixel,
        detector=fan.detector,
        distance=fan.source_distance,
        beta_text=_beta_text(fan),
        bin_text=bin_text,
        water=spec.physics.water_attenuation,
    )


def _beta_text(fan: FanBeam) -> str:
    if fan.angles:
        return "the k-th of angles_deg in spec.toml"
    turn = "2 pi" if fan.is_circle else f"{fan.arc:.9g}"
    return f"{fan.start:g} {'-' if fan.clockwise else '+'} {turn} k / views rad"


def _arrays(case: Case, index: int) -> bytes:
    scan, truth = case.scan, case.known_truth
    return npz(
        {
            "image_hu": scan.image[0].cpu().numpy(),
            "truth_hu": truth.image[0].cpu().numpy(),
            "sinogram_line_integral": scan.sinogram[0].cpu().numpy(),
            "truth_sinogram_line_integral": truth.sinogram[0].cpu().numpy(),
            "metal_mask": scan.metal_mask[0].cpu().numpy(),
            "metal_any": truth.metal[0].cpu().numpy(),
            "metal_trace": scan.metal_trace[0].cpu().numpy(),
            "window_hu": np.array(case.info.window),
            "info_json": np.array(json.dumps(_facts(case.info, index), sort_keys=True)),
        }
    )


def _facts(info: CaseInfo, index: int) -> dict[str, Any]:
    facts = dataclasses.asdict(info)
    return {"case_index": index, **facts.pop("key"), **facts}


def _preview(case: Case) -> bytes:
    low, high = case.info.window
    pair: NDArray[np.float32] = np.hstack([case.known_truth.image[0].cpu().numpy(), case.scan.image[0].cpu().numpy()])
    gray = np.rint((np.clip(pair, low, high) - low) * (255 / (high - low))).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(gray).save(buffer, format="png")
    return buffer.getvalue()


def _is_whole(path: Path) -> bool:
    return path.is_file() and zipfile.is_zipfile(path)


def _table(folder: Path, note: Callable[[str], None]) -> str:
    """Return one line per case that the folder holds, of any split; files of others are passed over."""
    rows = []
    for path in sorted(path for split in get_args(Split) for path in (folder / split).glob("*.npz")):
        try:
            facts = read_facts(path)
        except DataError as error:
            note(f"It is not in cases.csv: {error}")
            continue
        facts["materials"] = " ".join(facts["materials"])
        facts["window_low_hu"], facts["window_high_hu"] = facts.pop("window")
        rows.append({"split": path.parent.name, **facts, "file": f"{path.parent.name}/{path.name}"})
    return pd.DataFrame(rows).to_csv(index=False)

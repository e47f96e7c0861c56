"""The text beside exported cases: whoever has only it and the files can read them and hand images back."""

from __future__ import annotations

from marbench.cases.export_formats import FORMATS, QUANTITIES
from marbench.geometry import FanBeam
from marbench.spec import Spec

__all__ = ["readme"]

_TEXT = """\
{title}: simulated CT scans with metal, made by marbench (benchmark hash {hash})

spec.toml                benchmark: geometry, grid, physics, metals, split
cases.csv                one line per case: its id, number, patient, metal, files
<split>/                 the cases
<split>/<case_id>.png    {preview} in the display window

How the files are read
{reading}

Arrays of a case: (rows, columns) = ({rows}, {columns}), (views, bins) = ({views}, {bins})
{arrays}

Conventions
  Images: row 0 is the top, x points right, y points up, the isocentre is the centre of the image; pixel {pixel:g} cm.
  A ray (theta, t) is the line x cos(theta) + y sin(theta) = t.
  Fan beam, {detector} detector: view k has the source angle beta = {beta_text}, and the source at
  D (-sin(beta), cos(beta)), D = {distance:g} cm. A ray at fan angle gamma has
  theta = beta + gamma, t = D sin(gamma). {bin_text}
  HU = 1000 (mu / mu_water - 1) with mu_water = {water:g} 1/cm.

Handing images back
  One file per case, <case_id> in its name, (rows, columns) as above, in HU, float32:
  .npy, .npz, .mat, .h5, .nii, .dcm, .raw (little-endian float32), or .png of 16 bits and its offset.
  marbench score FOLDER --method NAME --spec SPEC
"""


def readme(spec: Spec, form: str, truth: bool) -> str:
    """Return the README of a folder of cases.

    Parameters
    ----------
    spec : Spec
    form : str
        One of `FORMATS`.
    truth : bool
        Whether the truths are there too.
    """
    fan, grid = spec.geometry, spec.grid
    return _TEXT.format(
        title=spec.title,
        hash=spec.hash,
        preview="truth (left) and uncorrected image (right)" if truth else "the uncorrected image",
        reading="\n".join(f"  {line}" for line in FORMATS[form].reading.splitlines()),
        arrays=_arrays(spec, form, truth),
        rows=grid.rows,
        columns=grid.columns,
        views=fan.views,
        bins=fan.bins,
        pixel=grid.pixel,
        detector=fan.detector,
        distance=fan.source_distance,
        beta_text=_beta_text(fan),
        bin_text=_bin_text(fan),
        water=spec.physics.water_attenuation,
    )


def _arrays(spec: Spec, form: str, truth: bool) -> str:
    metals = spec.metals.model_dump()
    lines = [
        f"  {name:<30} {', '.join(filter(None, (each.meaning.format_map(metals), each.unit, each.axes)))}"
        for name, each in QUANTITIES.items()
        if truth or not each.truth
    ]
    if form == "npz":
        lines.append(f"  {'info_json':<30} place in the benchmark, ids, size group, metal area, materials, region")
    return "\n".join(lines)


def _beta_text(fan: FanBeam) -> str:
    if fan.angles:
        return "the k-th of angles_deg in spec.toml"
    turn = "2 pi" if fan.is_circle else f"{fan.arc:.9g}"
    return f"{fan.start:g} {'-' if fan.clockwise else '+'} {turn} k / views rad"


def _bin_text(fan: FanBeam) -> str:
    place = f"(j - (bins - 1) / 2{f' + {fan.offset:g}' if fan.offset else ''})"
    if fan.detector == "arc":
        return f"Bin j is at gamma = {place} {fan.pitch:.9g} rad."
    return (
        f"Bin j is at gamma = arctan({place} {fan.pitch:.9g} cm / {fan.detector_distance:g} cm), "
        "the flat detector's distance from the source."
    )

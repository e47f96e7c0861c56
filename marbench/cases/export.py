"""Cases as files that others can read: arrays, previews, a table of all, and a text that explains them."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import zipfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import scipy.io
from numpy.typing import NDArray
from PIL import Image

from marbench.anatomy.files import matching
from marbench.anatomy.slices import Split
from marbench.cases.case import Case, CaseSource
from marbench.cases.export_formats import FORMATS, QUANTITIES
from marbench.cases.export_readme import readme
from marbench.cases.info import CaseInfo, CaseKey
from marbench.cases.recorded import read_facts
from marbench.cases.sources import check_cases
from marbench.errors import DataError, StoreError
from marbench.machine.files import write_atomically
from marbench.machine.text import said_by
from marbench.spec import Spec
from marbench.spec_file import hold_to_spec

__all__ = ["export_cases"]

_FLAT = (".raw", ".dcm")
"""Of files that hold one array, which their names say."""


def export_cases(
    suite: CaseSource,
    folder: Path,
    limit: int | None = None,
    advance: Callable[[], None] = lambda: None,
    note: Callable[[str], None] = lambda _: None,
    form: str = "npz",
    truth: bool = True,
) -> int:
    """Write the cases of a suite that a folder lacks, and return how many it holds of them then.

    `marbench.cases.recorded.RecordedCases` reads those of the format ``npz``. ``advance`` is called after each,
    ``note`` is told of cases that cannot be made, and of files that are no cases, and are left alone.

    Parameters
    ----------
    form : str
        One of `marbench.cases.export_formats.FORMATS`.
    truth : bool
        Whether to write what a method must not see, too.

    Raises
    ------
    StoreError
        The folder holds another benchmark, cases in another format, files of somebody else by our names, or a truth
        that would stay and is not asked for; or it cannot be written.
    DataError
        There are no cases, none can be made, or the format needs a package that is not installed.
    """
    check_cases(suite)
    _refuse_others(folder)
    keys, last = suite.case_keys[:limit], FORMATS[form].suffix
    if not truth:
        _refuse_truths(folder / suite.split, suite.case_keys, len(keys), form)
    _refuse_another_format(folder, form)
    hold_to_spec(folder, suite.spec)
    write_atomically(folder / "README.txt", readme(suite.spec, form, truth).encode())
    names = {name for name, each in QUANTITIES.items() if truth or not each.truth}
    failed: list[DataError] = []
    for index, key in enumerate(keys):
        stem = f"{folder / suite.split / key.case_id}"
        if not _is_whole(Path(stem + last), form, names):
            try:
                case = suite[index]
                arrays = _arrays(case, truth)
            except DataError as error:
                if not truth:  # what lies there stays
                    _refuse_truths(folder / suite.split, [key], 0, form)
                failed.append(error)
                note(f"{key.case_id} is left out: {error}")
                advance()
                continue
            files = FORMATS[form].encode(arrays, _facts(case.info, suite.places[index], form, suite.spec))
            files[".png"] = _preview(case, truth)
            for suffix in sorted(files, key=lambda suffix: suffix == last):  # whoever finds that one finds them all
                write_atomically(Path(stem + suffix), files[suffix])
            for name in set(QUANTITIES) - names:  # of an export with the truth
                for suffix in _FLAT:
                    Path(f"{stem}.{name}{suffix}").unlink(missing_ok=True)
        advance()
    if len(failed) == len(keys):
        raise failed[0]
    write_atomically(folder / "cases.csv", _table(folder, note).encode())
    return len(keys) - len(failed)


def _refuse_others(folder: Path) -> None:
    """Raise StoreError where files that would be replaced lie without ``spec.toml``, which an export writes first."""
    for name in ("README.txt", "cases.csv"):
        if os.path.lexists(folder / name) and not os.path.lexists(folder / "spec.toml"):
            raise StoreError(f"{folder / name} was not written by marbench; choose another --out.")


def _refuse_truths(folder: Path, keys: Sequence[CaseKey], count: int, form: str) -> None:
    """Raise StoreError where a truth of an earlier export would stay: of another format, or of a case beyond the limit.

    What is written anew replaces the truths of these cases in this format.
    """
    truths = {name for name, each in QUANTITIES.items() if each.truth}
    flat = [f".{name}{suffix}" for name in sorted(truths) for suffix in _FLAT]
    # Formats with a text beside the arrays share it: where one is written anew, the flat files of another go.
    replaced = {f".{form}", *(flat if FORMATS[form].suffix == ".json" else ())}
    for index, key in enumerate(keys):
        for suffix in (".npz", ".h5", ".mat", *flat):
            path = Path(f"{folder / key.case_id}{suffix}")
            stays = index >= count or suffix not in replaced
            if stays and path.is_file() and not truths.isdisjoint(_names_in(path)):
                raise StoreError(
                    f"{path} holds a truth, which an earlier export wrote, which is not asked for now, and which would "
                    "stay. Remove it, or choose another --out."
                )


def _refuse_another_format(folder: Path, form: str) -> None:
    """Raise StoreError where cases lie in another format: each would be there, and in ``cases.csv``, twice."""
    for path in _case_files(folder):
        if path.suffix == f".{form}":  # of .npz alone, in which lies no other format
            continue
        with contextlib.suppress(DataError):  # no case
            other = read_facts(path).get("format", "npz")
            if other != form:
                raise StoreError(
                    f"{folder} holds cases as {other}, {path.name} for one, and a folder takes one format. Remove "
                    f"them, or choose another --out for {form}."
                )


def _names_in(path: Path) -> set[str]:
    """Return the names of the arrays that a file of an export holds; of a file of somebody else maybe none."""
    if path.suffix in _FLAT:
        return {path.suffixes[-2].removeprefix(".")}
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path} may hold a truth, and cannot be read: {said_by(error)}. Remove it.") from error
    if path.suffix == ".mat":  # compressed, the names too
        try:
            return {name for name, *_ in scipy.io.whosmat(io.BytesIO(content))}
        except Exception:  # SciPy raises many kinds
            return set()
    return {name for name in QUANTITIES if name.encode() in content}


def _arrays(case: Case, truth: bool) -> dict[str, NDArray[Any]]:
    scan = case.scan
    tensors = {
        "image_hu": scan.image,
        "sinogram_line_integral": scan.sinogram,
        "metal_mask": scan.metal_mask,
        "metal_trace": scan.metal_trace,
    }
    if truth:
        known = case.known_truth
        tensors |= {
            "truth_hu": known.image,
            "truth_sinogram_line_integral": known.sinogram,
            "metal_any": known.metal,
        }
    arrays = {name: tensor[0].cpu().numpy() for name, tensor in tensors.items()}
    arrays["window_hu"] = np.array(case.info.window)
    return {name: arrays[name] for name in QUANTITIES if name in arrays}  # in one order: equal cases, equal bytes


def _facts(info: CaseInfo, place: int, form: str, spec: Spec) -> dict[str, Any]:
    facts = dataclasses.asdict(info)
    facts = {"case_index": place, **facts.pop("key"), **facts}
    # Beside files that others read the benchmark is not always at hand; an .npz stays what it was.
    return facts if form == "npz" else {**facts, "format": form, "benchmark": spec.hash, "pixel_cm": spec.grid.pixel}


def _preview(case: Case, truth: bool) -> bytes:
    low, high = case.info.window
    shown = [case.known_truth.image, case.scan.image] if truth else [case.scan.image]
    image: NDArray[np.float32] = np.hstack([each[0].cpu().numpy() for each in shown])
    gray = np.rint((np.clip(image, low, high) - low) * (255 / (high - low))).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(gray).save(buffer, format="png")
    return buffer.getvalue()


def _is_whole(path: Path, form: str, names: Collection[str]) -> bool:
    """Tell whether a case lies there, with these arrays and no others: a truth that is not asked for does not stay."""
    if form != "npz":
        try:
            facts = read_facts(path)
        except DataError:
            return False
        return facts.get("format") == form and {*facts.get("arrays", ()), "window_hu"} == {*names}
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".npy") for name in archive.namelist()} == {*names, "info_json"}


def _case_files(folder: Path) -> list[Path]:
    """Return what may say what a case is, of any split."""
    kinds = [f"{split}/*{suffix}" for split in get_args(Split) for suffix in (".npz", ".json")]
    return sorted(path for kind in kinds for path in matching(folder, kind))


def _table(folder: Path, note: Callable[[str], None]) -> str:
    """Return one line per case that the folder holds, of any split; files of others are passed over."""
    rows = []
    for path in _case_files(folder):
        try:
            facts = read_facts(path)
        except DataError as error:
            note(f"It is not in cases.csv: {error}")
            continue
        facts["materials"] = " ".join(facts["materials"])
        facts["window_low_hu"], facts["window_high_hu"] = facts.pop("window")
        facts.pop("arrays", None)
        rows.append({"split": path.parent.name, **facts, "file": f"{path.parent.name}/{path.name}"})
    return pd.DataFrame(rows).to_csv(index=False)

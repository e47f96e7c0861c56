"""Which cases a folder of somebody else holds, in which files, and what the bytes of these are."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import Any

from marbench.anatomy.files import matching
from marbench.anatomy.slices import Split
from marbench.anatomy.split import choose_evenly
from marbench.cases.info import ID
from marbench.cases.recorded import read_facts
from marbench.errors import DataError
from marbench.machine.files import sha256_of
from marbench.machine.text import said_by
from marbench.spec_recorded import FIELDS, ArrayFile, ImageFile, RaysFile, RecordedSection

__all__ = ["Entry", "assumptions", "content_digest", "described", "listed"]


# The published sinograms are those of the transposed image, with the views reversed. With x to the right and y up,
# transposing is the mirror (x, y) → (−y, −x): a source at β goes to π/2 − β, a ray at γ to −γ. With the views reversed
# that is our sinogram of the image as it lies there, from 90° on and with its bins reversed.
def _rays(file: str, key: str) -> RaysFile:
    return RaysFile(file=file, key=key, reverse=("bins",), turned_deg=90.0)


def _image(file: str, key: str) -> ImageFile:
    return ImageFile(file=file, key=key, unit="1/cm")


_CLEAN, _METAL = "{split}_640geo/{patient}/{slice}/gt.h5", "{split}_640geo/{patient}/{slice}/{metal:d}.h5"


def _challenge(part: str) -> dict[str, ArrayFile]:
    """Return the layout of the AAPM CT-MAR challenge's training data: HU, and line integrals as views × bins."""
    image, rays = "img{case:d}_512x512x1.raw", "sino{case:d}_900x1000.raw"
    return {
        "sinogram": RaysFile(file=f"Baseline/training_{part}_metalart_{rays}"),
        "mask": ImageFile(file=f"Mask/training_{part}_metalonlymask_{image}"),
        "uncorrected": ImageFile(file=f"Baseline/training_{part}_metalart_{image}"),
        "truth": ImageFile(file=f"Target/training_{part}_nometal_{image}"),
        "truth_sinogram": RaysFile(file=f"Target/training_{part}_nometal_{rays}"),
    }


LAYOUTS: dict[str, dict[str, ArrayFile]] = {
    "syndeeplesion": {
        "sinogram": _rays(_METAL, "ma_sinogram"),
        "mask": ImageFile(file="{split}mask.npy", index="{metal:d}", resized=True),
        "trace": _rays(_METAL, "metal_trace"),
        "uncorrected": _image(_METAL, "ma_CT"),
        "anatomy": _image(_CLEAN, "image"),
        "truth": _image(_CLEAN, "poly_CT"),
        "truth_sinogram": _rays(_CLEAN, "poly_sinogram"),
    },
    "aapm2024": _challenge("body"),
    "aapm2024-head": _challenge("head"),
}
"""Name of a format → where it keeps what."""

# Role → what `marbench export` calls it. Its truth is one image, whichever the benchmark asked for.
_EXPORTED: dict[str, tuple[type[ArrayFile], str]] = {
    "sinogram": (RaysFile, "sinogram_line_integral"),
    "mask": (ImageFile, "metal_mask"),
    "trace": (RaysFile, "metal_trace"),
    "uncorrected": (ImageFile, "image_hu"),
    "anatomy": (ImageFile, "truth_hu"),
    "truth": (ImageFile, "truth_hu"),
    "truth_sinogram": (RaysFile, "truth_sinogram_line_integral"),
    "unscored": (ImageFile, "metal_any"),
}


@dataclass(frozen=True)
class Entry:
    """A case that a folder holds.

    Attributes
    ----------
    fields : mapping
        What stands in the names of its files: ``patient``, ``slice``, ``case``, ``metal``.
    files : mapping
        Role → file, relative to the folder.
    facts : mapping
        What an export says of the case; empty elsewhere.
    """

    fields: Mapping[str, str]
    files: Mapping[str, str]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def case_id(self) -> str:
        """Put together from all fields, as far as there are."""
        return str(self.facts.get("case_id", self.joined(FIELDS)))

    @property
    def slice_id(self) -> str:
        """Shared by the cases that differ in their metal alone."""
        return str(self.facts.get("slice_id", self.joined([name for name in FIELDS if name != "metal"])))

    @property
    def patient_id(self) -> str:
        """The slice, where the files tell no patient."""
        return str(self.facts.get("patient_id", self.fields.get("patient", self.slice_id)))

    @property
    def metal_id(self) -> str:
        """The same for all cases, where the files tell none."""
        return str(self.facts.get("metal_id", self.fields.get("metal", "metal")))

    def index(self, how: ArrayFile) -> int | None:
        """Return which picture of a stack is this case's."""
        if how.index is None:
            return None
        return int(self.fields["metal"] if how.index.startswith("{") else how.index)

    def joined(self, names: Sequence[str]) -> str:
        """Return an id of these fields, as far as there are."""
        return "_".join(self.fields[name] for name in names if name in self.fields)


def described(section: RecordedSection) -> dict[str, ArrayFile]:
    """Return where a folder keeps what: role → array. Of an export, only what its first case has.

    Raises
    ------
    DataError
        It holds no cases, or an export is of a format that keeps rounded images.
    """
    if section.format != "export":
        return LAYOUTS.get(section.format) or section.arrays()
    first = next(iter(_exports(_root(section), "test")), None)
    if first is None:
        raise DataError(
            f"{section.path} holds no cases to test with (no test/*.npz or *.json): `marbench export` them."
        )
    form = read_facts(first).get("format", "npz")
    if form == "dicom":
        raise DataError(f"{section.path} is an export as DICOM, which rounds images. Export as npz, h5, mat or raw.")
    arrays = {}
    for role, (kind, name) in _EXPORTED.items():
        file = "{split}/{case}." + (f"{name}.raw" if form == "raw" else form)
        arrays[role] = kind(file=file, key=name, dtype="uint8" if name.startswith("metal") else "float32")
    truths = [role for role, (_, name) in _EXPORTED.items() if name.startswith("truth") or name == "metal_any"]
    return arrays if _has_truth(first, form) else {role: each for role, each in arrays.items() if role not in truths}


def listed(
    section: RecordedSection, arrays: Mapping[str, ArrayFile], split: Split, limits: tuple[int | None, int | None]
) -> list[Entry]:
    """Return the cases of a split in order, slice by slice.

    Parameters
    ----------
    section : RecordedSection
    arrays : mapping
        Where it keeps what, see `described`.
    limits : (patients, slices)
        The most that are taken, slices evenly over the patients; None for all.

    Raises
    ------
    DataError
        There are none, a file of one is missing, a name cannot be an id, or two make the same one.
    """
    root, patients = _root(section), limits[0]
    if split != "test" and "{split}" not in (arrays["sinogram"].file or ""):
        raise DataError(f"{section.path} holds cases to test with alone: {{split}} in the names of files tells others.")
    entries = sorted(_found(root, arrays, split), key=lambda entry: _natural(entry.case_id))
    _refuse_shared_ids(entries)
    if section.format == "export":
        facts = {path.stem: read_facts(path) for path in _exports(root, split)}
        known = [Entry(entry.fields, entry.files, facts[entry.case_id]) for entry in entries if entry.case_id in facts]
        entries = sorted(known, key=lambda entry: (entry.facts["case_index"], entry.case_id))
    if not entries:
        wanted = (arrays["sinogram"].file or "").replace("{split}", split)
        raise DataError(f"{section.path} holds no cases of the split {split!r}: no file is called {wanted}.")
    if patients is not None:
        first = list(dict.fromkeys(entry.patient_id for entry in entries))[:patients]
        entries = [entry for entry in entries if entry.patient_id in first]
    slices: dict[str, list[str]] = {}
    for entry in entries:
        own = slices.setdefault(entry.patient_id, [])
        if entry.slice_id not in own:
            own.append(entry.slice_id)
    chosen = {name for own in choose_evenly(slices, limits[1], lambda _: True).values() for name in own}
    return [entry for entry in entries if entry.slice_id in chosen]


def assumptions(
    section: RecordedSection, arrays: Mapping[str, ArrayFile], split: Split, entries: Sequence[Entry]
) -> tuple[str, ...]:
    """Return what was assumed of the cases that `listed` took, and how many it left, a line each."""
    lines = []
    if len(entries) > 1 and not any("patient" in entry.fields or "patient_id" in entry.facts for entry in entries):
        each = "slice" if "metal" in entries[0].fields else "case"
        # The layouts of published data are what they are.
        remedy = " If several are of one, name {patient} in the layout." if section.format == "files" else ""
        lines.append(f"The names of the files tell no patient: each {each} counts as a patient of its own.{remedy}")
    if len(entries) < (found := len(list(_names(_root(section), arrays, split)))):
        lines.append(
            f"{len(entries)} of {found} cases in the folder are taken, as many patients and slices as [split] {split} "
            f'asks for: {split} = {{ patients = "all", slices = "all" }} takes all.'
        )
    return tuple(lines)


def content_digest(root: Path, entries: Sequence[Entry]) -> str:
    """Return the SHA-256 of what the files of cases hold, by role, and of what is told of the cases beside them.

    Names of folders are no part of it.
    """
    contents = []
    for entry in entries:
        # An export tells size groups, windows and the order in files of their own, patterns tell who is who.
        about = entry.case_id, entry.patient_id, entry.slice_id, entry.metal_id, sorted(entry.facts.items())
        for role, name in entry.files.items():
            try:
                contents.append((role, sha256_of(root / name), about))
            except OSError as error:
                raise DataError(
                    f"{name} cannot be read: {said_by(error)}. Restore it, or take its case away."
                ) from None
    return hashlib.sha256(json.dumps(sorted(contents, key=json.dumps)).encode()).hexdigest()


def _root(section: RecordedSection) -> Path:
    root = Path(section.path or "")
    if not root.is_dir():
        raise DataError(f"{section.path} is no folder. Give the one that holds the files as recorded.path.")
    return root


def _found(root: Path, arrays: Mapping[str, ArrayFile], split: Split) -> list[Entry]:
    """Return the cases whose sinogram is there."""
    return [_entry(root, arrays, split, fields) for fields in _names(root, arrays, split)]


def _names(root: Path, arrays: Mapping[str, ArrayFile], split: Split) -> Iterator[dict[str, str]]:
    """Yield what stands in the name of every sinogram that is there."""
    named = (arrays["sinogram"].file or "").replace("{split}", split)
    pieces = re.split(r"(\{[^{}]*\})", named)
    pattern, seen = "", set()
    for piece in pieces:
        name, is_field = piece.strip("{}").removesuffix(":d"), piece.startswith("{")
        if not is_field:
            pattern += re.escape(piece)
        elif name in seen:
            pattern += f"(?P={name})"
        else:
            seen.add(name)
            pattern += rf"(?P<{name}>{'[0-9]+' if piece.endswith(':d}') else '[^/]+'})"
    globbed = "".join("*" if piece.startswith("{") else escape(piece) for piece in pieces)
    for path in matching(root, globbed):
        match = re.fullmatch(pattern, path.relative_to(root).as_posix())
        if match is not None:
            yield match.groupdict() or {"case": path.stem}


def _entry(root: Path, arrays: Mapping[str, ArrayFile], split: Split, fields: dict[str, str]) -> Entry:
    for name, text in fields.items():
        if not ID.fullmatch(text):
            raise DataError(f"{name} {text!r} cannot be an id: rename its files with letters, digits and . _ - alone.")
    files = {}
    for role, how in arrays.items():
        file = (how.file or "").replace("{split}", split)
        files[role] = re.sub(r"\{(\w+)(?::d)?\}", lambda match: fields[match[1]], file)
        try:
            there = (root / files[role]).is_file()
        except OSError as error:  # of a folder that may not be entered
            raise DataError(f"{files[role]} cannot be read: {said_by(error)}. Mend the permissions.") from error
        if not there:
            raise DataError(f"{files[role]} is missing ({role} of a case). Restore it, or take the case away.")
    return Entry(fields, files)


def _refuse_shared_ids(entries: Sequence[Entry]) -> None:
    """Raise DataError where different fields make one id of a case or of a slice: names may hold the ``_`` between."""
    for names in (FIELDS, [name for name in FIELDS if name != "metal"]):
        known: dict[str, Entry] = {}
        for entry in entries:
            text = entry.joined(names)
            other = known.setdefault(text, entry)
            if any(entry.fields.get(name) != other.fields.get(name) for name in names):
                raise DataError(
                    f"{other.files['sinogram']} and {entry.files['sinogram']} would both be called {text!r}. Rename "
                    "files or folders, with - in place of _, so that every case and slice has a name of its own."
                )


def _exports(root: Path, split: Split) -> list[Path]:
    """Return the files that say what the cases of an export are."""
    return matching(root, f"{split}/*.npz") or matching(root, f"{split}/*.json")


def _has_truth(first: Path, form: str) -> bool:
    if form == "npz":
        with zipfile.ZipFile(first) as archive:
            return "truth_hu.npy" in archive.namelist()
    return "truth_hu" in read_facts(first).get("arrays", ())


def _natural(text: str) -> list[tuple[int, str]]:
    """Return what sorts 2 before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text) if part]

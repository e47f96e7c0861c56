"""Whether a packed run is what it says: looked at here, and made again in `marbench.report.recomputation`."""

from __future__ import annotations

import math
import secrets
import tempfile
from collections.abc import Container, Iterator
from pathlib import Path

from marbench.bench.options import Progress
from marbench.cases.case import CaseSource
from marbench.cases.opening import open_cases
from marbench.errors import MarbenchError, SpecError, StoreError
from marbench.machine.files import find_files, writable_folder, write_atomically
from marbench.machine.text import clean_line, counted, said_by
from marbench.metrics.measure import measures_of
from marbench.report.archive import Manifest, unpack
from marbench.report.recomputation import ALIKE, WORDS, recomputed
from marbench.report.verdict import Check, Verdict, found
from marbench.results.part_file import encode, table_of_frame
from marbench.results.parts import read_parts
from marbench.results.pictures import CASE_FILE, image_file
from marbench.results.rows import KEY_COLUMNS, PROPERTY_COLUMNS, ROW_SCHEMA
from marbench.results.store import Run, open_run
from marbench.spec import Spec

__all__ = ["verify"]

_PIXELS, _RAYS, _SLICES = 1024, 2**22, 20_000


def verify(archive: Path, progress: Progress, cases: int, out: Path | None = None) -> Verdict:
    """Say whether an archive holds what it says, without believing any of it.

    Parameters
    ----------
    archive : Path
        As `marbench.report.archive.pack` writes it.
    progress : Progress
    cases : int
        So many are simulated again, besides those of which there are pictures; methods that are at hand in the same
        version are run on them.
    out : Path, optional
        Where the run goes if nothing is wrong with it; a new folder. The evidence of its rows is ``recomputed from
        images`` where that was done, and else ``reported``. Pictures that no result went with are left out.

    Raises
    ------
    StoreError
        There is no such file, ``out`` is there already, or this machine lacks what it takes, such as room.
    MarbenchError
        There is not enough memory for a case.
    """
    if not archive.is_symlink() and not archive.exists():
        raise StoreError(f"There is no file {archive}.")
    if out is not None and (out.is_symlink() or out.exists()):
        raise StoreError(f"{out} is there already. Choose a new folder for --out.")
    if out is not None:
        writable_folder(out.parent)
    try:
        with tempfile.TemporaryDirectory(dir=out.parent if out else None, prefix=".verifying-") as place:
            return _verdict(archive, Path(place) / "run", progress, cases, out)
    except OSError as error:  # a full disk, or too many open files: what is wrong with an archive is in the verdict
        where = out.parent if out else "the folder for temporary files"
        raise StoreError(
            f"{archive} cannot be verified here: {said_by(error)}. That says nothing of the archive, which is unpacked "
            f"in {where}: for room there, --out may name another disk."
        ) from error


def _verdict(archive: Path, folder: Path, progress: Progress, cases: int, out: Path | None) -> Verdict:
    try:
        manifest = unpack(archive, folder)
        run = open_run(folder)
    except StoreError as error:
        said = str(error).replace(str(folder), "the run")
        return Verdict((Check("archive", "wrong", clean_line(said, WORDS)),))
    checks, proved = list(_looked_at(run, manifest)), set[tuple[str, str]]()
    if Verdict(tuple(checks)).good:  # else there is nothing to compare with
        checks += _compared(run, progress, cases, proved)
    verdict = Verdict(tuple(checks))
    if out is not None and verdict.good:
        _mark(run, proved)
        folder.rename(out)
    return verdict


def _mark(run: Run, proved: Container[tuple[str, str]]) -> None:
    """Write the rows of an unpacked run with what is now known of them: nothing of them ran here."""
    keys = zip(run.rows["method"], run.rows["case_id"], strict=True)
    evidence = ["recomputed from images" if key in proved else "reported" for key in keys]
    for path in (*(run.folder / "results").iterdir(), *_unscored(run)):
        path.unlink()
    # Nobody knows when they were computed: so they are older than what was. A name of its own, by which a merge tells
    # the rows of two archives apart.
    table = table_of_frame("results", run.rows.assign(evidence=evidence))
    path = run.folder / "results" / f"0-{secrets.token_hex(8)}.parquet"
    write_atomically(path, encode("results", run.spec.hash, 0, table))


def _unscored(run: Run) -> Iterator[Path]:
    """Yield the pictures of methods on cases that no result went with, as a killed run leaves them."""
    good = run.rows[run.rows["status"] == "ok"]
    scored = {f"{case_id}/{image_file(label)}" for label, case_id in zip(good["method"], good["case_id"], strict=True)}
    for path in find_files(run.folder, "images/*/*.npz").files:
        if path.name != CASE_FILE and f"{path.parent.name}/{path.name}" not in scored:
            yield path


def _looked_at(run: Run, manifest: Manifest) -> Iterator[Check]:
    """Check what can be seen without the benchmark's data."""
    yield Check("archive", "ok", f"{len(manifest.files)} files, each as listed")
    if manifest.spec_hash != run.spec.hash:
        words = f"spec.toml has the hash {run.spec.hash[:12]} here, and the rows are of {manifest.spec_hash[:12]}"
        packed = f"packed by marbench {clean_line(manifest.marbench, 20)}, protocol {manifest.protocol}"
        yield Check("benchmark", "wrong", f"{words} ({packed})")
    else:
        yield Check("benchmark", "ok", f"{clean_line(run.spec.title, 80)}, hash {run.spec.hash[:12]}")
    if run.problems or run.rows.empty:
        yield Check("rows", "wrong", (run.problems or ["there are none"])[0])
    else:
        yield Check("rows", "ok", f"{len(run.rows)} of {counted(run.rows['method'].nunique(), 'method')}")
    implausible = [*_implausible(run), *_contradictory(run)]
    yield found("plausibility", implausible, "numbers are in the range of their measures")
    yield found("contents", list(_strays(run, manifest)), "pictures, cards and timings are of what has rows")
    if left := len(list(_unscored(run))):
        yield Check("images", "not checked", f"{counted(left, 'picture')} without a result, left out")


def _implausible(run: Run) -> Iterator[str]:
    """Yield what no run brings about."""
    good, measures = run.rows["status"] == "ok", measures_of(run.spec.metrics.conventions)
    for each in measures:
        values = run.rows[each.id]
        beyond = good & ~values.between(*each.bounds)
        if "region" in each.needs:
            beyond &= values.notna()  # a slice may have no place for it
        if beyond.any():
            first = run.rows[beyond].iloc[0]
            yield f"{first['method']} on {first['case_id']}: {each.id} = {first[each.id]:g}"
        if values[~good].notna().any():
            yield f"{each.id} of rows that are not ok"
    # A page makes a table of every column of scores.
    own = {*ROW_SCHEMA.names, *(each.id for each in measures)}
    for column in sorted(set(run.rows.columns[run.rows.notna().any()]) - own):
        yield f"{clean_line(column, 60)} is no measure of the benchmark"
    for row in run.rows.drop_duplicates("method").to_dict("records"):
        if run.cards.get(row["method"], row).get("method_hash") != row["method_hash"]:
            yield f"{row['method']}: its card is of another version than its rows"


def _contradictory(run: Run) -> Iterator[str]:
    """Yield where rows of one case say different things of it."""
    for name in (*KEY_COLUMNS, *PROPERTY_COLUMNS):
        known = run.rows[run.rows["metal_area_px"].notna()] if name in PROPERTY_COLUMNS else run.rows
        told = known.groupby("case_id")[name].agg(["min", "max"])
        apart = told["max"] != told["min"]
        if told["max"].dtype.kind in "if":
            apart &= told["max"] - told["min"] > ALIKE * told["max"].abs()
        if apart.any():
            case_id = told.index[apart][0]
            yield f"{case_id}: {name} is {told['min'][case_id]} in one row, and {told['max'][case_id]} in another"


def _strays(run: Run, manifest: Manifest) -> Iterator[str]:
    """Yield what lies in an archive without a row that it belongs to: `pack` takes none, and a merge would keep it."""
    versions = run.rows[["method", "method_hash"]].drop_duplicates()
    methods, cases = set(versions["method"]), set(run.rows["case_id"])
    pictures = {CASE_FILE, *map(image_file, methods)}
    for name in manifest.files:
        kind, *rest = name.split("/")
        if kind == "images" and not (rest[0] in cases and rest[1] in pictures):
            yield f"{rest[0][:60]} has the picture {rest[1][:60]}, of a case or method without rows"
    for label in sorted(run.cards.keys() - methods):
        yield f"{clean_line(label, 60)} has a card and no rows"
    # Of all versions: the run as it is read has those of its rows alone.
    timings = read_parts(run.folder / "timing", "timing", run.spec.hash).table[["method", "method_hash"]]
    for label, version in set(timings.itertuples(index=False)) - set(versions.itertuples(index=False)):
        yield f"{clean_line(label, 60)} ({clean_line(version, 12)}) has timings and no rows"


def _compared(run: Run, progress: Progress, cases: int, proved: set[tuple[str, str]]) -> Iterator[Check]:
    """Check what needs the benchmark's cases, and add what was scored from its picture to ``proved``."""
    try:
        _refuse_large(run.spec)
        suite = open_cases(run.spec)
        keys = suite.case_keys
    except MarbenchError as error:
        # Data of patients are not everywhere.
        why = clean_line(str(error), 200)
        yield from (Check(what, "not checked", why) for what in ("coverage", "cases", "images", "methods"))
        return
    strange = next(_strange(run, suite), None)
    if strange is not None:
        yield Check("coverage", "wrong", strange)
        return
    good = run.rows[run.rows["status"] == "ok"].groupby("method", observed=True).size()
    labels = sorted(map(str, run.rows["method"].unique()))
    yield Check("coverage", "ok", ", ".join(f"{label} {good.get(label, 0)} of {len(keys)}" for label in labels))
    yield from recomputed(run, suite, cases, progress, proved)


def _refuse_large(spec: Spec) -> None:
    """Raise SpecError where a description from somebody else asks for more than any benchmark needs."""
    slices = spec.split.counts()["test"][1] or 0
    if spec.grid.rows > _PIXELS or math.prod(spec.geometry.shape) > _RAYS or slices > _SLICES:
        raise SpecError(f"a benchmark of {spec.grid.shape} pixels and {slices} slices is too large to be made unasked")


def _strange(run: Run, suite: CaseSource) -> Iterator[str]:
    """Yield the rows that are of no case of the benchmark."""
    known = {key.case_id: (place, key) for place, key in zip(suite.places, suite.case_keys, strict=True)}
    # Names of patients are made with the salt of whoever ran it: which cases are of one patient has to be the same.
    ours: dict[str, str] = {}
    theirs: dict[str, str] = {}
    for row in run.rows.to_dict("records"):
        place, key = known.get(row["case_id"], (-1, None))
        if key is None:
            yield f"{row['case_id']} is no case of the benchmark"
        elif row["case_index"] not in (-1, place) or any(
            row[name] != getattr(key, name) for name in KEY_COLUMNS if name != "patient_id"
        ):
            yield f"{row['case_id']} has the properties of another case"
        else:
            patient, name = key.patient_id, row["patient_id"]
            if ours.setdefault(name, patient) != patient or theirs.setdefault(patient, name) != name:
                yield f"{row['case_id']} is of another patient"

"""Several runs of one benchmark as one: of machines that shared the work, or of groups that each ran their method.

The pieces of the runs are taken as they are, each once (see `marbench.results.parts`), so that the rule by which a
folder is read decides in a merged one too: of a method, case and version a successful attempt before all, then one that
was run here, then the newest. Hence runs may overlap, and be merged again.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from marbench.errors import StoreError
from marbench.machine.files import find_files, safe_name, within, write_atomically
from marbench.machine.text import said_by
from marbench.machine.toml import dotted
from marbench.results.admission import admit, of_proven_cases, patients_apart
from marbench.results.descriptions import COMMANDS, NOTICES, description
from marbench.results.part_file import Kind, Piece, encode, join
from marbench.results.parts import time_after, usable_pieces
from marbench.results.pictures import CASE_FILE, encode_case, encode_image, image_file, load_case, load_image
from marbench.results.store import Run, open_run
from marbench.results.versions import leading_versions
from marbench.spec import Spec
from marbench.spec_file import refuse_other_rules, spec_toml

__all__ = ["merge_runs"]

_KINDS: tuple[Kind, ...] = ("results", "timing")


def merge_runs(folders: Sequence[Path], out: Path) -> list[str]:
    """Write the union of runs into a new folder, and return what a reader has to know of it.

    The folder appears at once, when everything is in it. Where a method was run in several versions, one counts (see
    `leading_versions`), and the rows of the others stay beside it.

    Parameters
    ----------
    folders : sequence of Path
        Results folders, oldest first.
    out : Path
        It does not exist yet, or is empty.

    Raises
    ------
    StoreError
        The runs are of several benchmarks, protocols, data or salts; ``out`` is there already, or cannot be written.
    """
    if len(folders) < 2:
        raise StoreError("Name two runs at least: marbench merge RUN RUN --out DIR.")
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise StoreError(f"{out} is there already. Merge into a new folder, and remove that one if it is not needed.")
    runs = [open_run(folder) for folder in folders]
    for run in runs:
        refuse_other_rules(run.folder, run.spec, "Run its methods again.")
    _refuse_other_benchmark(runs)
    _refuse_other_cases(runs)
    # What comes later counts: no card, machine or picture of an archive takes the place of what was run here.
    runs.sort(key=lambda run: run.proof)
    versions, unproven = _versions(runs)
    # Beside the target, so that one rename puts everything in place.
    staging = out.parent / f".{out.name}.{secrets.token_hex(4)}.merging"
    try:
        # Rows are synced to the disk, pictures not: those can be made again.
        for name, content in _files(runs, versions):
            write_atomically(within(staging, name), content, durable=not name.startswith("images/"))
        try:
            staging.rename(out)
        except OSError as error:
            raise StoreError(f"{out} cannot be written: {said_by(error)}. Nothing was merged.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    others = _other_versions(runs, versions)
    return [*others, *unproven, *(problem for run in runs for problem in run.problems)]


def _refuse_other_benchmark(runs: Sequence[Run]) -> None:
    first = runs[0]
    for run in runs[1:]:
        if run.spec.hash != first.spec.hash:
            raise StoreError(
                f"{run.folder} is of another benchmark ({run.spec.name}, hash {run.spec.hash[:12]}) than "
                f"{first.folder} ({first.spec.name}, hash {first.spec.hash[:12]}): "
                f"{_difference(first.spec, run.spec)}. marbench report shows several benchmarks beside each other."
            )


def _difference(one: Spec, other: Spec) -> str:
    if one.data != other.data:
        return (
            f"its {other.data_name} are others (digest {str(other.data)[:12]}, not {str(one.data)[:12]}), and a "
            "benchmark is what its files hold: run the methods on the same files"
        )
    there, here = (dict(dotted(spec.model_dump(mode="json", by_alias=True))) for spec in (one, other))
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    # Title and gallery are no part of the identity.
    few = [name for name in names if name.partition(".")[0] not in ("name", "title", "summary", "report")][:4]
    return "it differs in " + (", ".join(few) or "the tables that it names")


def _refuse_other_cases(runs: Sequence[Run]) -> None:
    """Raise StoreError where runs have the same case ids of other data, or of patients under other names."""
    rows = _rows(runs)
    # Within a folder the rows of the minority are left out; between folders nobody can say which data were meant.
    admitted, problems = admit(rows)
    if problems:
        numbers = rows.loc[rows.index.difference(admitted.index), "_run"].unique()
        names = ", ".join(str(runs[number].folder) for number in sorted(numbers))
        raise StoreError(f"The cases in {names} were computed on other data than in the other runs. {problems[0]}")
    # The statistics count patients: under two names one patient would be two.
    apart = patients_apart(rows)
    if len(apart):
        one, other = apart[apart["case_id"] == apart["case_id"].iloc[0]].iloc[:2].to_dict("records")
        raise StoreError(
            f"{runs[one['_run']].folder} names the patient of the case {one['case_id']} {one['patient_id']}, "
            f"{runs[other['_run']].folder} {other['patient_id']}: names are made with another salt. marbench report "
            "shows such runs beside each other; to merge them, repeat one with the MARBENCH_SALT of the other."
        )


def _files(runs: Sequence[Run], versions: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Yield the files of the merged run: name → content."""
    spec = runs[-1].spec
    yield "spec.toml", spec_toml(spec).encode()
    for kind in _KINDS:
        found = (_named(piece) for run in runs for piece in usable_pieces(run.folder / kind, kind, spec.hash))
        pieces = {piece.name: piece for piece in found if piece.table.num_rows}
        if pieces:
            ordered = sorted(pieces.values(), key=lambda piece: (piece.created, piece.name))
            created = time_after(piece.created for piece in ordered)
            yield f"{kind}/{created}-merged.parquet", encode(kind, spec.hash, created, join(ordered, kind), ordered)
    for host, facts in {host: facts for run in runs for host, facts in run.hosts.items()}.items():
        yield f"hosts/{host}.json", description(facts)
    for label, card in _cards(runs, versions).items():
        yield f"methods/{safe_name(label)}.json", description(card)
    texts = {COMMANDS: [run.commands for run in runs], NOTICES: [run.notices for run in runs]}
    for name, parts in texts.items():
        if lines := dict.fromkeys(line for part in parts for line in part):
            yield name, "\n".join([*lines, ""]).encode()
    yield from _pictures(runs, versions)


def _cards(runs: Sequence[Run], versions: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return label → card of the version that counts. A run that was killed as it began has the card of another one."""
    # Without a card the newest rows would count, whichever run they are of.
    bare = {label: {"label": label, "method_hash": version} for label, version in versions.items()}
    found = ((label, card) for run in runs for label, card in run.cards_of(versions).items())
    return bare | {label: bare.get(label, {}) | card for label, card in found}


def _named(piece: Piece) -> Piece:
    """Return a piece under a name that no other has: published and packed runs all call their rows the same."""
    if re.fullmatch(r"\d+-[0-9a-f]{8,}\.parquet", piece.name):
        return piece
    # By content: the same archive that comes in by two ways is one piece.
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, piece.table.schema) as stream:
        stream.write_table(piece.table.combine_chunks())
    digest = hashlib.sha256(sink.getvalue()).hexdigest()[:32]
    return replace(piece, name=f"{piece.created}-{digest}.parquet")


def _pictures(runs: Sequence[Run], versions: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Yield the pictures of the cases and of the versions that count, each from the last run that has it whole."""
    done: set[str] = set()
    for run in reversed(runs):
        known = set(run.rows["case_id"])
        for path in find_files(run.folder, f"images/*/{CASE_FILE}").files:
            if (case_id := path.parent.name) not in known:
                continue
            # Read and written anew, like all that comes from elsewhere: no bytes beside a picture travel along.
            names = {CASE_FILE: "", **{image_file(label): label for label in versions}}
            for name, label in names.items():
                if f"{case_id}/{name}" in done:
                    continue
                try:
                    if not label:
                        content = encode_case(load_case(path))
                    else:
                        image, version = load_image(path.parent / name)
                        if version != versions[label]:
                            continue
                        content = encode_image(image, label, version)
                except StoreError:
                    continue  # lost or damaged: the next run makes it again
                done.add(f"{case_id}/{name}")
                yield f"images/{case_id}/{name}", content


def _versions(runs: Sequence[Run]) -> tuple[dict[str, str], list[str]]:
    """Return label → hash of the version that counts, as where the runs are reported together, and what is not then."""
    rows = _rows(runs)
    proven, unproven = of_proven_cases(rows)
    # A method of which nothing is reported keeps its rows and pictures all the same: more may be run one day.
    versions = leading_versions(rows, rows["_run"]) | leading_versions(proven, proven["_run"])
    return versions, [f"In its report: {note}" for note in unproven]


def _rows(runs: Sequence[Run]) -> pd.DataFrame:
    """Return the rows of all runs, with the place of its run."""
    return pd.concat([run.rows.assign(_run=number) for number, run in enumerate(runs)], ignore_index=True)


def _other_versions(runs: Sequence[Run], versions: Mapping[str, str]) -> list[str]:
    others = defaultdict(list)
    for run in runs:
        # Of each run the version that its own card names; older ones in it were replaced there already.
        for (label, version), rows in run.rows.groupby(["method", "method_hash"], observed=True):
            if version != versions[str(label)]:
                others[str(label)].append(f"{len(rows)} rows of {run.folder.name}")
    return [
        f"{label} was run in several versions: one that went well on all cases counts before others, then the best "
        f"proven one, the most complete one, that of the last-named run. {' and '.join(parts)} do not count."
        for label, parts in others.items()
    ]

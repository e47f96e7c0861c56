"""What of a run is published: not its files, but what was read and understood of them, written anew.

So nothing hidden travels along: no file that is not a run's, no key that no page shows, no text that names a folder, no
bytes beside a picture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from marbench.errors import StoreError
from marbench.machine.files import holds, safe_name, within, write_atomically
from marbench.machine.text import clean_line
from marbench.report.benchmark import Benchmark, gather
from marbench.report.gallery_store import Note, read_case, read_method, stored_cases
from marbench.results.descriptions import COMMANDS, NOTICES, description
from marbench.results.part_file import Kind, encode, table_of_frame
from marbench.results.pictures import CASE_FILE, encode_case, encode_image, image_file
from marbench.results.store import open_run
from marbench.spec import Spec
from marbench.spec_file import spec_toml

__all__ = ["Submission", "results_file"]


@dataclass(frozen=True, eq=False)
class Submission:
    """A run that is to be published.

    Attributes
    ----------
    folder : Path
    benchmark : Benchmark
    id : str
        The benchmark's name and a hash of the content: equal results have equal ids, wherever they lie.
    """

    folder: Path
    benchmark: Benchmark
    id: str

    @classmethod
    def of(cls, folder: Path) -> Submission:
        """Read a results folder.

        Raises
        ------
        StoreError
            It holds no results, or those of several benchmarks.
        """
        benchmarks = gather([open_run(folder)])
        if len(benchmarks) != 1 or not benchmarks[0].methods:
            refused = "".join(f" {problem}" for benchmark in benchmarks for problem in benchmark.problems[:3])
            raise StoreError(
                f"{folder} holds {'no results' if len(benchmarks) < 2 else 'results of several benchmarks'}; "
                f"a published run is the results of one benchmark.{refused}"
            )
        (benchmark,) = benchmarks
        return cls(folder, benchmark, f"{benchmark.spec.name}-{_content_hash(benchmark)}")

    def is_copied(self, copy: Path) -> bool:
        """Tell whether a published folder holds the run, with all pictures that it has by now, to the last byte."""
        try:
            same = Submission.of(copy).id == self.id
            pictures = _pictures(self.benchmark, lambda _: None)
            return same and all(holds(within(copy, name), content) for name, content in pictures)
        except (StoreError, OSError):
            return False

    def write(self, target: Path, note: Note, before: Path | None = None) -> None:
        """Write the run into a new folder. ``note`` is told of pictures that cannot be used.

        Where ``before`` is an older copy, pictures that are whole there alone are kept.

        Raises
        ------
        StoreError
            The folder cannot be written, or does not read back as what was written.
        """
        benchmark = self.benchmark
        files = _texts(benchmark)
        for kind, name, rows in _frames(benchmark):
            if len(rows):
                files[name] = _part(kind, benchmark.spec_hash, rows)
        for name, content in files.items():
            write_atomically(within(target, name), content)
        # What is named last is looked into first.
        folders = benchmark.folders if before is None else (before, *benchmark.folders)
        for name, content in _pictures(replace(benchmark, folders=folders), note):
            write_atomically(within(target, name), content, durable=False)
        if Submission.of(target).id != self.id:
            raise StoreError(f"{target} was not written as it should be.")


def _texts(benchmark: Benchmark) -> dict[str, bytes]:
    """Return what describes the rows: name → content of a file."""
    files = {"spec.toml": spec_toml(_public(benchmark.spec)).encode()}
    if benchmark.commands:
        files[COMMANDS] = "".join(f"{command}\n" for command in benchmark.commands).encode()
    if benchmark.notices:
        files[NOTICES] = "".join(f"{notice}\n" for notice in benchmark.notices).encode()
    for host, facts in benchmark.hosts.items():
        files[f"hosts/{host}.json"] = description(facts)
    for method, card in benchmark.cards.items():
        if method in benchmark.methods:
            files[f"methods/{safe_name(method)}.json"] = description(card)
    return files


def _frames(benchmark: Benchmark) -> list[tuple[Kind, str, pd.DataFrame]]:
    return [
        ("results", "results/rows.parquet", benchmark.rows),
        ("timing", "timing/calls.parquet", benchmark.timings),
    ]


def _content_hash(benchmark: Benchmark) -> str:
    digest = hashlib.sha256()
    for kind, name, read in _frames(benchmark):
        # Whole numbers as such, though a row that is superseded by now had none, and had made them floating.
        rows = table_of_frame(kind, read).to_pandas() if len(read) else read
        # As text: the bytes of a Parquet file depend on who writes it.
        text = rows[sorted(rows.columns)].to_csv(index=False, lineterminator="\n")
        digest.update(f"{name}\0{text}\0".encode())
    for name, content in _texts(benchmark).items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def results_file(benchmark: Benchmark) -> bytes:
    """Return the rows of a benchmark as one Parquet file, as `read_run` reads it in a results folder."""
    return _part("results", benchmark.spec_hash, benchmark.rows)


def _part(kind: Kind, spec_hash: str, rows: pd.DataFrame) -> bytes:
    return encode(kind, spec_hash, 0, table_of_frame(kind, rows))


def _pictures(benchmark: Benchmark, note: Note) -> Iterator[tuple[str, bytes]]:
    """Yield the pictures of the versions that are shown: name → content of a file."""
    versions = benchmark.rows.drop_duplicates("method").set_index("method")["method_hash"].astype(str)
    for case_id, folders in stored_cases(benchmark, note).items():
        case = read_case(folders, note)
        if case is None:
            continue
        yield f"images/{case_id}/{CASE_FILE}", encode_case(case)
        for method, version in versions.items():
            image = read_method(folders, str(method), version, case.truth.shape, note)
            if image is not None:
                yield f"images/{case_id}/{image_file(str(method))}", encode_image(image, str(method), version)


def _public(spec: Spec) -> Spec:
    # Neither is part of the benchmark's identity.
    return spec.model_copy(update={"title": clean_line(spec.title), "summary": clean_line(spec.summary)})

"""A published site: runs with permalinks, a leaderboard per benchmark, and its history. Plain files for any host.

::

    index.html                 the benchmarks and the newest runs
    index.json                 the same for machines; what the next publication builds upon
    feed.xml                   the runs as an Atom feed
    assets/
    benchmarks/<slug>/         the pages of a benchmark: of every method the best proven valid entry
    runs/<id>/                 what was published of a results folder, and a page that says what it says

Pages and pictures are those of the benchmark: a run has data, and `marbench report runs/<id>` makes all pages of it.

A publication is prepared in ``.staging`` and then put in place, ``index.json`` last: what that does not name is no part
of the site, and the next publication removes it. One process publishes at a time.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from marbench.errors import StoreError
from marbench.machine.files import find_files, read_file, within, write_atomically
from marbench.machine.locks import locked
from marbench.machine.text import said_by
from marbench.metrics.measure import Measure, stored_measures
from marbench.report.benchmark import gather
from marbench.report.example import SHARE_FILE
from marbench.report.feed import atom
from marbench.report.findings import Findings
from marbench.report.formats import finite_json
from marbench.report.gallery_store import Note
from marbench.report.history import history_charts
from marbench.report.page import Output, Page, Place
from marbench.report.pages import render_benchmark, write_assets
from marbench.report.site_state import RUN_ID, SLUG, Board, PublishedEntry, Record, State, read_state
from marbench.report.submission import Submission
from marbench.report.tables import expected_cases
from marbench.report.templates import render_template
from marbench.results.store import Run, open_run

__all__ = ["publish"]

_STAGING, _JOURNAL, _LOCK = ".staging", "journal.json", ".lock"


def publish(
    runs: Sequence[str | Path],
    site: str | Path,
    published: str | None = None,
    url: str = "",
    note: Note = lambda _: None,
) -> Path:
    """Add runs to a site, and return the path of its ``index.html``. What was published before stays.

    A run that the site has already, by its content, is not added again. Where of its data, its pictures or its page
    anything was damaged or removed, or pictures came later, that is mended: its date stays, and so do pictures that the
    site alone has. Where anything fails, nothing is added.

    Parameters
    ----------
    runs : sequence of paths
        Results folders, oldest first.
    site : path
        The site's folder; made where it is missing.
    published : str, optional
        Date of publication, ISO 8601. Default: now.
    url : str
        Where the site will be; the feed needs it for absolute links.
    note : callable
        Is told what was left out, and why.

    Raises
    ------
    StoreError
        A folder holds no results, the site cannot be read or written.
    """
    site = Path(site)
    read_state(site)  # what is no site, or no run, is refused before anything is touched
    submissions = [Submission.of(Path(folder)) for folder in runs]
    date = published or datetime.now(UTC).isoformat(timespec="seconds")
    staging = within(site, f"{_STAGING}/{_JOURNAL}").parent
    try:
        site.mkdir(parents=True, exist_ok=True)
        with locked(site / _LOCK):
            publication = _Publication(site, staging, note)
            try:
                publication.prepare(submissions, date, url)
                publication.put_in_place()
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise StoreError(f"{site} cannot be written: {said_by(error)}. Nothing was published.") from error
    return site / "index.html"


class _Publication:
    """One publication: everything is prepared beside the site, and put in place together."""

    def __init__(self, site: Path, staging: Path, note: Note) -> None:
        self.site, self.staging, self.note = site, staging, note
        self.state = read_state(site)
        self.touched = dict.fromkeys(_clear(site, staging, self.state))

    def prepare(self, submissions: Sequence[Submission], date: str, url: str) -> None:
        """Write everything that is new into the staging folder."""
        for submission in submissions:
            for problem in submission.benchmark.problems:
                self.note(problem)
            self.touched[self._add(submission, date)] = None
        self.state.url = url or self.state.url
        for slug in self.touched:
            self._write_benchmark(slug)
        output = Output(self.staging)
        output.write(_JOURNAL, json.dumps(list(self.touched)))
        write_assets(output)
        newest = list(reversed(self.state.runs))
        boards = sorted(self.state.benchmarks.values(), key=lambda board: board.slug)
        measures = {board.slug: _leading(board) for board in boards}
        titles = {board.slug: board.title for board in boards}
        page = render_template("site.html", benchmarks=boards, titles=titles, measures=measures, runs=newest, root="")
        output.write("index.html", page)
        output.write("feed.xml", atom(newest, self.state.url))
        output.write("index.json", self.state.text())

    def put_in_place(self) -> None:
        """Move what was prepared to where it belongs; undo that where a move fails."""
        undo: list[Callable[[], object]] = []
        try:
            for parent in ("runs", "benchmarks"):
                for path in sorted((self.staging / parent).glob("*")):
                    _move(path, within(self.site, f"{parent}/{path.name}"), self.staging / "old" / parent, undo)
            assets = sorted(path.name for path in (self.staging / "assets").iterdir())
            for name in (*(f"assets/{asset}" for asset in assets), "index.html", "feed.xml", "index.json"):
                _move(self.staging / name, within(self.site, name), self.staging / "old", undo)
        except BaseException:
            for step in reversed(undo):
                step()
            raise

    def _add(self, submission: Submission, date: str) -> str:
        """Write a run and its page, record it, and return its benchmark. What is there and whole stays as it is."""
        known = next((record for record in self.state.runs if record.id == submission.id), None)
        before = self._folder(submission.id)
        if known is not None and (before / "index.html").is_file() and submission.is_copied(before):
            return known.benchmark
        target = self.staging / "runs" / submission.id
        submission.write(target, self.note, before)
        (copied,) = gather([open_run(target)])
        findings = Findings(copied)
        record = known or Record(
            id=submission.id,
            benchmark=copied.slug,
            published=date,
            path=f"runs/{submission.id}/index.html",
            cases=copied.cases,
            entries=_entries(findings),
        )
        shown = findings.board.measures if findings.board else ()
        facts = {"record": record, "benchmark": copied, "measures": shown, "expected": expected_cases(copied)}
        page = render_template("run.html", **facts, root="../../")
        write_atomically(target / "index.html", page.encode(errors="replace"))
        if known is None:
            self.state.runs.append(record)
        return record.benchmark

    def _folder(self, run: str) -> Path:
        """Return where a run lies: one that is published now beside the site still."""
        new = self.staging / "runs" / run
        return new if new.is_dir() else within(self.site, f"runs/{run}/report").parent

    def _runs(self, slug: str) -> tuple[list[Record], list[Run]]:
        """Return the published runs of a benchmark, as recorded and as they lie there."""
        records, runs = [record for record in self.state.runs if record.benchmark == slug], []
        for record in records:
            try:
                runs.append(open_run(self._folder(record.id)))
            except StoreError as error:
                self.note(f"The run {record.id} is left out of its leaderboard: {error}")
        return records, runs

    def _write_benchmark(self, slug: str) -> None:
        """Render a benchmark anew from all of its runs, and record its leaders and which entries count."""
        records, runs = self._runs(slug)
        benchmark = next((found for found in gather(runs) if found.slug == slug), None)
        if benchmark is None:
            self.note(f"The leaderboard {slug} stays as it was: none of its runs can be read.")
            return
        _mark_current(records, benchmark.versions)

        def history(findings: Findings, _output: Output) -> Mapping[str, Any]:
            measure = findings.board.measures[0] if findings.board else None
            charts = history_charts(records, measure, benchmark.cases) if measure else {}
            return {"records": list(reversed(records)), "measure": measure, "charts": charts}

        output = Output(self.staging / "benchmarks" / slug)
        findings = Findings(benchmark, output.note, _dates(records))
        base = f"{self.state.url.rstrip('/')}/benchmarks/{slug}/" if self.state.url else ""
        place = Place(root="../../", home="../../index.html", address=base)
        render_benchmark(findings, output, place, more=(Page("entries", "History", history),))
        output.close()
        self.state.benchmarks[slug] = Board(
            slug=slug,
            name=benchmark.spec.name,
            title=benchmark.spec.title,
            summary=benchmark.spec.summary,
            spec_hash=benchmark.spec_hash,
            protocol=benchmark.protocol,
            conventions=list(benchmark.conventions),
            cases=benchmark.cases,
            expected=expected_cases(benchmark),
            path=f"benchmarks/{slug}/index.html",
            picture=f"benchmarks/{slug}/{SHARE_FILE}" if SHARE_FILE in output.files else "",
            entries=_entries(findings),
        )


def _entries(findings: Findings) -> list[PublishedEntry]:
    """Return what a run says of each method, the best one first."""
    benchmark, boards = findings.benchmark, findings.boards
    entries = []
    for method in benchmark.methods:
        cover = boards[0].coverage[method] if boards else None
        scores = {
            measure.id: board.scores[method, measure.id][0].value for board in boards for measure in board.measures
        }
        entries.append(
            PublishedEntry(
                method=method,
                title=findings.entries[method].title,
                method_hash=benchmark.versions[method],
                rank=boards[0].rank(method) if boards else None,
                good=cover.good if cover else 0,
                total=cover.total if cover else 0,
                scores=finite_json(scores),
                evidence=findings.entries[method].evidence,
            )
        )
    return sorted(entries, key=lambda entry: entry.rank or len(entries) + 1)


def _leading(board: Board) -> tuple[Measure, ...]:
    """Return the measures of a recorded benchmark's first convention, and those that need none."""
    columns = (column for entry in board.entries for column in entry.scores)
    first = tuple(board.conventions[:1])
    return tuple(each for each in stored_measures(columns, first) if each.convention in (*first, ""))


def _mark_current(records: Iterable[Record], shown: Mapping[str, str]) -> None:
    """Mark the entries that a leaderboard shows: of each version the most complete one, the best proved of those.

    Of equals the last published.
    """
    found = [(record.id, entry) for record in records for entry in record.entries]
    own = [(run, entry) for run, entry in found if shown.get(entry.method) == entry.method_hash]
    holders = {(entry.method, entry.method_hash): run for run, entry in sorted(own, key=_standing)}
    for record in records:
        for entry in record.entries:
            entry.current = holders.get((entry.method, entry.method_hash)) == record.id


def _standing(found: tuple[str, PublishedEntry]) -> tuple[int, bool, bool]:
    entry = found[1]
    return entry.good, not entry.evidence, "reported" not in entry.evidence


def _dates(records: Iterable[Record]) -> dict[str, str]:
    """Return when the entries that a leaderboard shows were published: method → day."""
    return {entry.method: record.published[:10] for record in records for entry in record.entries if entry.current}


def _clear(site: Path, staging: Path, state: State) -> list[str]:
    """Remove what a publication left that was cut short, and return the benchmarks whose pages it may have changed."""
    try:
        journal = json.loads(read_file(staging / _JOURNAL))
    except (OSError, ValueError, RecursionError):
        journal = []
    slugs = [slug for slug in journal if isinstance(slug, str) and re.match(SLUG, slug)]
    shutil.rmtree(staging, ignore_errors=True)
    published = {record.id for record in state.runs}
    for path in _own_folders(site, "runs", RUN_ID):
        if path.name not in published:
            shutil.rmtree(path, ignore_errors=True)
    for path in _own_folders(site, "benchmarks", SLUG):
        if path.name in slugs and path.name not in state.benchmarks:
            shutil.rmtree(path, ignore_errors=True)
    return [slug for slug in slugs if slug in state.benchmarks]


def _own_folders(site: Path, parent: str, pattern: str) -> list[Path]:
    """Return the folders of a site with such names, which hold pages or runs; links are none."""
    marker = {"runs": "spec.toml", "benchmarks": "index.html"}[parent]
    found = (path.parent for path in find_files(site, f"{parent}/*/{marker}").files)
    return [path for path in found if re.match(pattern, path.name)]


def _move(source: Path, target: Path, old: Path, undo: list[Callable[[], object]]) -> None:
    """Put a file or folder in the place of another, which goes to ``old``; add to the list how to undo that."""
    target.parent.mkdir(parents=True, exist_ok=True)
    old.mkdir(parents=True, exist_ok=True)
    before = old / source.name
    if source.is_dir() and (target.exists() or target.is_symlink()):
        target.rename(before)
        undo.append(lambda: before.rename(target))
    elif target.is_file() and not target.is_symlink():
        shutil.copyfile(target, before)  # a file is never away, not even for a moment
        undo.append(lambda: before.replace(target))
    source.replace(target)
    undo.append(lambda: shutil.rmtree(target) if target.is_dir() else target.unlink())

"""Rendering: runs in, a folder of linked pages out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from marbench.errors import StoreError
from marbench.machine.files import within
from marbench.report import explorer, gallery, leaderboard, methods, provenance, statistics, timing
from marbench.report.benchmark import gather
from marbench.report.findings import Findings
from marbench.report.page import Output, Page, Place
from marbench.report.tables import expected_cases
from marbench.report.templates import asset_files, render_template
from marbench.results.store import open_run

__all__ = ["PAGES", "render", "render_benchmark", "write_assets"]

PAGES: tuple[Page, ...] = (
    leaderboard.PAGE,
    statistics.PAGE,
    timing.PAGE,
    explorer.PAGE,
    gallery.PAGE,
    methods.PAGE,
    provenance.PAGE,
)
"""The pages of a report, in the order of its navigation."""

_ALONE = Place()


def render(
    run_folder: str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Path:
    """Write the pages of one run, or of several, and return the path of their ``index.html``.

    Runs of one benchmark share their tables, and of a method the best proven valid entry counts, of equals the newest.
    Every further benchmark gets a folder of its own, and ``index.html`` lists them. The same runs give the same bytes.

    Parameters
    ----------
    run_folder : path or sequence of paths
        Results folders, oldest first.
    out : path, optional
        Where the pages go. Default: ``report`` in the run, which several runs do not have.
    note : callable
        Is told what was left out, and why; the pages tell it too.

    Raises
    ------
    StoreError
        A folder holds no run, or the pages cannot be written.
    """
    folders = [Path(run_folder)] if isinstance(run_folder, str | Path) else [Path(folder) for folder in run_folder]
    if not folders:
        raise StoreError("No run to report on. Name at least one results folder.")
    if out is None and len(folders) > 1:
        raise StoreError(f"Where should the pages of {len(folders)} runs go? Name a folder with --out.")
    benchmarks = gather([open_run(folder) for folder in folders])
    output = Output(within(folders[0], "report/index.html").parent if out is None else Path(out))
    write_assets(output)
    if len(benchmarks) == 1:
        render_benchmark(Findings(benchmarks[0], output.note), output)
    else:
        for benchmark in benchmarks:
            part = Output(within(output.folder, f"{benchmark.slug}/index.html").parent)
            render_benchmark(Findings(benchmark, part.note), part, Place("../", "../index.html"))
            part.close()
            output.notices += part.notices
        output.write("index.html", render_template("benchmarks.html", benchmarks=benchmarks, root=""))
    output.close()
    for text in dict.fromkeys(text for each in benchmarks for text in each.problems):
        note(text)
    for text in output.notices:
        note(text)
    return output.folder / "index.html"


def render_benchmark(findings: Findings, output: Output, place: Place = _ALONE, more: Sequence[Page] = ()) -> None:
    """Write the pages of one benchmark.

    Parameters
    ----------
    findings : Findings
        What the pages share, such as the standings, is computed once and kept in it.
    output : Output
    place : Place
    more : sequence of Page
        Pages beyond `PAGES`.
    """
    contents = {page: page.build(findings, output) for page in (*PAGES, *more)}
    benchmark = replace(findings.benchmark, problems=(*findings.benchmark.problems, *output.notices))
    shown = [page for page, content in contents.items() if content is not None]
    frame = {"pages": shown, "benchmark": benchmark, "expected": expected_cases(benchmark)}
    for page in shown:
        context = {"page": page, **frame, "place": place, "root": place.root, **(contents[page] or {})}
        output.write(page.file, render_template(page.file, **context))


def write_assets(output: Output) -> None:
    """Copy the style sheet and the scripts."""
    for path in asset_files():
        output.write(f"assets/{path.name}", path.read_bytes())

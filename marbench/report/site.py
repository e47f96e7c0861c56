"""A published site: runs with permalinks, a leaderboard per benchmark, and its history. Plain files for any host.

::

    index.html                 the benchmarks and the newest runs
    index.json                 the same for machines; what the next publication builds upon
    feed.json                  the runs as a JSON Feed (version 1.1)
    assets/
    benchmarks/<slug>/         the pages of a benchmark: of every method the newest valid entry
    runs/<id>/                 a copy of a results folder, with its own pages in report/
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from marbench.errors import StoreError
from marbench.metrics.measure import Measure, stored_measures
from marbench.report.benchmark import gather
from marbench.report.findings import Findings
from marbench.report.formats import finite_json
from marbench.report.page import Output, Page
from marbench.report.pages import render_benchmark, write_assets
from marbench.report.templates import render_template
from marbench.results.store import read_run

__all__ = ["publish"]

_STATE = 1
# What a run is; other files in a results folder stay where they are.
_DATA = ("spec.toml", "commands.txt", "results/*.parquet", "timing/*.parquet", "hosts/*.json", "methods/*.json")
_PICTURES = ("images/*/*.npz",)


def publish(runs: Sequence[str | Path], site: str | Path, published: str | None = None, url: str = "") -> Path:
    """Add runs to a site, and return the path of its ``index.html``. What was published before stays.

    A run that the site has already, by its content, is not added again.

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

    Raises
    ------
    StoreError
        A folder holds no results, the site cannot be read or written.
    """
    site = Path(site)
    state = _read_state(site / "index.json")
    date = published or datetime.now(UTC).isoformat(timespec="seconds")
    touched: dict[str, None] = {}
    for folder in map(Path, runs):
        record = _add(folder, site, state, date)
        touched[record["benchmark"]] = None
    output = Output(site)
    write_assets(output)
    for slug in touched:
        _write_benchmark(site, state, slug)
    state["url"] = url or state["url"]
    newest = list(reversed(state["runs"]))
    boards = sorted(state["benchmarks"].values(), key=lambda board: board["slug"])
    measures = {board["slug"]: _leading(board) for board in boards}
    output.write("index.html", render_template("site.html", benchmarks=boards, measures=measures, runs=newest, root=""))
    output.write("feed.json", _json(_feed(newest, state["url"])))
    output.write("index.json", _json(state))
    return site / "index.html"


def _add(folder: Path, site: Path, state: dict[str, Any], date: str) -> dict[str, Any]:
    """Copy a run into the site, render its pages and record it."""
    benchmarks = gather([read_run(folder)])
    if len(benchmarks) != 1 or not benchmarks[0].methods:
        raise StoreError(
            f"{folder} holds {'no results' if len(benchmarks) < 2 else 'results of several benchmarks'}; "
            "a published run is the results of one benchmark."
        )
    run_id = f"{benchmarks[0].spec.name}-{_content_hash(folder)}"
    for record in state["runs"]:
        if record["id"] == run_id:
            return dict(record)
    target = site / "runs" / run_id
    _copy(folder, target)
    copied = gather([read_run(target)])[0]
    pages = Output(target / "report")
    write_assets(pages)
    findings = Findings(copied)
    render_benchmark(findings, pages, home="../../../index.html")
    pages.close()
    added: dict[str, Any] = {
        "id": run_id,
        "benchmark": copied.slug,
        "published": date,
        "path": f"runs/{run_id}/report/index.html",
        "cases": copied.cases,
        "entries": _entries(findings),
    }
    state["runs"].append(added)
    return added


def _entries(findings: Findings) -> list[dict[str, Any]]:
    """Return what a run says of each method; scores by column."""
    benchmark, boards = findings.benchmark, findings.boards
    entries = []
    for method in benchmark.methods:
        cover = boards[0].coverage[method] if boards else None
        scores = {
            measure.id: board.scores[method, measure.id][0].value for board in boards for measure in board.measures
        }
        entries.append(
            {
                "method": method,
                "method_hash": benchmark.versions[method],
                "rank": boards[0].rank(method) if boards else None,
                "good": cover.good if cover else 0,
                "total": cover.total if cover else 0,
                "scores": finite_json(scores),
            }
        )
    return sorted(entries, key=lambda entry: entry["rank"] or len(entries) + 1)


def _write_benchmark(site: Path, state: dict[str, Any], slug: str) -> None:
    """Render a benchmark anew from all of its runs, and record its leaders and which entries count."""
    records = [record for record in state["runs"] if record["benchmark"] == slug]
    benchmark = next(
        found for found in gather([read_run(site / "runs" / record["id"]) for record in records]) if found.slug == slug
    )
    shown = benchmark.versions
    current = {
        (entry["method"], entry["method_hash"]): record["id"]
        for record in records
        for entry in record["entries"]
        if shown[entry["method"]] == entry["method_hash"]
    }
    for record in records:
        for entry in record["entries"]:
            entry["current"] = current.get((entry["method"], entry["method_hash"])) == record["id"]
    findings = Findings(benchmark)

    def history(findings: Findings, _output: Output) -> Mapping[str, Any]:
        return {"records": list(reversed(records)), "measure": findings.board.measures[0] if findings.board else None}

    output = Output(site / "benchmarks" / slug)
    render_benchmark(
        findings, output, root="../../", home="../../index.html", more=(Page("entries", "Entries", history),)
    )
    output.close()
    state["benchmarks"][slug] = {
        "slug": slug,
        "name": benchmark.spec.name,
        "title": benchmark.spec.title,
        "summary": benchmark.spec.summary,
        "spec_hash": benchmark.spec_hash,
        "protocol": benchmark.protocol,
        "conventions": list(benchmark.conventions),
        "cases": benchmark.cases,
        "path": f"benchmarks/{slug}/index.html",
        "entries": _entries(findings),
    }


def _leading(board: Mapping[str, Any]) -> tuple[Measure, ...]:
    """Return the measures of a recorded benchmark's first convention, and those that need none."""
    columns = (column for entry in board["entries"] for column in entry["scores"])
    first = tuple(board["conventions"][:1])
    return tuple(each for each in stored_measures(columns, first) if each.convention in (*first, ""))


def _copy(folder: Path, target: Path) -> None:
    """Copy a results folder so that it is there as a whole or not at all. Links are not followed."""
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        for path in _files(folder, (*_DATA, *_PICTURES)):
            copy = temporary / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        shutil.rmtree(target, ignore_errors=True)  # of a publication that was cut short
        temporary.replace(target)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise StoreError(f"{folder} cannot be copied to {target}: {error.strerror or error}") from error


def _content_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in _files(folder, _DATA):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _files(folder: Path, patterns: Iterable[str]) -> list[Path]:
    found = (path for pattern in patterns for path in folder.glob(pattern))
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def _read_state(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {"marbench_site": _STATE, "url": "", "benchmarks": {}, "runs": []}
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        if state["marbench_site"] != _STATE:
            raise ValueError(f"version {state['marbench_site']} of the site, expected {_STATE}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is no index of a marbench site ({error}). Choose another --site.") from None
    return dict(state)


def _feed(runs: Sequence[Mapping[str, Any]], url: str) -> dict[str, Any]:
    base = f"{url.rstrip('/')}/" if url else ""
    items = []
    for record in runs:
        ranked = [entry for entry in record["entries"] if entry["rank"] is not None]
        best = f" First: {ranked[0]['method']}." if ranked else ""
        items.append(
            {
                "id": record["id"],
                "url": f"{base}{record['path']}",
                "title": f"{record['benchmark']}: {', '.join(entry['method'] for entry in record['entries'])}",
                "content_text": f"{len(record['entries'])} methods on {record['cases']} cases.{best}",
                "date_published": record["published"],
            }
        )
    feed: dict[str, Any] = {"version": "https://jsonfeed.org/version/1.1", "title": "marbench", "items": items}
    if base:
        feed |= {"home_page_url": f"{base}index.html", "feed_url": f"{base}feed.json"}
    return feed


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

"""What went wrong with a method, and why it is not ranked."""

from __future__ import annotations

from dataclasses import dataclass

from marbench.report.benchmark import Benchmark
from marbench.report.ranking import Ranking

__all__ = ["Failure", "failures", "reasons", "said"]

_MESSAGE, _TRACE, _REASON = 600, 6000, 160


@dataclass(frozen=True)
class Failure:
    """One way in which a method failed, on one case or on many."""

    status: str
    message: str
    trace: str
    count: int
    case_id: str


def failures(benchmark: Benchmark) -> dict[str, list[Failure]]:
    """Return the failures of every method, the most frequent first; long texts are cut."""
    rows = benchmark.rows[benchmark.rows["status"] != "ok"]
    texts = rows[["status", "error_kind", "message"]].fillna("").astype(str)
    traces = rows["trace"].fillna("").astype(str) if "trace" in rows else texts["status"].str.slice(0, 0)
    frame = texts.assign(method=rows["method"], case_id=rows["case_id"], trace=traces)
    grouped = frame.groupby(["method", "status", "error_kind", "message"], sort=True)
    found: dict[str, list[Failure]] = {}
    for key, part in grouped:
        method, status, kind, message = map(str, key)
        first = part.iloc[0]
        trace, case_id = _cut(str(first["trace"]), _TRACE), str(first["case_id"])
        text = _cut(said(kind, message), _MESSAGE)
        found.setdefault(method, []).append(Failure(status, text, trace, len(part), case_id))
    return {method: sorted(kinds, key=lambda failure: -failure.count) for method, kinds in found.items()}


def said(kind: str, message: str) -> str:
    """Return a message after the kind of error, which some messages repeat.

    >>> said("ValueError", "ValueError: no"), said("", "no"), said("OSError", "")
    ('ValueError: no', 'no', 'OSError')
    """
    return ": ".join(filter(None, (kind, message.removeprefix(f"{kind}: "))))


def reasons(benchmark: Benchmark, ranking: Ranking) -> dict[str, str]:
    """Return why each unranked method is not ranked, in a line: what became of its cases, and the commonest message."""
    found = failures(benchmark)
    told = {}
    for method in ranking.unranked:
        counts = ", ".join(f"{number} {status}" for status, number in ranking.coverage[method].failures)
        messages = [" ".join(failure.message.split()) for failure in found.get(method, []) if failure.message]
        told[method] = ": ".join(filter(None, (counts or "no case", _cut(messages[0], _REASON) if messages else "")))
    return told


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text) - limit:,} more characters)"

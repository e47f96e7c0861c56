"""The methods page: what every method is and does, what came of it since when, and what went wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marbench.report.entries import Entry
from marbench.report.failures import failures
from marbench.report.findings import Findings
from marbench.report.formats import MISSING
from marbench.report.page import Output, Page
from marbench.report.pictures import method_images, named_pictures, write_panels
from marbench.report.training import training_facts
from marbench.report.years import year_charts

__all__ = ["PAGE", "by_domain", "facts", "settings"]

_FACTS = {
    "authors": "Authors",
    "year": "Year",
    "domain": "Domain",
    "licence": "Licence",
    "patents": "Patents",
    "requires": "Needs",
    "notes": "Notes",
}
_TEXTS = ("summary", "explanation", "equation", "cite", "bibtex")
_SHOWN = 5


def facts(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a card says, as lines of text. Cards come from anywhere: their form is not taken for granted."""
    weights = card.get("weights")
    items = weights if isinstance(weights, list) else [weights]
    # The weights that were used say more than those that the method declares.
    used = training_facts(card) or [("Weights", _text(item)) for item in items]
    lines = [*((title, _text(card.get(key))) for key, title in _FACTS.items()), *used]
    return [(title, text) for title, text in lines if text]


def settings(card: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the settings of a method: name, value that was used, default, meaning."""
    parameters, values = card.get("parameters"), card.get("values")
    used = values if isinstance(values, Mapping) else {}
    rows = []
    for name, parameter in sorted(parameters.items()) if isinstance(parameters, Mapping) else []:
        about = parameter if isinstance(parameter, Mapping) else {"default": parameter}
        choices = _text(about.get("choices"))
        rows.append(
            {
                "name": str(name),
                "value": _text(used.get(name)) or MISSING,
                "default": _text(about.get("default")) or MISSING,
                "meaning": " ".join(filter(None, (_text(about.get("help")), f"({choices})" if choices else ""))),
            }
        )
    return rows


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_text(item)}" for key, item in value.items() if _text(item))
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return str(value)


def by_domain(entries: Mapping[str, Entry]) -> dict[str, list[str]]:
    """Return the methods of every domain, in the order of their years; those without one come first."""
    ordered = sorted(entries.values(), key=lambda entry: entry.year or 0)
    return {
        domain: [entry.label for entry in ordered if entry.domain == domain]
        for domain in sorted({entry.domain for entry in ordered})
    }


def _pictures(findings: Findings, output: Output) -> tuple[str, tuple[int, ...], dict[str, str]]:
    """Write the images of the gallery's middle case; return its id, its size, and method → file."""
    if not findings.shown:
        return "", (), {}
    case_id, chosen = list(findings.shown.items())[len(findings.shown) // 2]
    stored = chosen.stored
    corrected = method_images(findings, case_id, stored.truth.shape, findings.corrections(findings.methods))
    images = named_pictures(stored, corrected)
    del images["truth"]
    (_, raw), *panels = write_panels(case_id, stored, images, {}, output)
    files = {method: file for method, (_, file) in zip(corrected, panels, strict=True)}
    return case_id, stored.truth.shape, files | dict.fromkeys(findings.benchmark.uncorrected, raw)


def _build(findings: Findings, output: Output) -> Mapping[str, Any]:
    benchmark, methods = findings.benchmark, findings.entries
    rows = benchmark.rows.drop_duplicates("method")
    case_id, size, pictures = _pictures(findings, output)
    versions = rows[["method", "method_hash", "preset"]].fillna("").astype(str).itertuples(index=False)
    return {
        "entries": methods,
        "domains": by_domain(methods),
        "versions": {method: (method_hash, preset) for method, method_hash, preset in versions},
        "texts": {method: {key: _text(entry.card.get(key)) for key in _TEXTS} for method, entry in methods.items()},
        "facts": {method: facts(entry.card) for method, entry in methods.items()},
        "settings": {method: settings(entry.card) for method, entry in methods.items()},
        "failures": failures(benchmark),
        "shown": _SHOWN,
        "charts": year_charts(findings, findings.board),
        "year": lambda at: f"{at:.0f}",
        "board": findings.board,
        "case_id": case_id,
        "size": size,
        "pictures": pictures,
    }


PAGE = Page("methods", "Methods", _build)

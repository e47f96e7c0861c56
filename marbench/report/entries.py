"""What a table says of a method beside its scores: title, kind, cost."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from marbench.machine.files import safe_name
from marbench.report.benchmark import DEVICE, Benchmark, case_seconds
from marbench.report.training import is_learned

__all__ = ["Entry", "entries", "reference_device"]

# What may become a link: a card comes from anywhere.
_ADDRESS = re.compile(r"https?://[^\s\"<>]+")
_FORGE = re.compile(r"//(www\.)?(github|gitlab|codeberg|bitbucket|sr)\.")
# Those that one meets; of other words nobody knows whether SPDX has a page.
_LICENCES = frozenset(
    (
        *("Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MPL-2.0", "CC0-1.0", "CC-BY-4.0"),
        *(f"{name}-{end}" for name in ("GPL-2.0", "GPL-3.0", "LGPL-3.0", "AGPL-3.0") for end in ("only", "or-later")),
    )
)


@dataclass(frozen=True)
class Entry:
    """One method of a benchmark.

    Attributes
    ----------
    label : str
        As in the results, e.g. ``nmar[prior=raw]``.
    title : str
        As on the card, with the parameters that differ from their defaults; the label behind it where two are alike.
    domain : str
    year : int or None
    learned : bool
        See `is_learned`.
    baseline : bool
        Whether its card calls it a baseline, or the uncorrected image: tables highlight these.
    seconds : float or None
        Median of the cases on the reference device.
    parameters : int or None
    card : mapping
        As stored; it may lack any key.
    evidence : str
        How its scores came about, see `marbench.results.rows.Evidence`; empty where the method itself ran.
    """

    label: str
    title: str
    domain: str
    year: int | None
    learned: bool
    baseline: bool
    seconds: float | None
    parameters: int | None
    card: Mapping[str, Any]
    evidence: str = ""

    @property
    def family(self) -> str:
        """The label without its parameters: variants of one method share it."""
        return self.label.partition("[")[0]

    @property
    def anchor(self) -> str:
        """The fragment of the method's card: the same whatever other methods there are."""
        return f"method-{safe_name(self.label)}"

    @property
    def links(self) -> dict[str, str]:
        """Name → address: of the paper, the first in what the card cites, of the code or a page, of the licence."""
        url, licence = str(self.card.get("url") or ""), self.card.get("licence")
        texts = {"paper": str(self.card.get("cite") or ""), "code" if _FORGE.search(url) else "web": url}
        texts["licence"] = f"https://spdx.org/licenses/{licence}.html" if licence in _LICENCES else ""
        found = {name: _ADDRESS.search(text) for name, text in texts.items()}
        return {name: match[0].rstrip(".,;)") for name, match in found.items() if match}

    @property
    def kind(self) -> str:
        """``learned`` or ``classical``."""
        return "learned" if self.learned else "classical"


def reference_device(benchmark: Benchmark) -> tuple[str, str, int] | None:
    """Return (device name, device, threads) of the machine on which most methods were timed; None without timings."""
    if benchmark.timings.empty:
        return None
    timed = benchmark.timings.groupby(DEVICE)["method"].nunique().sort_index()
    key: Any = timed.idxmax()
    return str(key[0]), str(key[1]), int(key[2])


def entries(benchmark: Benchmark) -> dict[str, Entry]:
    """Return all methods by label, in natural order."""
    seconds = _median_seconds(benchmark)
    counted = benchmark.timings.groupby("method")["parameters"].max()
    sizes, cards = counted.dropna(), benchmark.cards
    found = {
        label: _entry(label, cards.get(label, {}), seconds.get(label), sizes.get(label), label in counted)
        for label in benchmark.methods
    }
    # Rows of one method may be of several kinds, as after a merge: each is named.
    others = benchmark.rows.loc[benchmark.rows["evidence"] != "run here", ["method", "evidence"]].drop_duplicates()
    told = others.groupby("method")["evidence"].agg(", ".join)
    often = Counter(entry.title for entry in found.values())
    return {
        label: replace(
            entry,
            title=f"{entry.title} ({label})" if often[entry.title] > 1 else entry.title,
            evidence=str(told.get(label, "")),
        )
        for label, entry in found.items()
    }


def _entry(label: str, card: Mapping[str, Any], seconds: float | None, parameters: float | None, timed: bool) -> Entry:
    name, _, settings = label.partition("[")
    title = str(card.get("title") or name)
    year = card.get("year")
    return Entry(
        label=label,
        title=f"{title} [{settings}" if settings else title,
        domain=str(card.get("domain") or ""),
        year=year if isinstance(year, int) else None,
        learned=is_learned(card, parameters, timed),
        baseline=card.get("role") in ("uncorrected", "baseline"),
        seconds=None if seconds is None else float(seconds),
        parameters=None if parameters is None else int(parameters),
        card=card,
    )


def _median_seconds(benchmark: Benchmark) -> pd.Series[float]:
    device = reference_device(benchmark)
    if device is None:
        return pd.Series(dtype=float)
    timings = benchmark.timings
    here = (timings[DEVICE] == list(device)).all(axis=1)
    return case_seconds(timings[here], ["method"]).median().dropna()

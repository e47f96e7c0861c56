"""What came of methods on a scan without truth, as a page and scripts read it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from marbench.bench.outcome import Failure
from marbench.scans.measures import Measures
from marbench.scans.series import RESEARCH, Version
from marbench.spec import Spec
from marbench.version import __version__

__all__ = ["Applied"]


@dataclass(frozen=True, eq=False)
class Applied:
    """What came of methods on a scan. Nothing in it names the patient, a file or this machine.

    Attributes
    ----------
    spec : Spec
    kind : str
        Of the scan, see `marbench.scans.series.Series`.
    slices : int
        Of the scan.
    metal : str
        How metal was found.
    versions : mapping of label to Version
    original : mapping of slice to Measures
        Of the slices with metal, as they were.
    measures : mapping of label to (slice → Measures)
        Of the methods that corrected all of these.
    failures : mapping of label to Failure
        Of the others, of which nothing was written.
    notices : tuple of str
    """

    spec: Spec
    kind: str
    slices: int
    metal: str
    versions: Mapping[str, Version]
    original: Mapping[int, Measures]
    measures: Mapping[str, Mapping[int, Measures]]
    failures: Mapping[str, Failure]
    notices: tuple[str, ...]

    def mean(self, label: str) -> Measures:
        """Return the mean over the slices of a method, or, without label, of the original, as far as they tell."""
        of_slices = self.measures[label] if label else self.original
        columns = zip(*(asdict(each).values() for each in of_slices.values()), strict=True)
        return Measures(*(_mean(np.array(column)) for column in columns))

    def json(self) -> str:
        """Return all figures as JSON. Times are left out: the same scan gives the same file."""
        methods = {
            label: {"title": self.versions[label].title, "made_of": self.versions[label].made_of, "slices": _rows(each)}
            for label, each in self.measures.items()
        }
        content = {
            "notice": RESEARCH,
            "marbench": __version__,
            "benchmark": {"name": self.spec.name, "hash": self.spec.hash},
            "scan": {"kind": self.kind, "slices": self.slices, "metal": self.metal},
            "notices": self.notices,
            "original": _rows(self.original),
            "methods": methods,
            "not_run": {label: failure.message for label, failure in self.failures.items()},
        }
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _mean(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan


def _rows(measures: Mapping[int, Measures]) -> list[dict[str, float | None]]:
    rows = []
    for index, each in measures.items():
        values = asdict(each)
        del values["seconds"]
        # JSON has no NaN.
        rows.append({"slice": index + 1, **{name: _known(value) for name, value in values.items()}})
    return rows


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None

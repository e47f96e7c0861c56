"""What one result is: the columns of ``results/*.parquet`` and ``timing/*.parquet``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

import pyarrow as pa

from marbench.cases.info import CaseInfo, CaseKey
from marbench.metrics.conventions import CONVENTIONS
from marbench.metrics.measure import measures_of

__all__ = [
    "FINAL",
    "KEY_COLUMNS",
    "LARGEST_INTEGER",
    "PLAN_COLUMNS",
    "PROOFS",
    "PROPERTY_COLUMNS",
    "ROW_SCHEMA",
    "TIMING_SCHEMA",
    "Evidence",
    "Key",
    "Row",
    "Status",
    "TimingRow",
    "metric_names",
    "properties",
]

Status = Literal["ok", "error", "timeout", "oom", "crashed", "invalid", "unavailable"]

Evidence = Literal["run here", "recomputed from images", "reported"]
"""How scores came about, the best proof first: the method ran; images made elsewhere were scored; somebody says so."""

PROOFS: tuple[Evidence, ...] = get_args(Evidence)[::-1]
"""The weakest first."""

# A crash is final like any failure: --retry-failed and --force try again.
FINAL: frozenset[str] = frozenset(get_args(Status)) - {"unavailable"}
"""What is not tried again by itself. A method that was unavailable may be available the next time."""


@dataclass(frozen=True)
class Key:
    """What a result is a result of. Results of another version of a method are none of this one."""

    method: str
    method_hash: str
    case_id: str


@dataclass(frozen=True)
class Row:
    """One method on one case.

    Attributes
    ----------
    method, method_hash, preset : str
        The label, e.g. ``nmar[prior=raw]``, or ``""`` for a case that could not be made; the hash of what the method
        is made of; ``""`` without a preset.
    case_index : int
        Where the case stands in the benchmark, of which a folder may hold a part: the order of slices in the data,
        which their ids need not follow. −1 where it is not known.
    case_digest : str
        What the case is, see `marbench.cases.digest`; ``""`` where it was not simulated.
    metal_area_px, metal_area_mm2, region, materials, window_low, window_high
        As in `CaseInfo`; unknown (None, NaN, ``""``) where the case was not simulated.
    status : str
        ``ok | error | timeout | oom | crashed | invalid | unavailable``.
    error_kind, message, trace : str
        What went wrong: the class of the exception, what it says and where, and the whole traceback.
    seconds, peak_mb : float
        The call of ``reduce``, first calls included: a hint. Timing proper is measured apart.
    attempt : int
        1, and more where a failure was tried again.
    evidence : str
        See `Evidence`.
    scores : dict
        Id of the `Measure` → value; empty unless the status is ok. NaN of a measure that needs what the case lacks.
    """

    spec_hash: str
    protocol: int
    method: str
    method_hash: str
    preset: str
    case_id: str
    patient_id: str
    slice_id: str
    metal_id: str
    size_group: int
    case_index: int = -1
    case_digest: str = ""
    metal_area_px: int | None = None
    metal_area_mm2: float = math.nan
    region: str = ""
    materials: str = ""
    window_low: float = math.nan
    window_high: float = math.nan
    status: Status = "ok"
    error_kind: str = ""
    message: str = ""
    trace: str = ""
    seconds: float = math.nan
    peak_mb: float = math.nan
    device: str = "cpu"
    host_id: str = ""
    attempt: int = 1
    evidence: Evidence = "run here"
    scores: dict[str, float] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Return the row as column → value."""
        # Flat, as a table has it: what is nested here is one column each there.
        columns = {column.name: getattr(self, column.name) for column in fields(self) if column.name != "scores"}
        return {**columns, **self.scores}


@dataclass(frozen=True)
class TimingRow:
    """One timed call of a method, after warm-up."""

    spec_hash: str
    protocol: int
    method: str
    method_hash: str
    preset: str
    case_id: str
    repeat: int
    seconds: float
    peak_mb: float
    parameters: int | None
    device: str
    device_name: str
    threads: int
    host_id: str

    def record(self) -> dict[str, Any]:
        """Return the row as column → value."""
        return {column.name: getattr(self, column.name) for column in fields(self)}


def properties(info: CaseInfo) -> dict[str, Any]:
    """Return the columns that are known once a case is simulated."""
    return {
        "metal_area_px": info.metal_area_px,
        "metal_area_mm2": info.metal_area_mm2,
        "region": info.region,
        # One text, as parquet and CSV have no sets: names of materials hold no comma.
        "materials": ",".join(info.materials),
        "window_low": info.window[0],
        "window_high": info.window[1],
    }


def metric_names(conventions: Iterable[str] = tuple(CONVENTIONS)) -> list[str]:
    """Return the columns of scores: the ids of the measures, in their order; see `measures_of`."""
    return [measure.id for measure in measures_of(conventions)]


# By what an annotation says, which is text here (PEP 563): a type under another name has no Arrow type.
_TEXT = dict.fromkeys(("str", "Status", "Evidence"), pa.string())
_ARROW = {**_TEXT, "int": pa.int64(), "int | None": pa.int64(), "float": pa.float64()}


def _schema(row: type[Row] | type[TimingRow]) -> pa.Schema:
    return pa.schema([(column.name, _ARROW[str(column.type)]) for column in fields(row) if column.name != "scores"])


ROW_SCHEMA = _schema(Row)
PLAN_COLUMNS = (
    *("method", "method_hash", "case_id", "patient_id", "case_digest"),
    *("status", "attempt", "message", "evidence"),
)
"""What a run must know of the rows that are there: all columns of a million rows take gigabytes."""

LARGEST_INTEGER = 2**53
"""Beyond it float64, as which scripts of the pages read numbers, has not every whole one."""

KEY_COLUMNS = tuple(column.name for column in fields(CaseKey) if column.name != "case_id")
"""What is known of a case before it is simulated, besides its id."""

PROPERTY_COLUMNS = ("metal_area_px", "metal_area_mm2", "region", "materials", "window_low", "window_high")
"""What is known of it afterwards, see `properties`."""

TIMING_SCHEMA = _schema(TimingRow)

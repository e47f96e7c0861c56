"""Which stored rows are rows: a folder may come from anyone, and a table must not fall over what stands in it.

The rules are bounds that no run exceeds, wide enough for whatever a method returns: a file that breaks them was
damaged or made by hand. They are checked for all rows at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import pyarrow as pa
import pyarrow.compute as pc

from marbench.metrics.measure import LARGEST
from marbench.results.part_file import Kind
from marbench.results.rows import LARGEST_INTEGER, Evidence, Status
from marbench.spec import PROTOCOL

__all__ = ["faulty_rows"]

# Names become keys, headings and file names; texts are shown. Longer ones come from no plugin.
_NAME, _TEXT = 1_000, 100_000
_TEXTS = frozenset({"message", "trace", "error_kind", "region", "materials"})
_FILLED = frozenset({"case_id"})
_CHOICES = {"status": get_args(Status), "evidence": get_args(Evidence)}
# A name is one line: no control characters, no line separators, no direction marks that reorder what follows, and none
# of the code points that are no characters, see `marbench.machine.text`.
_NONCHARACTERS = "".join(rf"\x{{{plane:X}FFFE}}\x{{{plane:X}FFFF}}" for plane in range(17)) + r"\x{FDD0}-\x{FDEF}"
_UNPRINTABLE = (
    rf"[\p{{Cc}}\p{{Zl}}\p{{Zp}}\x{{200E}}\x{{200F}}\x{{202A}}-\x{{202E}}\x{{2066}}-\x{{2069}}{_NONCHARACTERS}]"
)


@dataclass(frozen=True)
class _Bounds:
    low: float
    high: float
    optional: bool = False


_MANY = 2**31
_NUMBERS = {
    "protocol": _Bounds(PROTOCOL, PROTOCOL),
    "size_group": _Bounds(1, 1_000),
    "case_index": _Bounds(-1, _MANY),
    "metal_area_px": _Bounds(0, _MANY, optional=True),
    "metal_area_mm2": _Bounds(0, 1e9, optional=True),
    "window_low": _Bounds(-1e6, 1e6, optional=True),
    "window_high": _Bounds(-1e6, 1e6, optional=True),
    "seconds": _Bounds(0, 1e9, optional=True),
    "peak_mb": _Bounds(0, 1e9, optional=True),
    "attempt": _Bounds(1, 1_000_000),
    "repeat": _Bounds(0, _MANY),
    "parameters": _Bounds(0, LARGEST_INTEGER, optional=True),
    "threads": _Bounds(1, _MANY),
}


def faulty_rows(table: pa.Table, kind: Kind, spec_hash: str) -> tuple[pa.Array, dict[str, int]]:
    """Return which rows of a table can be used, and why the others cannot: reason → number of rows.

    Parameters
    ----------
    table : pyarrow Table
        With the columns of its kind, see `marbench.results.part_file.SCHEMAS`, and measures.
    spec_hash : str
        The benchmark that the rows must be of.
    """
    # Column by column over all rows: a loop over a million rows would take longer than the run's start.
    good = pa.array([True] * table.num_rows, pa.bool_())
    reasons = {}
    for column in table.schema:
        for why, allowed in _rules(column, table[column.name].combine_chunks(), kind, spec_hash):
            passes = pc.fill_null(allowed, False)  # NULL in a column that must be filled
            bad = pc.and_(good, pc.invert(passes))  # of a row with several faults the first one is told
            if count := pc.sum(bad).as_py():
                example = table[column.name].filter(bad)[0].as_py()
                reasons[f"{why}; found {str(example)[:60]!r}"] = count
                good = pc.and_(good, passes)
    return good, reasons


def _rules(column: pa.Field, values: Any, kind: Kind, spec_hash: str) -> Iterator[tuple[str, Any]]:
    """Yield what is expected of a column, and which of its values are so; null stands for no."""
    name = column.name
    if column.type == pa.string():
        if name == "spec_hash":
            yield f"rows of another benchmark are refused: expected {spec_hash[:12]}", pc.equal(values, spec_hash)
        elif name in _CHOICES:
            known = _CHOICES[name]
            yield f"expected {name} to be one of {', '.join(known)}", pc.is_in(values, pa.array(known))
        else:
            yield from _words(name, values)
    elif name == "protocol":
        yield f"rows of another protocol are refused: expected {PROTOCOL}", pc.equal(values, PROTOCOL)
    else:
        bounds = _NUMBERS.get(name, _Bounds(-LARGEST, LARGEST, optional=pa.types.is_floating(column.type)))
        low, high = (_bound(value, column.type) for value in (bounds.low, bounds.high))
        inside = pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high))
        if bounds.optional:
            inside = pc.or_kleene(pc.is_null(values, nan_is_null=True), inside)
        yield f"expected {name} between {bounds.low:g} and {bounds.high:g}", inside


def _words(name: str, values: Any) -> Iterator[tuple[str, Any]]:
    limit = _TEXT if name in _TEXTS else _NAME
    length = pc.utf8_length(values)
    yield f"expected {name} to have at most {limit:,} characters", pc.less_equal(length, limit)
    if name in _FILLED:
        yield f"expected {name} not to be empty", pc.greater(length, 0)
    if name not in _TEXTS:
        printable = pc.invert(pc.match_substring_regex(values, _UNPRINTABLE))
        yield f"expected {name} without control characters", printable


def _bound(value: float, kind: Any) -> Any:
    # An integer and a float are compared as floats, which not every integer is.
    return pa.scalar(max(-(2**63), min(int(value), 2**63 - 1)) if pa.types.is_integer(kind) else value, kind)

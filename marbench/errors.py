"""The exceptions of marbench.

::

    MarbenchError             everything that a user can mend; the command line prints it without a traceback
    ├── SpecError             a benchmark description (TOML) that cannot be used
    ├── GeometryError         a scan geometry or array shape that an operator cannot work with
    ├── DataError             CT slices, metal shapes or tables that cannot be read
    ├── MetricError           an image or a mask that cannot be scored, an unknown measure or convention
    ├── MethodError           a method that cannot be found, loaded or configured
    │   └── MethodUnavailable   … for lack of weights, a package or a device
    └── StoreError            a results folder that cannot be read or written
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "DataError",
    "GeometryError",
    "MarbenchError",
    "MethodError",
    "MethodUnavailable",
    "MetricError",
    "SpecError",
    "StoreError",
    "is_absence",
    "nearest",
]


# Characters of a list; of a longer one, as of the ids of a benchmark's cases, nobody reads more than the first names.
_LISTED, _FIRST = 800, 5


class MarbenchError(Exception):
    """Base class of all errors that marbench raises on purpose."""


class SpecError(MarbenchError):
    """A benchmark description cannot be found, parsed or validated."""


class GeometryError(MarbenchError, ValueError):
    """A geometry is impossible, or an array does not fit it."""


class DataError(MarbenchError):
    """Input data are missing, truncated, or not what they should be."""


class MetricError(MarbenchError, ValueError):
    """An image or a mask cannot be scored, or there is no such measure or convention."""


class MethodError(MarbenchError):
    """A method cannot be found, loaded or configured."""


class MethodUnavailable(MethodError):
    """A method exists but cannot run here: weights, a package or a device is missing."""


class StoreError(MarbenchError):
    """A results folder cannot be read or written."""


def is_absence(error_kind: str) -> bool:
    """Tell whether a failure of that kind says that a method cannot run here: no fault where all were asked for."""
    return error_kind == MethodUnavailable.__name__


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return the end of an error message: the closest valid name, and all of them; of very many the first ones.

    >>> nearest("nmr", ["li", "nmar", "none"])
    "did you mean 'nmar'? Known: li, nmar, none"
    >>> nearest("x", map(str, range(1000)))
    'Known: 0, 1, 10, 100, 101 and 995 more'
    """
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    listed = ", ".join(names)
    if len(listed) > _LISTED and len(names) > _FIRST:
        listed = f"{', '.join(names[:_FIRST])} and {len(names) - _FIRST} more"
    return f"{hint}Known: {listed or '(none)'}"

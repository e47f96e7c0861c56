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
    "nearest",
]


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


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return the end of an error message: the closest valid name, and all of them.

    >>> nearest("nmr", ["li", "nmar", "none"])
    "did you mean 'nmar'? Known: li, nmar, none"
    """
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Known: {', '.join(names) if names else '(none)'}"

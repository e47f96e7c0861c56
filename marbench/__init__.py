"""marbench: a benchmark suite for metal artifact reduction (MAR) in X-ray CT.

>>> import marbench
>>> marbench.load_spec("mini").grid
ImageGrid(rows=128, columns=128, pixel=0.32)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from marbench.version import __version__

if TYPE_CHECKING:
    from marbench.bench.evaluate import evaluate, score
    from marbench.cases.batch import collate
    from marbench.cases.case import Case, Scan, Truth
    from marbench.cases.suite import Suite
    from marbench.conformance.check import check
    from marbench.errors import MarbenchError
    from marbench.full_run import run
    from marbench.method.contract import Context, Method
    from marbench.method.discovery import methods
    from marbench.method.learned import Batch, LearnedMethod, Objective
    from marbench.method.program import ProgramMethod
    from marbench.method.request import load_method
    from marbench.results.store import read_run
    from marbench.spec import Spec, load_spec

# Public names and where they live. They are imported on first use, so that `import marbench` and `marbench --help`
# load neither torch nor matplotlib.
_HOMES = {
    "Batch": "method.learned",
    "Case": "cases.case",
    "Context": "method.contract",
    "LearnedMethod": "method.learned",
    "MarbenchError": "errors",
    "Method": "method.contract",
    "Objective": "method.learned",
    "ProgramMethod": "method.program",
    "Scan": "cases.case",
    "Spec": "spec",
    "Suite": "cases.suite",
    "Truth": "cases.case",
    "check": "conformance.check",
    "collate": "cases.batch",
    "evaluate": "bench.evaluate",
    "load_method": "method.request",
    "load_spec": "spec",
    "methods": "method.discovery",
    "read_run": "results.store",
    "run": "full_run",
    "score": "bench.evaluate",
}

# Public modules.
_MODULES = ("ct", "errors", "geometry")

__all__ = [
    "Batch",
    "Case",
    "Context",
    "LearnedMethod",
    "MarbenchError",
    "Method",
    "Objective",
    "ProgramMethod",
    "Scan",
    "Spec",
    "Suite",
    "Truth",
    "__version__",
    "check",
    "collate",
    "evaluate",
    "load_method",
    "load_spec",
    "methods",
    "read_run",
    "run",
    "score",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"marbench.{_HOMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"marbench.{name}")
    raise AttributeError(f"module 'marbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})

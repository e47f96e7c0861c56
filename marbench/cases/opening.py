"""The cases of a benchmark, wherever they come from."""

from __future__ import annotations

from pathlib import Path

import torch

from marbench.anatomy.slices import Split
from marbench.cases.case import CaseSource
from marbench.cases.file_cases import FileCases
from marbench.cases.recorded import RecordedCases
from marbench.cases.suite import Suite
from marbench.spec import Spec, builtin_specs, load_spec

__all__ = ["open_cases"]


def open_cases(cases: str | Path | Spec, split: Split = "test", device: torch.device | str = "cpu") -> CaseSource:
    """Return the cases of a benchmark (its name, its file or a `Spec`), or those that a folder holds.

    They are simulated, or with ``[recorded]`` read from files. A folder is one that `marbench export` wrote.

    Raises
    ------
    SpecError
        There is no such benchmark, folder or split.
    DataError
        The files cannot be used.
    """
    if not isinstance(cases, Spec) and cases not in builtin_specs():
        try:
            if Path(cases).is_dir():
                return RecordedCases(cases, split, device)
        except (OSError, ValueError):
            pass  # what cannot be a path is no benchmark either, and is said below
    spec = load_spec(cases)
    return Suite(spec, split, device) if spec.recorded is None else FileCases(spec, split, device)

"""The cases on which a method is tried."""

from __future__ import annotations

from dataclasses import dataclass

from marbench.cases.case import Case
from marbench.cases.sources import check_cases
from marbench.cases.suite import Suite
from marbench.spec import Spec, load_spec

__all__ = ["Specimens"]

# Fewer views, bins and pixels than any benchmark, over the same field of view as mini.
_OTHER = {"views": 72, "bins": 60, "pitch_deg": 0.17 * 192 / 60}, {"size": 40, "pixel_cm": 0.32 * 128 / 40}


@dataclass(frozen=True, eq=False)
class Specimens:
    """Cases of one benchmark: one with large metal, then some with small metal in different patients.

    Attributes
    ----------
    cases : tuple of Case
        With known truths.
    """

    spec: Spec
    cases: tuple[Case, ...]

    @classmethod
    def of(cls, spec: Spec, patients: int = 3) -> Specimens:
        """Simulate them.

        Raises
        ------
        DataError
            The benchmark has no test cases, or their truth is not known.
        """
        suite = Suite(spec)
        check_cases(suite)
        metals = len(suite.metals)
        slices = len(suite) // metals
        chosen = [slices * k // patients for k in range(patients)]
        cases = tuple(suite[index] for index in dict.fromkeys([0, *(metals * which + metals - 1 for which in chosen)]))
        for case in cases:
            case.known_truth  # noqa: B018 (raises where there is none)
        return cls(suite.spec, cases)

    @classmethod
    def elsewhere(cls) -> Specimens:
        """Simulate one case of another geometry and grid."""
        values = load_spec("mini").model_dump(by_alias=True)
        geometry, grid = _OTHER
        changed = {"geometry": {**values["geometry"], **geometry}, "grid": {**values["grid"], **grid}}
        split = {"test": {"patients": 1, "slices": 1}, "val": {"patients": 0, "slices": 0}}
        named = {"name": "another-geometry", "title": "Another geometry"}
        own = {**values, **changed, **named, "split": {**split, "train": split["val"]}}
        one = cls.of(Spec.model_validate(own), patients=1)
        return cls(one.spec, one.cases[-1:])

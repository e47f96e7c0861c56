"""What came of the checks of a method."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Finding", "Verdict", "failed", "ok", "skipped"]


@dataclass(frozen=True)
class Finding:
    """What one check found: what came and what was expected, and what to do about it."""

    check: str
    outcome: Literal["ok", "failed", "skipped"]
    found: str
    advice: str = ""


def ok(check: str, found: str) -> Finding:
    """Return that all is well."""
    return Finding(check, "ok", found)


def failed(check: str, found: str, advice: str) -> Finding:
    """Return that the method does not keep to the contract."""
    return Finding(check, "failed", found, advice)


def skipped(check: str, why: str) -> Finding:
    """Return that there was nothing to check."""
    return Finding(check, "skipped", why)


@dataclass(frozen=True)
class Verdict:
    """All findings of a method; as text one line each and a summary."""

    method: str
    benchmark: str
    device: str
    findings: tuple[Finding, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that failed."""
        return tuple(each.check for each in self.findings if each.outcome == "failed")

    def record(self) -> dict[str, Any]:
        """Return the verdict as JSON takes it."""
        return {**asdict(self), "failed": list(self.failed), "findings": [asdict(each) for each in self.findings]}

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        width = max(len(each.check) for each in self.findings)
        for each in self.findings:
            mark = {"ok": "ok", "failed": "FAILED", "skipped": "skipped"}[each.outcome]
            advice = f" → {each.advice}" if each.advice else ""
            yield f"{mark:7}  {each.check:{width}}  {each.found}{advice}"
        good = sum(each.outcome == "ok" for each in self.findings)
        left = sum(each.outcome == "skipped" for each in self.findings)
        verdict = f"does not conform ({', '.join(self.failed)})" if self.failed else "conforms"
        rest = f", {left} skipped" if left else ""
        yield f"{self.method} {verdict}: on {self.benchmark} ({self.device}) {good} checks ok{rest}."

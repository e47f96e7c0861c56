"""What came of looking at somebody else's results: one line for each thing, and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Check", "Verdict", "found"]

State = Literal["ok", "wrong", "not checked"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what, how it is, and that in words."""

    what: str
    state: State
    words: str


@dataclass(frozen=True)
class Verdict:
    """What came of a verification.

    Attributes
    ----------
    checks : tuple of Check
    """

    checks: tuple[Check, ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing is wrong. What was not checked may still be."""
        return all(check.state != "wrong" for check in self.checks)

    @property
    def words(self) -> str:
        """The verdict in one sentence."""
        wrong, left = ([c.what for c in self.checks if c.state == state] for state in ("wrong", "not checked"))
        if wrong:
            return f"Not verified: {', '.join(dict.fromkeys(wrong))}."
        return "Verified" + (f", but for {', '.join(dict.fromkeys(left))}." if left else ".")


def found(what: str, wrong: Sequence[str], words: str, done: bool = True) -> Check:
    """Return a check by what was found wrong; ``words`` say what was done, unless nothing was."""
    if wrong:
        return Check(what, "wrong", f"{wrong[0]}{f', and {len(wrong) - 1} more' if len(wrong) > 1 else ''}")
    return Check(what, "ok", words) if done else Check(what, "not checked", "there are none")

"""``pytest`` runs it: the method passes all that ``marbench check`` looks at."""

import sys
from pathlib import Path

import marbench


def test_the_method_conforms(monkeypatch) -> None:
    """It costs some seconds: cases are simulated, and the method is called in processes of its own."""
    # pytest puts the folders of plugins there, marbench does not: what lies beside method.py is imported as `.part`.
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if not (Path(entry) / "method.toml").is_file()])
    verdict = marbench.check(Path(__file__).parent)
    assert verdict.failed == (), str(verdict)

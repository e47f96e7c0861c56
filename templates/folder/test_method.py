"""``pytest`` runs it: the method passes all that ``marbench check`` looks at."""

from pathlib import Path

import marbench


def test_the_method_conforms() -> None:
    """It costs some seconds: cases are simulated, and the method is called in processes of its own."""
    verdict = marbench.check(Path(__file__).parent)
    assert verdict.failed == (), str(verdict)

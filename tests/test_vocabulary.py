"""The core spells neither methods nor measures: it reads cards and `Measure`, so that a new one needs no edit of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import marbench
from marbench.method.discovery import methods
from marbench.metrics.conventions import CONVENTIONS
from marbench.metrics.measure import measures_of
from marbench.resources import resource_folder

PACKAGE = Path(marbench.__file__).parent


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the string constants of a module, docstrings left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.lineno, node.value


def _modules() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if "metrics" not in path.parts and "_bundled" not in path.parts]


def test_no_module_spells_the_name_of_a_method() -> None:
    # "none" is also a choice of images, a domain and a colour.
    names = {name for name, card in methods().items() if card.role != "uncorrected"}
    assert {"li", "dudonet"} <= names
    found = [f"{path.name}:{line}: {text}" for path in _modules() for line, text in _texts(path) if text in names]
    assert found == []


def test_no_module_outside_metrics_spells_a_measure() -> None:
    # Noise and metal are words of the trade: a clinical measure is spelled with its convention.
    clinical = {measure.name for measure in measures_of(CONVENTIONS) if "region" in measure.needs}
    spelled = re.compile(rf"psnr|ssim|rmse|\bdB\b|\b({'|'.join(clinical)})\[", re.IGNORECASE)
    assert all(spelled.search(measure.id) for measure in measures_of(CONVENTIONS))
    found = [
        f"{path.name}:{line}: {text}" for path in _modules() for line, text in _texts(path) if spelled.search(text)
    ]
    assert found == []


@pytest.mark.parametrize("pattern", ["templates/*.html", "assets/*.js", "assets/*.css"])
def test_no_page_script_or_style_spells_a_measure(pattern: str) -> None:
    paths = sorted(resource_folder("reports").glob(pattern))
    assert paths
    for path in paths:
        assert not re.search(r"psnr|ssim|rmse|\bdB\b", path.read_text(encoding="utf-8"), re.IGNORECASE), path

"""What the manual says is true: its tables are those of the models, and its examples can be run."""

import re
from pathlib import Path

import pytest
import spec_reference

from marbench.cases.suite import Suite
from marbench.spec import load_spec

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_tables_of_keys_are_those_of_the_models():
    text = PAGE.read_text(encoding="utf-8")
    assert text == spec_reference.page(text), "python scripts/spec_reference.py makes them anew"


@pytest.mark.parametrize("text", EXAMPLES, ids=[re.search('name = "(.*)"', text)[1] for text in EXAMPLES])
def test_an_example_is_a_benchmark_whose_cases_can_be_made(tmp_path, text):
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    case = Suite(load_spec(tmp_path / "own.toml"))[0]
    assert case.scan.image.isfinite().all()

"""What the manual says is true: its tables are those of the models, and its examples can be run."""

import re
import shlex
from pathlib import Path

import pytest
import spec_reference
from click.testing import CliRunner

from marbench.cases.suite import Suite
from marbench.cli import main
from marbench.results.store import read_run
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


def test_a_method_of_your_own_takes_what_the_manual_says_word_for_word(tmp_path, monkeypatch):
    text = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("XDG_DATA_HOME", "MARBENCH_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    said = {}
    for language, block in re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL):
        if language == "bash":
            said |= {line: _marbench(line) for line in block.splitlines()}
        else:
            (tmp_path / {"toml": "quick.toml", "python": "mymethod/method.py"}[language]).write_text(block)
    verdicts = [output.splitlines()[-1] for line, output in said.items() if " check " in line]
    assert [verdict.partition(":")[0] for verdict in verdicts] == ["mymethod conforms", "mynet conforms"]
    rows = read_run(tmp_path / "runs" / "quick")
    assert set(rows["status"]) == {"ok"}
    assert set(rows["method"]) == {"mymethod", "mymethod[weight=1.0]", "mynet", "li"}
    page = (tmp_path / "runs" / "quick" / "report" / "index.html").read_text(encoding="utf-8")
    assert "mymethod" in page.lower()


def _marbench(line: str) -> str:
    words = shlex.split(line)
    assert words[0] == "marbench"
    result = CliRunner(env={"COLUMNS": "200"}).invoke(main, words[1:])
    assert result.exit_code == 0, f"{line}\n{result.output}"
    return result.stdout

"""The corpus of awkward inputs: each is read right, or refused with a reason."""

import re
from pathlib import Path

import pytest

pytest.importorskip("pydicom")
pytest.importorskip("nibabel")

import corpus
from corpus_judge import CASES, judge

# The whole scans among them are read by other tests.
QUICK = [one for one in CASES if one.source != "TCIA"]


@pytest.mark.parametrize("one", QUICK, ids=[f"{one.reader}-{one.name}" for one in QUICK])
def test_an_awkward_input_is_read_right_or_refused_with_its_reason(one):
    outcome = judge(one)
    assert outcome.right, outcome.text


def test_the_table_of_the_corpus_is_markdown_and_counts_what_is_wrong(capsys):
    assert corpus.main("Weasis#624") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| case | reader | public source | outcome |"
    assert "| RescaleType Z_EFF | dicom | Weasis#624, pyDICOS#43 | refused |" in lines
    assert lines[-1].endswith("cases are right.")


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "CHANGELOG.md"])
def test_pages_say_how_many_awkward_inputs_there_are(page):
    said = re.findall(r"(\d+) awkward", (Path(__file__).parents[2] / page).read_text(encoding="utf-8"))
    assert said == [str(len(CASES))]

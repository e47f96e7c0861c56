"""What the manual says is true: its examples can be run, word for word."""

import contextlib
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from marbench.cases.suite import Suite
from marbench.cli import main
from marbench.results.store import open_run, read_run
from marbench.spec import load_spec

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=[re.search('name = "(.*)"', text)[1] for text in EXAMPLES])
def test_an_example_is_a_benchmark_whose_cases_can_be_made(tmp_path, text):
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    case = Suite(load_spec(tmp_path / "own.toml"))[0]
    assert case.scan.image.isfinite().all()


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the code blocks of a page: language and text."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)


def typed(line: str) -> str:
    """Return what a command of the manual prints."""
    name, *arguments = shlex.split(line)
    result = CliRunner(env={"COLUMNS": "200"}).invoke(main, arguments)
    assert (name, result.exit_code) == ("marbench", 0), f"{line}\n{result.output}"
    return result.stdout


def follow(page: str, toml: str = "") -> None:
    """Do what a page says, in the current folder: save its TOML, type its commands, run its Python."""
    for kind, block in blocks(page):
        if kind == "toml":
            Path(toml).write_text(block, encoding="utf-8")
        elif kind == "python":
            exec(block, {})
        elif kind == "bash":
            for line in block.splitlines():
                typed(line)


def test_a_method_of_your_own_takes_what_the_manual_says_word_for_word(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("XDG_DATA_HOME", "MARBENCH_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    said = {}
    for language, block in blocks("methods.md"):
        if language == "bash":
            said |= {line: typed(line) for line in block.splitlines()}
        else:
            (tmp_path / {"toml": "quick.toml", "python": "mymethod/method.py"}[language]).write_text(block)
    verdicts = [output.splitlines()[-1] for line, output in said.items() if " check " in line]
    assert [verdict.partition(":")[0] for verdict in verdicts] == ["mymethod conforms", "mynet conforms"]
    rows = read_run(tmp_path / "runs" / "quick")
    assert set(rows["status"]) == {"ok"}
    assert set(rows["method"]) == {"mymethod[weight=1.0]", "mynet", "li"}
    page = (tmp_path / "runs" / "quick" / "report" / "index.html").read_text(encoding="utf-8")
    assert "mymethod" in page.lower()


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> Path:
    """The folders, by page, of somebody who has followed the guides on mini."""
    folder = tmp_path_factory.mktemp("followed")
    # One after another in one process: what the scanner and the patients of mini need is computed once.
    for page, toml in (("first_run.md", ""), ("exchange.md", "small.toml"), ("publishing.md", "board.toml")):
        (folder / page).mkdir()
        with contextlib.chdir(folder / page):
            follow(page, toml)
    return folder


def test_the_guides_on_mini_can_be_followed_word_for_word(followed):
    assert (followed / "first_run.md" / "first" / "report" / "index.html").is_file()
    rows = open_run(followed / "exchange.md" / "received").rows
    good = rows[rows["status"] == "ok"]
    assert good.groupby("method").size().to_dict() == {"clipped": 3, "li": 3}
    assert set(good["evidence"]) == {"recomputed from images"}
    (board,) = (followed / "publishing.md" / "site" / "benchmarks").glob("*/index.html")
    shown = board.read_text(encoding="utf-8").lower()
    assert all(f">{method}<" in shown for method in ("none", "li", "nmar"))


def test_slices_of_a_scanner_take_what_the_manual_says_word_for_word(tmp_path, monkeypatch, real_ct):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ct").mkdir()
    for file in sorted((real_ct / "abdomen").iterdir())[5:8]:
        shutil.copy(file, tmp_path / "ct")
    follow("your_data.md", "my-ct.toml")
    assert set(read_run("runs/my-ct")["status"]) == {"ok"}


@pytest.mark.parametrize(("language", "program"), [("c", "cc"), ("matlab", "octave")])
def test_the_examples_in_other_languages_write_what_the_one_in_python_does(tmp_path, followed, language, program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    (source,) = (block for kind, block in blocks("exchange.md") if kind == language)
    exchanged = followed / "exchange.md"
    shutil.copytree(exchanged / "scans", tmp_path / "scans")
    scans = sorted((tmp_path / "scans" / "test").glob("*.image_hu.raw"))
    with contextlib.chdir(tmp_path):
        if language == "c":
            Path("clip.c").write_text(source, encoding="utf-8")
            (loop,) = (block for kind, block in blocks("exchange.md") if kind == "sh")
            subprocess.run(["bash", "-ec", loop], check=True)
        else:
            subprocess.run(["octave", "--quiet", "--eval", source], check=True)
    written, expected = (
        {path.name: path.read_bytes() for path in (place / "images").iterdir()} for place in (tmp_path, exchanged)
    )
    assert len(scans) == 3 and written == expected


def test_a_method_in_c_that_knows_the_export_alone_comes_close_to_the_one_of_marbench(tmp_path, followed):
    if shutil.which("cc") is None:
        pytest.skip("cc is not installed")
    exchanged = followed / "exchange.md"
    source = ROOT / "docs" / "examples" / "li.c"
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-O2", "-o", tmp_path / "li", source, "-lm"], check=True)
    (tmp_path / "images").mkdir()
    for scan in (exchanged / "scans" / "test").glob("*.image_hu.raw"):
        name = scan.name.removesuffix(".image_hu.raw")
        subprocess.run([tmp_path / "li", scan.with_name(name), tmp_path / "images" / f"{name}.raw"], check=True)
    with contextlib.chdir(exchanged):
        typed(f"marbench score {tmp_path}/images --method li-in-c --spec small.toml --out in-c --images none")
    own, theirs = (open_run(exchanged / run).rows.dropna(subset="rmse_hu") for run in ("in-c", "theirs"))
    assert len(own) == len(theirs) == 3 and set(own["evidence"]) == {"recomputed from images"}
    # Another back-projection: of fan beams, without rebinning to parallel ones.
    assert own["rmse_hu"].mean() == pytest.approx(theirs["rmse_hu"].mean(), rel=0.25)

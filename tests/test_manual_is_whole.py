"""The manual is whole: what users rely on by name stands in it, every page is found, every link leads somewhere."""

import re
import shlex
import signal
from pathlib import Path

import click
import pytest
import reference

import marbench
from marbench.cases.export_formats import QUANTITIES
from marbench.cli import _VERBS, _Refused, _WrongUse, main
from marbench.machine.interrupts import _SIGNALS, Interrupted
from marbench.metrics.conventions import CONVENTIONS
from marbench.report.archive import Manifest
from marbench.results.rows import Row, Status, TimingRow

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
OTHERS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]


def text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", reference.PAGES)
def test_tables_that_are_made_from_the_code_are_up_to_date(name):
    assert text(name) == reference.page(name), "python scripts/reference.py makes them anew"


def test_every_public_name_has_its_place_in_the_reference():
    blocks = re.findall(r"currentmodule:: (\S+)\n(.*?)```", text("api.md"), re.DOTALL)
    listed = {f"{module}.{name}" for module, block in blocks for name in re.findall(r"^   (\w+)$", block, re.MULTILINE)}
    for name in set(marbench.__all__) - {"__version__", "MarbenchError"}:
        assert f"marbench.{name}" in listed
    for module in ("ct", "errors", "geometry"):
        assert {f"marbench.{module}.{name}" for name in getattr(marbench, module).__all__} <= listed


def test_every_command_and_every_exit_code_stands_in_the_manual():
    page = text("commands.md")
    assert re.findall(r"^### `marbench (\S+)`", page, re.MULTILINE) == list(_VERBS)
    codes = {0, _Refused.exit_code, _WrongUse.exit_code, *(Interrupted(number).exit_code for number in _SIGNALS)}
    assert signal.SIGTERM in _SIGNALS
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)} == codes


def commands(page: Path) -> list[str]:
    """Return the commands of marbench in the code blocks of a page."""
    shell = "".join(re.findall(r"```(?:ba)?sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
    lines = shell.replace("\\\n", "").splitlines()
    return [line for line in lines if line.startswith("marbench ")]


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: page.name)
def test_every_command_that_a_page_types_is_one_that_marbench_takes(page):
    context = click.Context(main, info_name="marbench")
    for line in commands(page):
        _, name, *arguments = shlex.split(line, comments=True)
        verb = main.get_command(context, name)
        assert verb is not None, line
        verb.make_context(name, arguments, parent=context)  # raises where an option or a value is none


def test_every_environment_variable_stands_in_the_manual():
    files = [path for folder in ("marbench", "methods", "templates", "scripts") for path in (ROOT / folder).rglob("*")]
    code = "".join(path.read_text(encoding="utf-8") for path in files if path.suffix in (".py", ".sh"))
    used = set(re.findall(r"\bMARBENCH_[A-Z_]+\b", code))
    assert used == set(re.findall(r"`(MARBENCH_[A-Z_]+)`", text("commands.md")))


def test_every_column_array_and_key_of_the_files_stands_in_the_manual():
    rows = {*Row.__dataclass_fields__, *TimingRow.__dataclass_fields__, *Status.__args__} - {"scores"}
    names = {*rows, *QUANTITIES, *Manifest.model_fields}
    assert names - set(re.findall(r"`([^`]+)`", text("files.md"))) == set()


def test_every_convention_stands_in_the_manual():
    assert set(CONVENTIONS) <= set(re.findall(r"`([^`\n]+)`", text("numbers.md")))


def test_the_citation_is_of_this_version():
    assert f"\nversion: {marbench.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_every_page_is_in_the_contents_once():
    entries = [
        line
        for block in re.findall(r"```{toctree}\n(.*?)```", text("index.md"), re.DOTALL)
        for line in block.splitlines()
        if line and not line.startswith(":")
    ]
    assert sorted([*entries, "index"]) == [page.stem for page in PAGES]


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: page.name)
def test_every_link_within_the_project_has_a_text_and_leads_to_a_file(page):
    written = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert "[](" not in written  # on GitHub, whose pages README names, there is nothing to click on
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", written)
    assert [link for link in links if "://" not in link and not (page.parent / link).is_file()] == []


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: page.name)
def test_every_file_of_the_project_that_a_page_names_is_there(page):
    written = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    named = re.findall(r"`((?:marbench|scripts|tests|data_specs|methods|docs)/[\w./-]*)`", written)
    assert [name for name in named if not (ROOT / name).exists()] == []

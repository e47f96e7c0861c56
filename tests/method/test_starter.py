"""Plugins to begin with: each template works as it is, and nothing is overwritten."""

import importlib.util
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from marbench import load_method
from marbench.cli import main
from marbench.conformance.specimens import Specimens
from marbench.method.discovery import discover
from marbench.method.request import MethodRequest
from marbench.method.starter import templates, write_plugin


def new(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(main, ["new", *map(str, arguments)])


def test_there_are_these_templates_and_the_code_of_each_is_short():
    assert set(templates()) == {"dual", "folder", "image", "learned", "sinogram"}
    for folder in templates().values():
        code = "".join(file.read_text(encoding="utf-8") for file in folder.glob("*.py") if "test_" not in file.name)
        assert sum(bool(line.strip()) for line in code.splitlines()) <= 35


@pytest.mark.parametrize("template", templates())
def test_what_a_template_gives_passes_its_own_test(template, tmp_path, tiny, monkeypatch):
    result = new("my-2nd_method", "--template", template, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "my-2nd_method"
    card = discover([tmp_path]).entries["my-2nd_method"].card
    assert card.title == "My 2nd method"
    # On few pixels: on mini it takes some seconds.
    monkeypatch.setattr("marbench.conformance.check.load_spec", lambda _: tiny)
    spec = importlib.util.spec_from_file_location("test_of_plugin", folder / "test_my-2nd_method.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.test_the_method_conforms(monkeypatch)


CONFTEST = """
import pytest
from marbench import load_spec

@pytest.fixture(autouse=True)
def few_pixels(monkeypatch):
    tiny = load_spec({!r})
    monkeypatch.setattr("marbench.conformance.check.load_spec", lambda _: tiny)
"""


def test_pytest_takes_several_plugins_at_once_and_finds_in_their_folders_what_marbench_does(tmp_path, tiny_file):
    for name, line in (("one", "from .part import x"), ("other", "from part import x")):
        folder = write_plugin(name, "image", tmp_path)
        (folder / "part.py").write_text("raise OSError('part.py ends it, which saves time')\n")
        (folder / "method.py").write_text(f"{line}\n")
    (tmp_path / "conftest.py").write_text(CONFTEST.format(str(tiny_file)))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "one", "other"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    first, second = (re.search(rf"{name}/test_{name}.py.*\n", said) for name in ("one", "other"))
    assert first and second, said
    assert "OSError: part.py ends it" in said
    assert "ModuleNotFoundError: No module named 'part'" in said


def test_a_folder_of_somebody_else_s_beside_it_is_left_alone(tmp_path, refused):
    (tmp_path / "systemd-private").mkdir()
    refused("is_file", "systemd-private")
    assert new("mine", "--out", tmp_path).exit_code == 0


def test_what_new_says_can_be_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = new("one", "--template", "learned").output
    commands = re.findall(r"^  marbench (.*)$", said, re.MULTILINE)
    assert commands == [
        "check one --plugins .",
        "train one --plugins . --hours 0.5",
        "run --methods one,li --plugins .",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My Method", "lower-case letters, digits, _ and -"),
        ("../up", "lower-case letters, digits, _ and -"),
        ("größe", "lower-case letters, digits, _ and -"),
        ("-x", ""),
        ("", "lower-case letters"),
        ("all", "asks for every method"),
        ("x" * 65, "at most 64 characters"),
        ("li", "There is a method 'li' already"),
        ("here", "exists already, and nothing is overwritten"),
        ("twin", "There is a method 'twin' already"),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_is_written(name, message, tmp_path):
    (tmp_path / "here").mkdir()
    write_plugin("twin", "image", tmp_path)
    (tmp_path / "twin").rename(tmp_path / "brother")
    before = sorted(tmp_path.rglob("*"))
    result = new(name, "--out", tmp_path)
    assert result.exit_code == 2
    assert message in result.output
    assert sorted(tmp_path.rglob("*")) == before


def test_a_plugin_that_exists_is_left_alone(tmp_path):
    write_plugin("mine", "image", tmp_path)
    (tmp_path / "mine" / "method.py").write_text("hours of work")
    assert new("mine", "--out", tmp_path).exit_code == 2
    assert (tmp_path / "mine" / "method.py").read_text() == "hours of work"


def test_unknown_templates_and_folders_that_cannot_be_are_refused(tmp_path):
    result = new("x", "--template", "sinogramm", "--out", tmp_path)
    assert result.exit_code == 2
    assert "did you mean 'sinogram'? Known: dual, folder, image, learned, sinogram" in result.output
    (tmp_path / "file").touch()
    assert "cannot be made" in new("x", "--out", tmp_path / "file").output
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_the_templates_give_images_of_their_own(tiny, tmp_path):
    """None of them is a copy of a shipped method: an author sees at once that his own ran."""
    case = Specimens.of(tiny).cases[0]
    shipped = [load_method(name, tiny)(case.scan) for name in ("none", "li", "nmar")]
    for template in ("image", "sinogram", "dual", "folder"):
        request = discover([write_plugin(template, template, tmp_path)]).entries[template]
        image = load_method(MethodRequest(request), tiny)(case.scan)
        assert all((image - other).abs().max() > 1 for other in shipped)

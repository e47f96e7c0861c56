"""What makes another method of a method, and what does not."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from marbench.learning.recipe import Recipe, hold_to_recipe
from marbench.method.card import MethodCard
from marbench.method.discovery import MethodEntry
from marbench.method.fingerprint import _required, code_without_prose, fingerprint
from marbench.method.request import FittedMethod, MethodRequest, parse_methods
from marbench.method.weights import NO_WEIGHTS, WeightsCard, WeightsFile, WeightsSearch
from marbench.spec import load_spec
from marbench.spec_file import hold_to_spec

CODE = """import marbench.toolbox.interpolation
from . import part


class M:
    def reduce(self, scan):
        return scan.image  # HU
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    plugin = tmp_path / "plugin"
    plugin.mkdir()
    (plugin / "method.py").write_text(CODE)
    (plugin / "part.py").write_text("GAIN = 1\n")
    (plugin / "gain.txt").write_text("0.5")
    (plugin / "config.json").write_text("{}")
    (plugin / "README.md").write_text("A method.")
    (plugin / "method.toml").write_text('name = "m"')
    return plugin


def hash_of(folder: Path, **parameters: object) -> str:
    return fingerprint(folder / "method.py", folder, parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    ["method.py", "part.py", "gain.txt", "config.json", "deep/table.csv", "net.safetensors", ".env", ".data/gain.json"],
)
def test_every_file_counts(folder, name):
    before = hash_of(folder)
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("changed = 1\n")
    assert hash_of(folder) != before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("README.md", "Another text."),
        ("LICENSE", "All rights."),
        ("method.toml", 'name = "m"\ntitle = "A better title"'),
        ("__pycache__/method.cpython-311.pyc", "x"),
        (".git/HEAD", "x"),
        (".mypy_cache/CACHEDIR.TAG", "x"),
        (".DS_Store", "x"),
        (".env/pyvenv.cfg", "home = /usr/bin"),
        (".method.py.swp", "x"),
        ("method.py", CODE.replace("# HU", "# in HU").replace("class M:", 'class M:\n    """A class."""\n')),
    ],
)
def test_prose_and_caches_do_not_count(folder, name, content):
    before = hash_of(folder)
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    assert hash_of(folder) == before


def test_parameters_requirements_and_weights_count(folder):
    hashes = {
        hash_of(folder),
        hash_of(folder, width=3),
        fingerprint(folder / "method.py", folder, {}, ["x>1"]),
        fingerprint(folder / "method.py", folder, {}, weights_sha256="ab"),
    }
    assert len(hashes) == 4


def test_a_file_that_a_parameter_names_counts_and_a_choice_names_none(folder, tmp_path, monkeypatch):
    parameters = {"model": {"default": ""}, "prior": {"default": "raw", "choices": ["raw"]}}
    card = MethodCard(name="m", title="m", summary="m", domain="image", parameters=parameters)
    monkeypatch.chdir(tmp_path)

    def hash_with(text: str) -> str:
        request = MethodRequest(MethodEntry(card, folder / "method.py", folder=folder), {"model": text})
        return FittedMethod(request, NO_WEIGHTS).hash

    texts = ["", "net.pth", str(tmp_path / "net.pth"), "\0", "x" * 5000, str(folder)]
    before = [hash_with(text) for text in texts]
    Path("net.pth").write_text("weights")
    Path("raw").write_text("of somebody else's")
    after = [hash_with(text) for text in texts]
    assert [one != other for one, other in zip(before, after, strict=True)] == [False, True, True, False, False, False]
    Path("net.pth").write_text("of a longer training")
    assert hash_with("net.pth") != after[1]


@pytest.mark.parametrize("name", ["net.safetensors", "net.json"])
@pytest.mark.parametrize("is_declared", [True, False])
def test_weights_that_the_card_declares_count_only_where_they_are_used_and_others_always(folder, name, is_declared):
    weights = [{"file": "net.safetensors", "sha256": "1" * 64, "spec": "mini"}] if is_declared else []
    card = MethodCard(name="m", title="m", summary="m", domain="image", weights=weights)
    request = MethodRequest(MethodEntry(card, folder / "method.py", folder=folder))
    identity = {"method": "m", "label": "m", "preset": None, "parameters": {}, "scan": {}}
    kept = WeightsCard(**identity, spec="mini", spec_hash="0" * 64, sha256="1" * 64)
    (folder / "net.json").write_text(kept.model_dump_json())
    (folder / "net.safetensors").write_bytes(b"weights")
    before = FittedMethod(request, NO_WEIGHTS).hash
    (folder / name).write_text("of a longer training")
    assert (FittedMethod(request, NO_WEIGHTS).hash == before) == is_declared
    used = WeightsSearch(WeightsFile(folder / ".." / "plugin" / "net.safetensors", kept))  # as somebody names it
    before = FittedMethod(request, used).hash
    (folder / name).write_text("of another day")  # that the file is what the card says is seen when it is read
    assert FittedMethod(request, used).hash == before


@pytest.mark.parametrize("mark", ["recipe.json", "spec.toml"])
def test_runs_and_trainings_within_the_folder_are_no_part_of_the_method(folder, mark):
    before = hash_of(folder)
    out, spec = folder / "runs" / "train", load_spec("mini")
    out.mkdir(parents=True)
    request = parse_methods("dudonet", [], "small")[0]
    if mark == "spec.toml":
        hold_to_spec(out, spec)
    else:
        pool = {"pool_blocks": 1, "distinct_blocks": 1, "renewed_blocks": 1, "hours": None, "steps": 1, "batch": 1}
        hold_to_recipe(out, Recipe.of(request, spec, seed=0, precision="32-true", **pool))
    (out / "checkpoint.pt").write_bytes(b"state")
    assert hash_of(folder) == before
    (out / mark).write_text("{}")  # a plugin's own file of that name
    assert hash_of(folder) != before


def test_only_the_toolbox_modules_that_are_imported_count(folder, tmp_path, monkeypatch):
    package = tmp_path / "marbench"
    toolbox = package / "toolbox"
    toolbox.mkdir(parents=True)
    (toolbox / "__init__.py").write_text("")
    (toolbox / "interpolation.py").write_text("from marbench.toolbox.deeper import f\n")
    (toolbox / "deeper.py").write_text("f = 1\n")
    (toolbox / "networks.py").write_text("n = 1\n")
    monkeypatch.setattr("marbench.method.fingerprint._PACKAGE", package)
    before = hash_of(folder)
    (toolbox / "networks.py").write_text("n = 2\n")
    (toolbox / "deeper.py").write_text("f = 1  # a comment\n")
    assert hash_of(folder) == before
    (toolbox / "deeper.py").write_text("f = 2\n")  # imported by what is imported
    assert hash_of(folder) != before


def test_a_checkout_that_is_not_installed_has_the_hashes_of_one_that_is(folder, tmp_path, monkeypatch):
    def absent(name: str) -> list[str]:
        raise PackageNotFoundError(name)

    (folder / "method.py").write_text("import numpy, skimage, torch\n")
    monkeypatch.setattr("marbench.method.fingerprint._required", _required.__wrapped__)  # asked anew each time
    before = hash_of(folder)
    monkeypatch.setattr("importlib.metadata.requires", absent)
    assert hash_of(folder) == before
    # Without its project file nobody knows what marbench stands on; another's above it says nothing of that.
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "lab"\ndependencies = ["numpy", "scikit-image", "torch"]\n'
    )
    monkeypatch.setattr("marbench.method.fingerprint._PACKAGE", tmp_path / "marbench")
    assert hash_of(folder) != before


def test_helper_packages_on_the_path_count_with_what_they_import(folder, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path / "path"))
    helper = tmp_path / "path" / "my_helper"
    helper.mkdir(parents=True)
    (helper / "__init__.py").write_text("from other_helper import x\n")
    (helper / "table.csv").write_text("1")
    (tmp_path / "path" / "other_helper.py").write_text("x = 1\n")
    (folder / "method.py").write_text("def f():\n    import my_helper\n")
    hashes = [hash_of(folder)]
    (helper / "table.csv").write_text("2")
    hashes.append(hash_of(folder))
    (tmp_path / "path" / "other_helper.py").write_text("x = 2\n")
    hashes.append(hash_of(folder))
    (tmp_path / "path" / "unrelated.py").write_text("x = 2\n")
    assert len(set(hashes)) == 3
    assert hash_of(folder) == hashes[-1]


def test_links_are_what_they_lead_to_and_circles_end(folder, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.bin").write_bytes(b"1")
    (folder / "data").symlink_to(data)
    (data / "back").symlink_to(folder)
    before = hash_of(folder)
    (data / "a.bin").write_bytes(b"2")
    assert hash_of(folder) != before


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ('"""Doc."""\nx = "# no comment"  # one\n', 'x = "# no comment"'),
        ("def f():\n    'é' # ü\n    return 'ö'  # ä\n", "def f():\n    return 'ö'"),
        ("x = 1\n\n\n# only\ny = 2\n", "x = 1\ny = 2"),
        ('x = """\n# text\n\n"""\n', 'x = """\n# text\n"""'),
        ("def broken(:\n", "def broken(:\n"),
        ("a = '\x0c'\nx = 12  # twelve\n", "a = '\x0c'\nx = 12"),
        ("a = '\u2028'\nx = 12  # twelve\n", "a = '\u2028'\nx = 12"),
        ("x = 1  # one\r\ny = 2  # two\rz = 3  # three\n", "x = 1\ny = 2\nz = 3"),
    ],
)
def test_code_without_prose(source, left):
    assert code_without_prose(source) == left

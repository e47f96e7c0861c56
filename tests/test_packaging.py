"""What a wheel of marbench is to be: small, with all that runs from it, and honest about Python and torch."""

import fnmatch
import importlib.metadata
import io
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.version import Version

from marbench.method.starter import write_plugin

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WHEEL = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]


def test_what_goes_into_the_wheel_is_less_than_15_mb():
    left_out = [pattern.lstrip("/") for pattern in WHEEL["exclude"]]
    files = [path for folder in WHEEL["only-include"] for path in (ROOT / folder).rglob("*") if path.is_file()]
    kept = [
        path
        for path in files
        if path.suffix != ".pyc"
        and not any(fnmatch.fnmatch(path.relative_to(ROOT).as_posix(), pattern) for pattern in left_out)
    ]
    assert len(kept) < len(files)  # the patterns mean something
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path in kept:
            wheel.write(path)
    assert packed.tell() < 15e6


def test_folders_beside_the_package_travel_within_it():
    assert set(WHEEL["sources"]) | {"marbench"} == set(WHEEL["only-include"])
    for folder, inside in WHEEL["sources"].items():
        assert (ROOT / folder).is_dir() and inside == f"marbench/_bundled/{folder}"
    assert (ROOT / "marbench" / "py.typed").is_file()


def test_classifiers_say_which_python_and_that_it_is_typed():
    assert PROJECT["project"]["requires-python"] == ">=3.11"
    said = {text.rpartition(" :: ")[2] for text in PROJECT["project"]["classifiers"]}
    assert {"3.11", "3.12", "3.13", "Typed"} <= said


def test_a_method_is_packaged_whole_as_the_manual_says(tmp_path):
    # The first that makes wheels by itself. Not imported here, where the distutils of Python may be there already.
    installed = [each.version for each in importlib.metadata.distributions(name="setuptools")]
    if not any(Version(version) >= Version("70.1") for version in installed):
        pytest.skip("needs setuptools >= 70.1")
    (project,) = re.findall(
        r"```toml\n(\[project\].*?)```", (ROOT / "docs" / "methods.md").read_text(encoding="utf-8"), re.DOTALL
    )
    (tmp_path / "pyproject.toml").write_text(project, encoding="utf-8")
    folder = write_plugin("mymethod", "learned", tmp_path)
    for name in ("__init__.py", "weights/mini.safetensors", "weights/mini.json", "deep/er/table.csv", "deep/part.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    whole = {path.relative_to(tmp_path).as_posix() for path in folder.rglob("*.*")}
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "method.cpython-311.pyc").touch()
    build = "import setuptools.build_meta as backend; backend.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        assert {name for name in packed.namelist() if name.startswith("mymethod/")} == whole

"""What a wheel of marbench is to be: small, with all that runs from it, and honest about Python and torch."""

import fnmatch
import io
import tomllib
import zipfile
from pathlib import Path

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

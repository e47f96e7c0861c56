"""Check that the tests hold the world still: ``nice python scripts/mutation.py [--only TEXT …]``.

A mutation of ``mutations.toml`` is one small change to physics, operators, phantoms, placement, metals, correction
methods, metrics or random streams: one that nobody would see in a picture, and that makes numbers incomparable all the
same. Each is applied alone, in a copy of the checkout, where the golden worlds and then the tests of the changed room
run until one is red. Prints a table, and exits with 1 if a mutation survives, with 2 if one could not be tested: the
text that it changes must stand in its file exactly once, so that code that moved is noticed here.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_name("mutations.toml")
LIMIT_SECONDS = 900
NONE_RED = "–"


class NotTested(Exception):
    """Whether a mutation turns a test red could not be found out."""


class Mutation(NamedTuple):
    """A change: in a file, ``old`` becomes ``new``."""

    name: str
    file: str
    old: str
    new: str


# Which tests are asked, after the golden worlds, about a change below a folder: the first that fits.
TESTS = {
    "marbench/cases/anatomical.py": ("tests/cases/test_anatomical.py",),
    "marbench/cases/placement.py": ("tests/cases/test_placement.py",),
    "marbench/cases/own_metals.py": ("tests/cases/test_own_metals.py",),
    "marbench/cases": ("tests/cases/test_suite.py",),
    "marbench/ct": ("tests/ct/test_projection.py", "tests/ct/test_inversion.py", "tests/ct/test_symmetry.py"),
    "marbench/geometry.py": ("tests/ct/test_projection.py", "tests/ct/test_inversion.py"),
    "marbench/learning": ("tests/learning/test_cases.py",),
    "marbench/masks.py": ("tests/cases/test_own_metals.py",),
    "marbench/metrics": ("tests/metrics",),
    "marbench/phantoms": ("tests/phantoms",),
    "marbench/physics": ("tests/physics",),
    "marbench/spec": ("tests/test_spec.py",),
    "marbench/toolbox": ("tests/toolbox", "tests/methods"),
    "data_specs": ("tests/test_spec.py",),
    "methods": ("tests/methods",),
}


def mutations() -> list[Mutation]:
    """Return the mutations of the table."""
    files = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return [Mutation(name, file, *texts) for file, table in files.items() for name, texts in table.items()]


def copied(folder: Path) -> None:
    """Copy the checkout as it is on the disk, without what git ignores."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.check_output(command, cwd=ROOT, text=True).split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def tests_of(file: str) -> tuple[str, ...]:
    """Return the tests to run for a changed file."""
    return "tests/golden", *next(tests for folder, tests in TESTS.items() if file.startswith(folder))


def first_red(folder: Path, tests: tuple[str, ...]) -> str | None:
    """Run tests until one fails, and return its name.

    Raises
    ------
    NotTested
        pytest itself was ended, or failed: that says nothing about the tests.
    """
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *tests]
    # Compiled files are told from their sources by size and second: a mutation could meet those of the one before.
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    options = {"cwd": folder, "env": environment, "capture_output": True, "text": True, "timeout": LIMIT_SECONDS}
    try:
        done = subprocess.run(command, **options)
    except subprocess.TimeoutExpired:
        raise NotTested(f"no end within {LIMIT_SECONDS} s") from None
    if done.returncode == 0:
        return None
    for test in ET.parse(report).iter("testcase") if report.exists() else ():
        if test.find("failure") is not None or test.find("error") is not None:
            return f"{test.get('classname', '').rpartition('.')[2]}::{test.get('name')}"
    raise NotTested(f"pytest ended with {done.returncode}")


def tried(folder: Path, mutation: Mutation) -> tuple[str, str, float]:
    """Return what became of a mutation ("red", "survived", or why it was not tested), the red test, and the seconds."""
    path, start = folder / mutation.file, time.perf_counter()
    if not path.is_file() or (source := path.read_text(encoding="utf-8")).count(mutation.old) != 1:
        return "no such text", NONE_RED, 0.0
    try:
        path.write_text(source.replace(mutation.old, mutation.new), encoding="utf-8")
        red = first_red(folder, tests_of(mutation.file))
    except NotTested as reason:
        return str(reason), NONE_RED, time.perf_counter() - start
    finally:
        path.write_text(source, encoding="utf-8")
    return "red" if red else "survived", red or NONE_RED, time.perf_counter() - start


def rows(chosen: list[Mutation], folder: Path) -> Iterator[tuple[str, str]]:
    """Yield what became of each mutation, and a line of the table."""
    for mutation in chosen:
        fate, red, seconds = tried(folder, mutation)
        shown = red if fate == "red" else f"**{fate}**"
        yield fate, f"| {mutation.name} | {mutation.file} | {shown} | {seconds:.0f} |"


def main() -> int:
    """Try all mutations, or those that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[""], help="mutations whose name or file contains one of these")
    only = parser.parse_args().only
    chosen = [each for each in mutations() if any(text in each.name or text in each.file for text in only)]
    fates = []
    with tempfile.TemporaryDirectory(prefix="marbench-mutation-") as scratch:
        folder = Path(scratch)
        copied(folder)
        tests = tuple(dict.fromkeys(test for mutation in chosen for test in tests_of(mutation.file)))
        already_red = first_red(folder, tests)
        if already_red:
            print(f"Without any mutation {already_red} is red: mend that first.")
            return 2
        print("| mutation | file | first test that turned red | s |\n|---|---|---|--:|", flush=True)
        for fate, line in rows(chosen, folder):
            fates.append(fate)
            print(line, flush=True)
    print(f"\n{len(fates)} mutations, {fates.count('red')} red, {fates.count('survived')} survived.")
    return 2 if set(fates) - {"red", "survived"} else int("survived" in fates)


if __name__ == "__main__":
    sys.exit(main())

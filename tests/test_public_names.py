"""What users may rely on by name."""

import subprocess
import sys

import marbench

NAMES = {
    "Batch",
    "Case",
    "Context",
    "LearnedMethod",
    "MarbenchError",
    "Method",
    "Objective",
    "ProgramMethod",
    "Scan",
    "Spec",
    "Suite",
    "Truth",
    "check",
    "collate",
    "evaluate",
    "load_method",
    "load_spec",
    "methods",
    "read_run",
    "run",
    "score",
}


def test_the_public_names_are_these_and_each_can_be_had():
    assert set(marbench.__all__) == {*NAMES, "__version__"}
    assert set(dir(marbench)) == {*NAMES, "__version__", "ct", "errors", "geometry"}
    for name in dir(marbench):
        assert getattr(marbench, name) is not None


def test_importing_marbench_brings_nothing_heavy():
    heavy = ("torch", "numpy", "pandas", "matplotlib", "pydantic", "scipy", "pyarrow")
    code = f"import sys, marbench\nprint([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

"""What users may rely on by name."""

import ast
import subprocess
import sys
from pathlib import Path

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


def test_what_modules_take_from_each_other_stands_in_all():
    root = Path(marbench.__file__).parents[1]
    files = {".".join(file.relative_to(root).with_suffix("").parts): file for file in root.glob("marbench/**/*.py")}
    trees = {name.removesuffix(".__init__"): ast.parse(file.read_text("utf-8")) for name, file in files.items()}
    public = {
        f"{module}.{name}"
        for module, tree in trees.items()
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for name in ast.literal_eval(node.value)
    }
    taken = {
        f"{node.module}.{alias.name}"
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in trees
        for alias in node.names
    }
    assert taken - public - trees.keys() == set()


def test_a_run_needs_nothing_that_unix_alone_has():
    code = "import sys\nsys.modules.update(fcntl=None, resource=None)\nimport marbench.bench.run"
    subprocess.run([sys.executable, "-c", code], check=True)

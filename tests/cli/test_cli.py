import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from marbench.cli import main
from marbench.results.store import open_run

ROOT = Path(__file__).resolve().parents[2]


def marbench(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(main, [str(argument) for argument in arguments])


def python(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True, timeout=60
    ).stdout


@pytest.mark.parametrize("arguments", ["--help", "--version", "run --help", "no-such-verb"])
def test_help_loads_nothing_heavy(arguments):
    heavy = ("torch", "numpy", "pandas", "matplotlib", "pydantic", "rich", "scipy")
    code = "import sys\nfrom click.testing import CliRunner\nfrom marbench.cli import main\n"
    code += f"CliRunner().invoke(main, {arguments.split()})\nprint([name for name in {heavy} if name in sys.modules])"
    assert python(code).strip() == "[]"


def test_every_verb_has_its_module_and_its_help():
    listed = python("import sys\nfrom marbench.cli import main\nsys.argv = ['marbench', '--help']\nmain()")
    modules = {path.stem for path in (ROOT / "marbench" / "cli").glob("*.py")}
    for verb in modules - {"__init__", "options", "progress", "summary", "terminal"}:
        assert f"\n  {verb} " in listed
        result = marbench(verb, "--help")
        assert result.exit_code == 0
        assert f" {verb} [OPTIONS]" in result.output
    # A module that was imported is a name in the package, and one of them is called list.
    assert marbench("--help").exit_code == 0


def test_openmp_waits_passively_unless_told_otherwise(monkeypatch):
    for given, expected in ((None, "PASSIVE"), ("ACTIVE", "ACTIVE")):
        monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
        if given:
            monkeypatch.setenv("OMP_WAIT_POLICY", given)
        marbench("run", "--shard", "9/1")
        assert os.environ["OMP_WAIT_POLICY"] == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run --methods nmr", "did you mean 'nmar'?"),
        ("run --spec mni", "did you mean 'mini'?"),
        ("run --methods nmar[prio=raw]", "did you mean 'prior'?"),
        ("run --device cuda:99", "use the device cpu"),
        ("run --shard 3/2", "i/n"),
        ("run --plugins /no/such/folder", "does not exist"),
        ("run --limit 0", "not in the range"),
        ("run --timeout -1", "a positive number of seconds"),
        ("show nmaar", "did you mean 'nmar'?"),
        ("report /no/such/run", "marbench run --out"),
        ("jump", "No such command"),
    ],
)
def test_wrong_use_has_exit_code_2_and_a_message_without_traceback(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = marbench(*arguments.split())
    assert result.exit_code == 2, result.output
    assert "Error: " in result.output
    assert message in result.output
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_two_plugins_of_one_name_are_refused(tmp_path, tiny_file):
    for folder in ("a", "b"):
        (tmp_path / folder / "li2").mkdir(parents=True)
        (tmp_path / folder / "li2" / "method.toml").write_text(
            'name = "twin"\ntitle = "t"\nsummary = "s"\ndomain = "image"\n'
        )
    result = marbench("run", "--spec", tiny_file, "--plugins", tmp_path / "a", "--plugins", tmp_path / "b")
    assert result.exit_code == 2
    assert "Two methods are called 'twin'" in result.output


def test_a_run_ends_with_a_table_a_line_of_seconds_and_code_0(tmp_path, tiny_file):
    methods = "none,nmar[prior=raw]"
    result = marbench(
        "run", "--spec", tiny_file, "--methods", methods, "--out", tmp_path / "out", "--limit", "4", "--no-report"
    )
    assert result.exit_code == 0, result.output
    assert "nmar[prior=raw]" in result.stdout
    assert "8 new results in" in result.stdout
    assert all(f"{what} " in result.stdout for what in ("simulation", "methods", "scoring", "storing"))
    read = open_run(tmp_path / "out")
    assert len(read.rows) == 8
    assert set(read.timings["method"]) == {"none", "nmar[prior=raw]"}
    assert read.commands == ["marbench run --spec tiny.toml --methods 'none,nmar[prior=raw]' --limit 4 --no-report"]
    assert read.cards["nmar[prior=raw]"]["values"]["prior"] == "raw"


def test_a_run_with_failures_has_code_1_and_says_why_at_once_and_below_the_table(tmp_path, tiny_file):
    source = "from marbench import Method\nclass Bad(Method):\n    def reduce(self, scan): raise ValueError('cold')\n"
    (tmp_path / "bad.py").write_text(source)
    methods = f"none,{tmp_path / 'bad.py'}:Bad"
    options = ["--out", tmp_path / "out", "--limit", "2", "--no-report", "--no-timing"]
    result = marbench("run", "--spec", tiny_file, "--methods", methods, *options)
    assert result.exit_code == 1
    assert result.output.count(": error: ValueError: cold") == 1  # while it runs; the table names the reason again
    assert "--retry-failed" in result.output


def test_the_default_folder_is_named_after_the_benchmark(tmp_path, tiny_file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = marbench("run", "--spec", tiny_file, "--methods", "none", "--limit", "1", "--no-report", "--no-timing")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "runs" / "tiny" / "spec.toml").is_file()


def test_a_folder_of_another_benchmark_has_exit_code_2(tmp_path, tiny_file):
    arguments = ["--methods", "none", "--limit", "1", "--no-report", "--no-timing", "--out", tmp_path / "out"]
    assert marbench("run", "--spec", tiny_file, *arguments).exit_code == 0
    result = marbench("run", "--spec", "mini", *arguments)
    assert result.exit_code == 2
    assert "choose another --out" in result.output.lower()


def test_list_tells_what_can_run_and_why_not(tmp_path):
    folder = tmp_path / "needy"
    folder.mkdir()
    card = 'name = "needy"\ntitle = "t"\nsummary = "s"\ndomain = "image"\nrequires = ["no_such_package"]\n'
    (folder / "method.toml").write_text(card)
    result = marbench("list", "--json", "--plugins", folder)
    assert result.exit_code == 0, result.output
    listed = json.loads(result.stdout)
    assert {"mini", "dudonet2019"} <= {entry["name"] for entry in listed["benchmarks"]}
    methods = {entry["name"]: entry for entry in listed["methods"]}
    assert methods["li"]["available"]
    assert not methods["needy"]["available"]
    assert "no_such_package" in methods["needy"]["why_not"]
    assert "no_such_package" in marbench("list", "--plugins", folder).stdout
    (folder / "method.toml").write_text("name =")
    broken = marbench("list", "--json", "--plugins", folder)
    assert "Skipped: " in broken.stderr and "needy" not in broken.stdout and json.loads(broken.stdout)


def test_show_gives_benchmarks_and_methods_in_full(tiny_file):
    from marbench.spec import load_spec

    shown = marbench("show", "mini").stdout
    assert load_spec("mini").hash in shown
    assert "geometry.source_distance_cm" in shown
    assert "test cases" in marbench("show", tiny_file).stdout
    method = marbench("show", "nmar").stdout
    assert "Meyer" in method
    assert "parameter prior" in method


def test_simulate_writes_cases(tmp_path, tiny_file):
    result = marbench("simulate", "--spec", tiny_file, "--out", tmp_path / "cases", "--limit", "2")
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "cases" / "test").glob("*.npz"))) == 2
    assert "README.txt" in result.stdout


def test_doctor_names_a_method_that_cannot_run_and_says_so_by_its_exit_code(tmp_path):
    (tmp_path / "sick").mkdir()
    (tmp_path / "sick" / "method.toml").write_text('name = "sick"\ntitle = "t"\nsummary = "s"\ndomain = "image"\n')
    (tmp_path / "sick" / "method.py").write_text("raise RuntimeError('fever')")
    (tmp_path / "nameless").mkdir()
    (tmp_path / "nameless" / "method.toml").write_text("name =")
    result = marbench("doctor", "--plugins", tmp_path)
    assert result.exit_code == 1
    assert re.search(r"! +method \(skipped\) .*nameless", result.stdout)
    line = next(line for line in result.stdout.splitlines() if "method sick" in line)
    assert line.startswith("! ")
    assert "fever" in line
    assert "OMP_WAIT_POLICY" in result.stdout
    assert {"h5py", "dask", "distributed"} <= {line[4:].partition(" ")[0] for line in result.stdout.splitlines()}


def test_a_method_with_its_own_interpreter_is_judged_by_what_is_installed_there(tmp_path):
    python, there, folder = tmp_path / "python", tmp_path / "there", tmp_path / "apart"
    there.mkdir()
    (there / "only_there.py").write_text("OFFSET = 1.0\n")
    python.write_text(f'#!/bin/sh\nPYTHONPATH={there} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    folder.mkdir()
    card = f'name = "apart"\ntitle = "t"\nsummary = "s"\ndomain = "image"\npython = "{python}"\n'
    (folder / "method.toml").write_text(card + 'requires = ["only_there"]\n')
    (folder / "method.py").write_text("import only_there\nfrom marbench import Method\nclass P(Method): pass\n")
    listed = json.loads(marbench("list", "--json", "--plugins", folder).stdout)["methods"]
    assert [entry["available"] for entry in listed if entry["name"] == "apart"] == [True]
    result = marbench("doctor", "--plugins", folder)
    assert result.exit_code == 0, result.stdout
    assert re.search(r"ok +method apart +can run", result.stdout)


def test_doctor_outlives_a_plugin_that_ends_its_process(tmp_path):
    (tmp_path / "method.toml").write_text('name = "sick"\ntitle = "t"\nsummary = "s"\ndomain = "image"\n')
    (tmp_path / "method.py").write_text("import os\nos._exit(7)\n")
    result = marbench("doctor", "--plugins", tmp_path)
    assert result.exit_code == 1
    assert re.search(r"! +method sick +its process ended during load: it left with exit code 7", result.stdout)


def test_doctor_says_how_to_train_a_network_that_nobody_has_trained_and_calls_it_no_fault(tmp_path):
    assert marbench("new", "mynet", "--template", "learned", "--out", tmp_path).exit_code == 0
    result = marbench("doctor", "--plugins", tmp_path)
    assert result.exit_code == 0, result.stdout
    line = next(line for line in result.stdout.splitlines() if "method mynet" in line)
    assert "marbench train mynet" in line


def test_doctor_says_which_operators_are_chosen_and_why_others_are_not(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    result = marbench("doctor")
    assert result.exit_code == 0, result.stdout
    lines = [line[4:].rstrip() for line in result.stdout.splitlines()]
    for kind in ("project", "invert"):
        start = next(k for k, line in enumerate(lines) if line.startswith(f"{kind} (mini, cpu)"))
        assert "sparse: views and image share the symmetry of the square" in lines[start]
        others = [line.split(maxsplit=2) for line in lines[start + 1 : start + 4]]
        assert [name for _, name, _ in others] == ["reference", "torch_radon", "triton"]
        assert others[0][0] == "or"
        assert others[2][0] == "not"
        assert re.match(r"triton is not installed|Triton kernels run on CUDA devices", others[2][2])
    listed = {line.split()[0]: line.split()[1] for line in lines if "sent" in line}
    assert {"pydicom", "nibabel", "lightning_fabric", "triton", "torch_radon"} <= listed.keys()
    assert set(listed.values()) <= {"present", "absent"}


NO_SUCH_DEVICE = {
    "run": ("--methods", "li", "--limit", "1"),
    "time": ("--methods", "li"),
    "train": ("dudonet", "--steps", "1"),
}


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("verb", NO_SUCH_DEVICE)
def test_absent_gpu_is_said_before_any_work_begins(tmp_path, tiny_file, verb):
    out = tmp_path / "out"
    result = marbench(verb, *NO_SUCH_DEVICE[verb], "--spec", tiny_file, "--device", "cuda", "--out", out)
    assert result.exit_code == 2
    assert "CUDA" in result.stderr
    assert "use the device cpu" in result.stderr
    assert not out.exists()


def test_time_prints_medians(tmp_path, tiny_file):
    which = ["--spec", tiny_file, "--methods", "li", "--out", tmp_path / "out"]
    assert marbench("run", *which, "--limit", "1", "--no-report", "--no-timing").exit_code == 0
    result = marbench("time", *which)
    assert result.exit_code == 0, result.output
    assert "median" in result.stdout
    assert "li" in result.stdout
    source = "from marbench import Method\nclass Bad(Method):\n    def reduce(self, scan): raise ValueError('cold')\n"
    (tmp_path / "bad.py").write_text(source)
    result = marbench("time", *which, "--methods", f"none,{tmp_path / 'bad.py'}:Bad")
    assert result.exit_code == 1
    assert "bad.py:Bad could not be timed" in result.output
    assert "Uncorrected" in result.stdout and "Linear" not in result.stdout  # what was timed now


def test_all_methods_means_those_that_can_run_here(tmp_path, tiny_file):
    """Learned methods have no weights for this geometry: they are named, and nothing has failed."""
    options = ["--methods", "all", "--out", tmp_path / "out", "--limit", "1", "--no-report", "--no-timing"]
    result = marbench("run", "--spec", tiny_file, *options)
    assert result.exit_code == 0, result.output
    assert "Not run: dudonet has no weights" in result.output
    assert f"`marbench train dudonet --spec {tiny_file} " in result.output
    (tmp_path / "own.py").write_text("def same(scan):\n    return scan.image\n")
    result = marbench("run", "--spec", tiny_file, *options, "--methods", f"all,{tmp_path / 'own.py'}:same")
    assert result.exit_code == 0, result.output
    for named in ("li,dudonet", "all,dudonet"):
        result = marbench("run", "--spec", tiny_file, *options, "--methods", named)
        assert result.exit_code == 1
        assert result.output.count("\ndudonet: dudonet has no weights") == 1 and "; the page" not in result.output

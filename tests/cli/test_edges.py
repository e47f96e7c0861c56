"""Commands at their edges, as real processes: any terminal, any path, absurd options."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from marbench.cli import main, options
from marbench.results.store import open_run

ROOT = Path(__file__).resolve().parents[2]


def marbench(*arguments: str | bytes | Path, shell: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command; ``shell`` is what stands behind it on the command line."""
    command = [sys.executable, "-m", "marbench", *arguments]
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **environment}
    if shell:
        line = b" ".join(b"'" + os.fsencode(word) + b"'" for word in command)
        command = ["bash", "-o", "pipefail", "-c", line + b" " + shell.encode()]  # type: ignore[list-item]
    return subprocess.run(command, env=settings, capture_output=True, timeout=240)


@pytest.fixture(scope="module")
def unheard(
    tiny_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[bytes, subprocess.CompletedProcess[bytes]]:
    """The folder, whose name is no text, of a run of a method that fails and to which nobody listens."""
    folder = tmp_path_factory.mktemp("unheard")
    (folder / "bad.py").write_text(
        "from marbench import Method\nclass Bad(Method):\n    def reduce(self, scan): raise ValueError\n"
    )
    out = os.fsencode(folder) + b"/\xff\xfe out"
    words = ["run", "--spec", tiny_file, "--methods", f"none,{folder / 'bad.py'}:Bad", "--limit", "1", "--out", out]
    return out, marbench(*words, "--no-timing", "--isolation", "inline", shell="> /dev/full 2>&-")


def test_a_run_renders_its_page_whatever_its_folder_is_called_and_happens_to_its_output(unheard):
    out, _ = unheard
    page = Path(os.fsdecode(out + b"/report/provenance.html"))
    assert b"marbench report " in page.read_bytes()
    page.unlink()
    result = marbench("report", out, shell="| head -1")
    assert result.returncode == 0, result.stderr
    assert b"marbench report " in page.read_bytes()
    assert b"Traceback" not in result.stderr and b"Exception ignored" not in result.stderr


def test_the_exit_code_keeps_its_meaning_where_nobody_listens(unheard):
    out, result = unheard
    assert result.returncode == 1
    rows = open_run(Path(os.fsdecode(out))).rows.set_index("method")
    assert rows.at["bad.py:Bad", "message"].startswith("ValueError") and rows.at["none", "status"] == "ok"
    assert marbench("show", "nothing", shell="2> /dev/full").returncode == 2


@pytest.mark.parametrize(("encoding", "verb"), [("ascii", "show dudonet"), ("latin-1:strict", "list")])
def test_an_alphabet_that_lacks_letters_is_no_obstacle(encoding, verb):
    result = marbench(*verb.split(), PYTHONIOENCODING=encoding)
    assert result.returncode == 0, result.stderr
    assert b"dudonet" in result.stdout


@pytest.mark.parametrize("shell", ["| head -1", "> /dev/full"])
def test_listing_into_nowhere_is_no_error(shell):
    result = marbench("list", shell=shell)
    assert result.returncode == 0
    assert result.stderr == b""


ABSURD = [
    ("run --timeout inf", "--timeout"),
    ("run --timeout nan", "--timeout"),
    ("run --timeout 1e20", "--timeout"),
    ("run --timeout 0", "--timeout"),
    ("run --memory nan", "--memory"),
    ("run --threads 100000000", "--threads"),
    ("run --threads 0", "--threads"),
    ("run --threads 99999999999999999999", "--threads"),
    ("train dudonet --hours nan", "--hours"),
    ("train dudonet --hours inf", "--hours"),
    ("train dudonet --scenes nan", "--scenes"),
    *((f"{verb} --device {name}", "There is no device") for verb in ("run", "list") for name in ("mps", "meta", "xla")),
    ("run --device privateuseone", "There is no device"),
    ("run --device cuda:x", "There is no device"),
    ("run --device cuda:999", "There is no device"),
    ("run --out ~no-such-user/x", "no such user"),
    (f"run --out {'n' * 300}", "too long"),
    (f"run --out {'/'.join(['n' * 200] * 30)}", "too long"),
    ("run --out a\0b", "cannot be the name"),
    ("run --plugins ~no-such-user/x", "no such user"),
    (f"run --spec {'n' * 300}", ""),
    ("run --spec ~no-such-user/x.toml", ""),
    ("run --methods ~no-such-user/x.py:C", ""),
    (f"run --methods {'n' * 300}.py:C", ""),
    ("report ~no-such-user/x", "no such user"),
    (f"report {'n' * 300}", "too long"),
    ("report a\0b", "cannot be the name"),
    ("score . --method OurMAR", "lower-case letters"),
    ("figure . --years --errors --out a.svg", "no case"),
    ("figure . --years --field whole --out a.svg", "no case"),
    (f"publish x --site {'n' * 300}", "too long"),
    (f"simulate --out {'n' * 300}", "too long"),
]


@pytest.mark.parametrize(("line", "message"), ABSURD, ids=lambda text: text[:50])
def test_absurd_options_get_one_clear_line_and_do_nothing(line, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, line.split(" "))
    assert result.exit_code == 2, (result.output, result.exception)
    assert message in result.output
    assert "Traceback" not in result.output
    assert len(result.output.splitlines()[-1]) < 800
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_system_is_one_line(tmp_path, monkeypatch):
    @click.command()
    def refuse() -> None:
        (tmp_path / "absent").read_bytes()

    monkeypatch.setattr("marbench.cli._Verbs.get_command", lambda *_: refuse)
    result = CliRunner().invoke(main, ["list"])
    assert result.exit_code == 1
    assert result.output == f"Error: {tmp_path / 'absent'}: No such file or directory\n"


@pytest.mark.parametrize("line", ["run --methods none", "time --methods none", "score . --method mine"])
def test_a_benchmark_without_test_cases_is_refused_and_nothing_is_written(line, tmp_path, tiny_file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    empty = f'extends = "{tiny_file.as_posix()}"\nname = "empty"\n[split]\ntest = {{ patients = 0, slices = 0 }}\n'
    Path("empty.toml").write_text(empty, encoding="utf-8")
    result = CliRunner().invoke(main, [*line.split(), "--spec", "empty.toml", "--out", "out"])
    assert result.exit_code == 2 and "empty has no test cases" in result.output, (result.output, result.exception)
    assert not Path("out").exists()


def test_a_relative_folder_is_resolved_when_the_command_begins(tmp_path, tiny_file, monkeypatch):
    """A plugin that changes the working folder takes nobody's results elsewhere."""
    (tmp_path / "roams.py").write_text(
        "import os\nfrom marbench import Method\nos.chdir('/')\nclass Roams(Method):\n"
        "    def reduce(self, scan):\n        os.chdir('/tmp')\n        return scan.image\n"
    )
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    line = ["run", "--spec", str(tiny_file), "--methods", "../roams.py:Roams,none", "--limit", "1", "--no-timing"]
    result = CliRunner(env={"COLUMNS": "100"}).invoke(main, [*line, "--isolation", "inline"])
    assert result.exit_code == 0, result.output
    assert Path.cwd() == Path("/tmp")
    assert "here/runs/tiny/report/index.html" in result.output
    assert len(open_run(tmp_path / "here" / "runs" / "tiny").rows) == 2


def test_a_printed_command_can_be_pasted_whatever_the_folder_is_called(tmp_path, tiny_file, monkeypatch):
    def told(*line: str | Path) -> list[str]:
        """Return the last words of what a command says."""
        output = CliRunner(env={"COLUMNS": "100"}).invoke(main, [*map(str, line)]).output
        return shlex.split(output[output.rindex("marbench ") :])[1:]

    monkeypatch.chdir(tmp_path)
    line = ("--spec", tiny_file, "--methods", "none", "--limit", 1, "--images", "all", "--no-timing", "--no-report")
    assert told("run", *line, "--isolation", "inline", "--out", "my run") == ["report", "my run"]
    shutil.copytree("my run", "its twin")
    assert told("merge", "my run", "its twin", "--out", "the sum") == ["report", "the sum"]
    (picture,) = Path("my run", "images").glob("*/none.npz")
    np.save(f"{picture.parent.name}.npy", np.load(picture)["image"].astype(np.float32))
    assert told("score", ".", "--method", "other", "--spec", tiny_file, "--out", "my run") == ["report", "my run"]
    assert told("report", "no run") == ["run", "--out", str(tmp_path / "no run")]
    assert told("reproduce", "table3", "--run", "my run") == ["time", "--out", str(tmp_path / "my run")]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("li,/home/jane/x.py:C", "li,x.py:C"),
        ("../ward/x.py:C,nmar[prior=raw]", "x.py:C,nmar[prior=raw]"),
        ("m[atlas=/data/DOE/a.npy,n=3],none", "m[atlas=a.npy,n=3],none"),
        ("~/x.py:C", "x.py:C"),
        ("C:\\Users\\jane\\x.py:C", "x.py:C"),
        ("/home/jane=1/x.py:C", "x.py:C"),
        ("all", "all"),
    ],
)
def test_a_kept_command_names_no_folder(given, kept):
    import torch

    @click.command("run")
    @options.methods_option
    @options.spec_option
    @options.plugins_option
    @click.option("--shard")
    @options.threads_option
    @click.pass_context
    def command(ctx: click.Context, **_: object) -> None:
        click.echo(options.command_line(ctx))

    line = ["--methods", given, "--spec", "../own/a.toml", "--plugins", "/home/jane/p/", "--shard", "2/8"]
    line += ["--threads", str(torch.get_num_threads())]
    words = CliRunner().invoke(command, line).output.strip()
    quoted = f"'{kept}'" if set(kept) & set("[]*") else kept
    assert words == f"marbench run --methods {quoted} --spec a.toml --plugins p --shard 2/8 --threads {line[-1]}"


def test_listing_imports_neither_torch_nor_plugins_nor_opens_weights(tmp_path):
    folder = tmp_path / "loud"
    folder.mkdir()
    card = 'name = "loud"\ntitle = "t"\nsummary = "s"\ndomain = "image"\n'
    (folder / "method.toml").write_text(card)
    (folder / "method.py").write_text("raise SystemExit('imported')")
    code = (
        "import sys\nopened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)\n"
        "from marbench.cli import main\n"
        f"try:\n    main(['list', '--json', '--plugins', {str(folder)!r}])\nexcept SystemExit as end:\n"
        "    heavy = [name for name in ('torch', 'pandas', 'scipy', 'matplotlib') if name in sys.modules]\n"
        "    weights = [name for name in opened if name.endswith('.safetensors')]\n"
        "    print(end.code, heavy, weights, file=sys.stderr)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stderr == "0 [] []\n"
    listed = {entry["name"]: entry for entry in json.loads(result.stdout)["methods"]}
    assert listed["loud"]["available"] and listed["dudonet"]["available"]


def test_listing_says_which_methods_lack_weights_for_a_benchmark(tiny_file):
    listed = json.loads(CliRunner().invoke(main, ["list", "--json", "--spec", str(tiny_file)]).output)["methods"]
    available = {entry["name"]: entry["available"] for entry in listed}
    assert available["li"] and available["none"] and not available["dudonet"]
    (why,) = [entry["why_not"] for entry in listed if entry["name"] == "dudonet"]
    assert "marbench train dudonet" in why and "\n" not in why


@pytest.mark.parametrize("requirement", ["", "no_such_package", "numpy.no_such_part", "..", "a b"])
def test_listing_survives_any_requirement(tmp_path, requirement):
    card = f'name = "needy"\ntitle = "t"\nsummary = "s"\ndomain = "image"\nrequires = [{json.dumps(requirement)}]\n'
    (tmp_path / "method.toml").write_text(card)
    (tmp_path / "method.py").write_text("")
    result = CliRunner().invoke(main, ["list", "--json", "--plugins", str(tmp_path)])
    assert result.exit_code == 0, result.output


def test_weights_are_shown_for_people():
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(main, ["show", "dudonet"]).output
    assert "{'" not in shown and "safetensors" not in shown
    line = next(line for line in shown.splitlines() if "weights dudonet small" in line)
    assert "for mini" in line and "MB" in line and "validation:" in shown
    assert "for dudonet2019" in next(line for line in shown.splitlines() if "weights dudonet fine" in line)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_no_number_of_a_timing_is_cut_on_a_narrow_terminal(columns):
    import pandas as pd
    from rich.console import Console

    from marbench.cli.summary import timings_for_print

    row = {"method": "nmar[prior=raw]", "device": "cpu", "device_name": "AMD EPYC 9654 96-Core Processor", "threads": 2}
    row |= {"host_id": "h", "case_id": "c", "seconds": 0.0283, "peak_mb": 1234.0, "parameters": 25834251}
    unknown = row | {"method": "li", "peak_mb": np.nan, "parameters": np.nan}
    console = Console(width=columns, record=True, file=io.StringIO())
    console.print(timings_for_print(pd.DataFrame([row, unknown]), {"nmar[prior=raw]": "NMAR [prior=raw]"}))
    text = console.export_text()
    assert "28.3 [28.3, 28.3]" in text and "1234" in text and "25834251" in text and "parameters" in text
    assert "…" not in text and "nan" not in text


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_no_mean_is_cut_on_a_narrow_terminal_and_groups_are_there_where_they_fit(tmp_path, columns):
    from rich.console import Console
    from synthetic_runs import METHODS, failed, write_run

    from marbench.cli.summary import summary_table

    def change(row):
        row = failed(row) if row.method == "dudonet[variant=F]" and row.case_index == 7 else row
        return replace(row, size_group=row.case_index % 10 + 1)

    run = open_run(write_run(tmp_path, METHODS[:2] + METHODS[5:], change=change))
    console = Console(width=columns, record=True, file=io.StringIO())
    console.print(summary_table(run.rows, run.spec, run.cards, console.width))
    text, good = console.export_text(), run.rows[run.rows["status"] == "ok"].groupby("method")
    means = good["psnr[dudonet2019]"].mean().tolist()
    if columns == 200:
        means += run.rows.groupby(["method", "size_group"])["psnr[dudonet2019]"].mean().tolist()
    assert all(re.search(rf" {mean:.2f} +│", text) for mean in means)
    assert re.search(r"│ 199/200 ok +│", text) and "…" not in text
    assert max(map(len, text.splitlines())) <= columns


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_descriptors_that_the_caller_has_closed_are_open_before_anything_can_get_their_numbers(tmp_path, closed):
    # A socket to a method's process that is number 0 would be overwritten in that process.
    code = "import os; from marbench.cli.terminal import lenient_streams\n"
    code += "with lenient_streams(): open('told', 'w').write(str([os.fstat(number).st_rdev for number in range(3)]))"
    command = f"exec {shlex.quote(sys.executable)} -c {shlex.quote(code)} {closed}"
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    assert (tmp_path / "told").read_text().count(",") == 2

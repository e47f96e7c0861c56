"""Methods in processes and interpreters of their own, whatever they do there. Real processes, one server for all."""

import os
import random
import site
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import marbench
from marbench import Method
from marbench.bench.environments import environment_for
from marbench.bench.limits import Limits
from marbench.bench.options import RunOptions
from marbench.bench.producers import InlineProducer, ProcessProducer, producer_of
from marbench.bench.work import PRELOAD
from marbench.cases.suite import Suite
from marbench.errors import MarbenchError
from marbench.machine.forkserver import shared_server
from marbench.method.request import parse_methods

HEAD = "import os, signal, sys, time, json\nimport numpy as np\nimport torch\nfrom marbench import Method\n\n"


@pytest.fixture
def producer(tmp_path, tiny):
    """Return a function that makes the producer of a plugin; all are closed at the end."""
    made = []

    def make(body="return scan.image", before="", load="pass", card="", limits=None, isolation="auto", asked="x"):
        folder = tmp_path / f"plugin{len(made)}"
        folder.mkdir()
        (folder / "method.toml").write_text(
            f'name = "x"\ntitle = "x"\nsummary = "a test"\ndomain = "image"\n{card}', encoding="utf-8"
        )
        indented = [text.replace("\n", "\n        ") for text in (load, body)]
        (folder / "method.py").write_text(
            f"{HEAD}{before}\nclass X(Method):\n    def load(self, context):\n        self.context = context\n"
            f"        {indented[0]}\n    def reduce(self, scan):\n        {indented[1]}\n",
            encoding="utf-8",
        )
        fitted = parse_methods(asked.format(folder), [folder])[0].for_spec(tiny)
        device = torch.device("cpu")
        made.append(producer_of(fitted, tiny, device, limits or Limits(), isolation, shared_server(PRELOAD)))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def cases(tiny):
    suite = Suite(tiny)
    return suite[0], suite[1]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_who_gets_a_process(producer, tiny):
    assert isinstance(producer(), ProcessProducer)
    assert isinstance(producer(isolation="inline"), InlineProducer)
    # The truth is in this process: a card lets nobody in.
    assert isinstance(producer(card='isolation = "inline"\n'), ProcessProducer)
    assert isinstance(producer(card='isolation = "inline"\n', isolation="inline"), InlineProducer)
    device, server = torch.device("cpu"), shared_server(PRELOAD)
    shipped = parse_methods("li")[0].for_spec(tiny)
    assert isinstance(producer_of(shipped, tiny, device, Limits(), "auto", server), InlineProducer)
    for limits in (Limits(seconds=5), Limits(memory_gb=1)):
        assert isinstance(producer_of(shipped, tiny, device, limits, "auto", server), ProcessProducer)
        # What a user limits, no card takes out of the limit.
        assert isinstance(producer(card='isolation = "inline"\n', limits=limits), ProcessProducer)


def test_who_asks_for_this_process_has_a_limit_of_time_there(producer, cases):
    outcome = producer("time.sleep(30)", limits=Limits(seconds=0.5), isolation="inline").produce(cases[0])
    assert outcome.failure.status == "timeout"


def test_what_a_killed_process_has_written_for_a_while_goes_with_it(producer, cases, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    body = "import tempfile\nopen(tempfile.mkdtemp() + '/slice', 'w').write('x')\n"
    body += f"open({str(tmp_path / 'where')!r}, 'w').write(tempfile.gettempdir())\ntime.sleep(60)"
    one = producer(body, limits=Limits(seconds=1))
    assert one.produce(cases[0]).failure.status == "timeout"
    assert (tmp_path / "where").read_text().startswith(str(tmp_path / "scratch"))
    assert not list((tmp_path / "scratch").rglob("slice"))
    one.close()
    assert not list((tmp_path / "scratch").iterdir())


def test_an_image_from_another_process_is_the_same_to_the_bit(producer, cases):
    body = "return scan.image + torch.rand(scan.image.shape) + float(np.random.rand())"
    own, other = producer(body, isolation="inline"), producer(body)
    for case in cases:
        assert np.array_equal(own.produce(case).image, other.produce(case).image)


def test_the_process_holds_no_truth_and_no_folder_of_results(producer, cases):
    body = (
        "import gc\nfrom marbench.cases.case import Case, Truth\n"
        "assert not [o for o in gc.get_objects() if isinstance(o, (Case, Truth))]\nreturn scan.image"
    )
    assert producer(body).produce(cases[0]).failure is None


ONCE = """
once = os.path.join(os.path.dirname(__file__), "once")
if not os.path.exists(once):
    open(once, "w").close()
    {}
return scan.image
"""


@pytest.mark.parametrize("card", ["", f"python = {sys.executable!r}\n"])
def test_a_program_that_outlives_its_process_does_not_hide_that_it_has_ended(producer, cases, card):
    one = producer(ONCE.format("os.system('sleep 1000 &'); os._exit(3)"), card=card, limits=Limits(seconds=120))
    assert one.produce(cases[0]).failure.error_kind == "exit code 3"


@pytest.mark.parametrize(
    ("body", "statuses", "kinds"),
    [
        ("os._exit(0)", {"crashed"}, {"exit code 0"}),
        ("os._exit(3)", {"crashed"}, {"exit code 3"}),
        ("import ctypes; ctypes.string_at(0)", {"crashed"}, {"SIGSEGV"}),
        ("os.abort()", {"crashed"}, {"SIGABRT"}),
        ("os.closerange(0, 1000)", {"crashed"}, None),
        ("import socket; socket.socket.sendall = lambda *a: None", {"timeout"}, {"Timeout"}),
        ("json.dumps = lambda *a, **k: '{'", {"crashed"}, {"ChannelError"}),
        ("signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)", {"timeout"}, {"Timeout"}),
    ],
)
def test_what_ends_a_process_is_an_outcome_and_the_next_case_has_a_new_one(producer, cases, body, statuses, kinds):
    one = producer(ONCE.format(body), limits=Limits(seconds=4))
    failure = one.produce(cases[0]).failure
    assert failure is not None
    assert failure.status in statuses
    assert kinds is None or failure.error_kind in kinds
    assert one.produce(cases[1]).failure is None


KILL = "os.kill(os.{}(), signal.SIGKILL); time.sleep(60)"


@pytest.mark.parametrize("where", ["body", "load"])
@pytest.mark.parametrize("whom", ["getpid", "getppid"])
def test_what_is_ended_from_outside_is_done_again(producer, cases, whom, where):
    once = ONCE.format(KILL.format(whom))
    told = {"body": once} if where == "body" else {"load": once.removesuffix("return scan.image\n")}
    assert producer(**told).produce(cases[0]).failure is None


@pytest.mark.parametrize("where", ["body", "load"])
def test_what_is_ended_from_outside_is_not_done_for_ever(producer, cases, where, tmp_path):
    count = f"open({str(tmp_path / 'count')!r}, 'a').write('x')\n"
    failure = producer(**{where: count + KILL.format("getpid")}).produce(cases[0]).failure
    assert failure is not None
    assert failure.status in ("crashed", "oom")
    assert failure.error_kind in ("Lost", "SIGKILL")
    assert (tmp_path / "count").read_text() == "xx"


def test_a_method_that_cannot_be_loaded_again_once_fails_on_that_case_alone(producer, cases, tmp_path):
    ill = str(tmp_path / "ill")
    load = f"if os.path.exists({ill!r}):\n    os.remove({ill!r})\n    time.sleep(60)"
    one = producer(ONCE.format(f"open({ill!r}, 'w').close(); os._exit(3)"), load=load, limits=Limits(seconds=4))
    failures = [one.produce(case).failure for case in (cases[0], cases[1], cases[0], cases[1])]
    assert [failure and failure.status for failure in failures] == ["crashed", "timeout", None, None]
    assert "load took longer" in failures[1].message


@pytest.mark.parametrize("isolation", ["inline", "process"])
def test_a_method_that_was_closed_for_anothers_sake_may_fail_to_load_once(producer, cases, tmp_path, isolation):
    ill = tmp_path / "ill"
    one = producer(load=f"assert not os.path.exists({str(ill)!r})", isolation=isolation)
    failures = [one.produce(cases[0]).failure]
    one.close()
    ill.touch()
    failures.append(one.produce(cases[0]).failure)
    ill.unlink()
    failures.append(one.produce(cases[0]).failure)
    assert [failure and failure.status for failure in failures] == [None, "unavailable", None]


def test_code_that_was_changed_is_not_loaded_again_and_a_comment_may_be(producer, cases, tmp_path):
    one = producer(ONCE.format("os._exit(3)") + "  # as it was")
    assert one.produce(cases[0]).failure.status == "crashed"
    file = next(tmp_path.glob("plugin*")) / "method.py"
    code = file.read_text()
    file.write_text(code.replace("# as it was", "# said otherwise"))
    assert one.produce(cases[0]).failure is None
    one.close()
    file.write_text(code.replace("return scan.image", "return scan.image + 1"))
    failure = one.produce(cases[0]).failure
    assert failure.status == "unavailable"
    assert "its code was changed during this run" in failure.message
    file.write_text(code)
    assert one.produce(cases[0]).failure is None


def test_what_was_closed_in_this_process_is_held_to_its_code_too(producer, cases, tmp_path):
    one = producer(isolation="inline")
    assert one.produce(cases[0]).failure is None
    one.close()
    assert one.produce(cases[0]).failure is None
    one.close()
    file = tmp_path / "plugin0" / "method.py"
    file.write_text(file.read_text().replace("return scan.image", "return scan.image + 1"))
    assert "its code was changed during this run" in one.produce(cases[0]).failure.message


@pytest.mark.parametrize("where", ["before", "load", "body"])
def test_the_limit_holds_for_import_load_and_calls_and_leaves_no_process(producer, cases, tmp_path, where):
    told = tmp_path / "pid"
    endless = f"open({str(told)!r}, 'w').write(str(os.getpid()))\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\n"
    one = producer(**{where: endless + "time.sleep(1000)"}, limits=Limits(seconds=2))
    failure = one.produce(cases[0]).failure
    assert failure is not None
    assert failure.status == "timeout"
    assert f"{'reduce' if where == 'body' else 'load'} took longer than 2 s" in failure.message
    assert not alive(int(told.read_text()))


@pytest.mark.parametrize("body", ["x = bytearray(3 << 30)", "x = torch.ones(3 << 28)", "x = np.ones(3 << 28)"])
def test_too_much_memory_is_an_outcome(producer, cases, body):
    one = producer(ONCE.format(body), limits=Limits(memory_gb=1))
    failure = one.produce(cases[0]).failure
    assert failure is not None
    assert failure.status == "oom"
    assert one.produce(cases[1]).failure is None


def test_what_fills_the_memory_bit_by_bit_costs_the_call_in_which_it_is_full(producer, cases):
    one = producer("KEPT.append(bytearray(600_000_000))\nreturn scan.image", "KEPT = []", limits=Limits(memory_gb=1))
    failures = [one.produce(cases[0]).failure for _ in range(4)]
    assert [failure and failure.status for failure in failures] == [None, "oom", None, "oom"]


@pytest.mark.parametrize("isolation", ["auto", "inline"])
def test_a_number_of_parameters_that_can_be_none_is_not_believed(producer, isolation):
    for told in (-1, 10**30):
        many = "class Many(torch.nn.Linear):\n    def parameters(self): return [self]\n"
        many += f"    def numel(self): return {told}\n"
        one = producer(before=many, load="self.network = Many(1, 1)", isolation=isolation)
        one.open()
        assert (one.failure, one.parameters) == (None, None)


@pytest.mark.parametrize("isolation", ["auto", "inline"])
def test_what_is_drawn_while_loading_is_the_same_each_time(producer, cases, isolation):
    drawn = "self.drawn = torch.rand(()) + float(np.random.rand())"
    images = []
    for _ in range(2):
        one = producer("return scan.image + 100 * self.drawn", load=drawn, isolation=isolation)
        images.append(one.produce(cases[0]).image)
        torch.rand(3)
    assert np.array_equal(*images)


def test_copies_that_a_plugin_forks_answer_nothing(producer, cases):
    one = producer("os.fork()\nreturn scan.image")
    for case in (*cases, *cases):
        image = one.produce(case).image
        assert np.array_equal(image, case.scan.image[0].numpy())


def test_a_clock_that_a_plugin_has_changed_is_not_believed(producer, cases):
    one = producer("time.sleep(0.3)\nreturn scan.image", load="time.perf_counter = lambda: 0.0")
    assert one.produce(cases[0]).seconds >= 0.3


def test_what_a_result_puts_off_until_it_is_read_counts_as_time(producer, cases):
    lazy = (
        "class Lazy(torch.Tensor):\n    def detach(self):\n        time.sleep(0.1)\n        return super().detach()\n"
    )
    for isolation in ("auto", "inline"):
        one = producer("return scan.image.as_subclass(Lazy)", lazy, isolation=isolation)
        assert one.produce(cases[0]).seconds >= 0.1


SWITCHES = """
import random, warnings
random.random(); np.random.rand(); torch.rand(3)
torch.set_default_dtype(torch.float64)
torch.use_deterministic_algorithms(True, warn_only=True)
torch.set_float32_matmul_precision("medium")
torch.set_grad_enabled(False)
np.seterr(all="ignore")
warnings.simplefilter("ignore")
"""


def world():
    """Return what methods in this process share with everybody else."""
    random_numbers = random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()  # noqa: NPY002
    deterministic = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    switches = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_float32_matmul_precision()
    return *random_numbers, *deterministic, *switches, np.geterr(), list(warnings.filters)


def test_a_method_in_this_process_leaves_the_world_as_it_was(producer, cases, tiny):
    before = world()
    one = producer(f"{SWITCHES}\nreturn scan.image.float()", SWITCHES, SWITCHES, isolation="inline")
    assert one.produce(cases[0]).failure is None
    assert world() == before

    class Own(Method):
        def load(self, context):
            exec(SWITCHES)

        def reduce(self, scan):
            exec(SWITCHES)
            return scan.image

    assert set(marbench.evaluate(Own, tiny, limit=1)["status"]) == {"ok"}
    assert world() == before


def test_warnings_are_not_repeated_for_each_call(producer, cases, recwarn):
    one = producer("import warnings\nwarnings.warn('once')\nreturn scan.image", isolation="inline")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        for case in (*cases, *cases):
            one.produce(case)
    assert len(recwarn) == 1


def test_what_a_process_printed_is_told_where_it_crashed(producer, cases):
    one = producer("print('\\x1b[31mhere we are'); print('x' * 3_000_000); print('the end', flush=True); os._exit(1)")
    failure = one.produce(cases[0]).failure
    assert failure is not None
    assert failure.trace.endswith("the end\n")
    assert len(failure.trace) <= 20_000


def test_the_child_meets_the_world_of_the_moment(producer, cases, monkeypatch):
    monkeypatch.setenv("MARBENCH_TEST", "1")
    assert producer(load="assert os.environ['MARBENCH_TEST'] == '1'").produce(cases[0]).failure is None
    monkeypatch.delenv("MARBENCH_TEST")
    assert producer(load="assert 'MARBENCH_TEST' not in os.environ").produce(cases[0]).failure is None


@pytest.mark.parametrize("isolation", ["auto", "inline"])
def test_the_command_line_of_marbench_does_not_reach_a_method(producer, cases, monkeypatch, isolation):
    monkeypatch.setattr(sys, "argv", ["marbench", "run", "--limit", "7"])
    seen = "assert sys.argv == [''], sys.argv"
    one = producer(f"{seen}\nsys.argv.append('--mine')\nreturn scan.image", seen, seen, isolation=isolation)
    assert one.produce(cases[0]).failure is None
    assert sys.argv == ["marbench", "run", "--limit", "7"]


def wheel(folder: Path) -> Path:
    """Write a wheel as pip takes it."""
    path = folder / "marbenchtestpart-1.0-py3-none-any.whl"
    info = "marbenchtestpart-1.0.dist-info"
    files = {
        "marbenchtestpart.py": "OFFSET = 7.0\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: marbenchtestpart\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in files) + f"{info}/RECORD,,\n")
    return path


def test_a_method_can_have_an_environment_of_its_own(producer, cases, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # A path from the plugin's folder, which has no name, and what pip skips: neither is asked for again.
    requires = [f"../{wheel(tmp_path).name}", "no_such_package; python_version < '3'"]
    card = f'isolation = "venv"\nrequires = {requires}\n'
    before = "import marbenchtestpart\n"
    one = producer("return scan.image + marbenchtestpart.OFFSET", before, card=card, limits=Limits(seconds=60))
    outcome = one.produce(cases[0])
    assert outcome.failure is None
    assert np.allclose(outcome.image, cases[0].scan.image[0].numpy() + 7)
    made = list((tmp_path / "cache" / "marbench" / "environments").glob("*/ready"))
    when = made[0].stat().st_mtime_ns
    environment_for(parse_methods("x", [tmp_path / "plugin0"])[0])
    assert made[0].stat().st_mtime_ns == when  # it is made once
    with pytest.raises(ModuleNotFoundError):
        __import__("marbenchtestpart")


def test_an_environment_is_made_anew_where_a_folder_that_it_is_made_of_has_changed(producer, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("marbench.bench.environments._make", lambda folder, *_: folder.mkdir())
    producer(card='isolation = "venv"\nrequires = ["./lib"]\n')
    (request,) = parse_methods("x", [tmp_path / "plugin0"])
    library = tmp_path / "plugin0" / "lib"
    (library / "lib").mkdir(parents=True)
    (library / "lib" / "part.py").write_text("OFFSET = 7.0\n")
    first = environment_for(request)
    for left in ("build/lib/part.py", "lib.egg-info/PKG-INFO", "lib/__pycache__/part.pyc"):
        (library / left).parent.mkdir(parents=True, exist_ok=True)
        (library / left).touch()
    assert environment_for(request) == first
    os.utime(library / "lib" / "part.py", (1, 1))
    assert environment_for(request) != first


def test_an_environment_sees_what_its_user_has_installed(producer, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    producer(card='isolation = "venv"\n')
    (request,) = parse_methods("x", [tmp_path / "plugin0"])
    without = environment_for(request)
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "marbenchuserpart.py").touch()
    monkeypatch.setattr(site, "ENABLE_USER_SITE", True)
    monkeypatch.setattr(site, "USER_SITE", str(tmp_path / "user"))
    python = environment_for(request)
    assert python != without  # one that was made before saw less
    subprocess.run([python, "-c", "import marbenchuserpart, marbench"], check=True)


POOL = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

def moved(image):
    return image + 7
"""


@pytest.mark.parametrize(("start", "asked"), [("spawn", "x"), ("forkserver", "{}/method.py:X")])
def test_processes_that_a_method_starts_find_its_code(producer, cases, start, asked):
    body = f"with ProcessPoolExecutor(1, multiprocessing.get_context({start!r})) as pool:\n"
    body += "    return torch.from_numpy(pool.submit(moved, scan.image.numpy()).result())"
    outcome = producer(body, POOL, asked=asked).produce(cases[0])
    assert outcome.failure is None
    assert np.array_equal(outcome.image, cases[0].scan.image[0].numpy() + 7)


def test_requirements_that_cannot_be_installed_make_a_method_unavailable(producer, cases, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    card = f'isolation = "venv"\nrequires = ["nothing @ file://{tmp_path}/nothing.whl"]\n'
    failure = producer(card=card).produce(cases[0]).failure
    assert failure is not None
    assert failure.status == "unavailable"
    assert "cannot be installed" in failure.message
    assert str(tmp_path) not in failure.message


def test_an_environment_that_cannot_be_begun_makes_a_method_unavailable(producer, cases, tmp_path, monkeypatch):
    def without_ensurepip(*_):
        raise subprocess.CalledProcessError(1, ["python", "-m", "ensurepip"])

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("venv.EnvBuilder.create", without_ensurepip)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    failure = producer(card='isolation = "venv"\n').produce(cases[0]).failure
    assert failure is not None
    assert (failure.status, failure.error_kind) == ("unavailable", "MethodUnavailable")
    assert "its environment cannot be made" in failure.message and "Install pip beside marbench" in failure.message


def test_a_method_can_name_its_interpreter(producer, cases):
    one = producer(
        "assert os.environ.get('MARBENCH_TEST') is None\nreturn scan.image", card=f"python = {sys.executable!r}\n"
    )
    assert one.produce(cases[0]).failure is None
    failure = producer(card='python = "/no/such/python"\n').produce(cases[0]).failure
    assert failure is not None
    assert (failure.status, "/no/such" in failure.message) == ("unavailable", False)


def test_an_interpreter_without_what_marbench_needs_says_what_it_lacks(producer, cases, tmp_path):
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
    bare.chmod(0o755)
    failure = producer(card=f'python = "{bare}"\n').produce(cases[0]).failure
    assert failure.status == "unavailable"
    assert "exit code 1: ModuleNotFoundError: No module named " in failure.message


@pytest.mark.parametrize(
    "limits", [{"seconds": float("inf")}, {"seconds": float("nan")}, {"seconds": 0}, {"seconds": 1e20}]
)
def test_limits_that_limit_nothing_are_refused(limits):
    with pytest.raises(MarbenchError, match="--timeout takes a positive number"):
        Limits(**limits)
    with pytest.raises(MarbenchError, match="--threads takes"):
        Limits(threads=10**8)


def test_where_no_memory_can_be_limited_no_limit_of_it_is_taken(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(MarbenchError, match="Only on Linux"):
        RunOptions(limits=Limits(memory_gb=8))
    RunOptions(limits=Limits(memory_gb=8), dask="tcp://10.0.0.1:8786")  # its machines are others
    RunOptions(limits=Limits(seconds=8))

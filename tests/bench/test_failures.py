"""Whatever a plugin does, the run goes on, and the row says what happened."""

import numpy as np
import pandas as pd
import pytest
import torch
from running import Notes, run, table

from marbench.bench.outcome import Failure, Outcome, describe
from marbench.bench.plan import Task, Unit
from marbench.bench.producers import Producer
from marbench.bench.work import Conditions, Result, Session, Work, do
from marbench.cases.case import Case
from marbench.cases.suite import Suite
from marbench.errors import DataError
from marbench.method.images import check_image
from marbench.method.request import parse_methods
from marbench.phantoms.patients import ProceduralPatients
from marbench.results.images import gallery_cases
from marbench.results.store import open_run
from marbench.spec import Spec

FAILURES = {
    "raises": ("raise ValueError('too thin')", "error", "ValueError", "too thin [method.py, line 9, in reduce: raise"),
    "exits": ("raise SystemExit(3)", "error", "SystemExit", "3"),
    "hostile": ("class E(Exception):\n    def __str__(self): raise E\nraise E", "error", "E", "E"),
    "nan": ("return scan.image * float('nan')", "invalid", "InvalidImage", "1024 of 1024 values are NaN"),
    "infinite": ("scan.image[0, 0, 0] = float('inf')\nreturn scan.image", "invalid", "InvalidImage", "1 of 1024"),
    "huge": ("return scan.image.double() * 1e300", "invalid", "InvalidImage", "beyond float32"),
    "shape": ("return scan.image[0]", "invalid", "InvalidImage", "shape (1, 32, 32), all finite, in HU; got shape (32"),
    "integers": ("return scan.image.to(torch.int32)", "invalid", "InvalidImage", "got torch.int32"),
    "none": ("pass", "invalid", "InvalidImage", "got NoneType"),
    "list": ("return scan.image.tolist()", "invalid", "InvalidImage", "got list"),
    "memory": ("raise MemoryError", "oom", "MemoryError", "MemoryError"),
    "torch_memory": ("torch.empty(2**50)", "oom", "RuntimeError", "allocate"),
    # What torch raises when a GPU is full.
    "gpu_memory": ("raise torch.OutOfMemoryError('CUDA out of memory')", "oom", "OutOfMemoryError", "CUDA out of memo"),
    "hangs": ("while True:\n    pass", "timeout", "Timeout", "longer than 2 s"),
    "stubborn": (
        "while True:\n    try:\n        time.sleep(9)\n    except Exception:\n        pass",
        "timeout",
        "Timeout",
        "longer than 2 s",
    ),
}


def test_every_kind_of_failure_has_its_status_and_message_and_stops_nothing(tmp_path, tiny, plugin):
    for name, (body, *_) in FAILURES.items():
        folder = plugin(f"x-{name}", body)
    plugin("x-import", source="import no_such_module")
    plugin("x-quits", source="import sys; sys.exit('bye')")
    plugin("x-empty", source="")
    plugin("z-last")
    names = [f"x-{name}" for name in FAILURES] + ["x-import", "x-quits", "x-empty", "z-last"]
    rows = run(tiny, tmp_path / "out", ",".join(names), folder, limit=2, timeout=2).rows.set_index("method")
    assert len(rows) == 2 * len(names)
    assert set(rows.loc["z-last", "status"]) == {"ok"}
    for name, (_, status, kind, message) in FAILURES.items():
        for _, row in rows.loc[f"x-{name}"].iterrows():
            assert (row["status"], row["error_kind"]) == (status, kind), (name, row["message"])
            assert message in row["message"], (name, row["message"])
            assert np.isnan(row["rmse_hu"])
            assert row["metal_area_px"] > 0
    for name, why in (("import", "no_such_module"), ("quits", "bye"), ("empty", "exactly one subclass")):
        own = rows.loc[f"x-{name}"]
        assert set(own["status"]) == {"unavailable"}
        assert all(why in message for message in own["message"])
    trace = rows.loc["x-raises", "trace"].iloc[0]
    assert 'File "method.py", line 9, in reduce' in trace
    assert str(tmp_path) not in trace


def test_an_unavailable_method_is_tried_again_and_adds_no_row_without_news(tmp_path, tiny, plugin, monkeypatch):
    source = "import os\nif 'READY' not in os.environ: raise OSError('not ready')\n"
    source += "from marbench import Method\nclass P(Method):\n    def reduce(self, scan): return scan.image\n"
    folder = plugin("late", source=source)
    finished_late = run(tiny, tmp_path / "out", "late", folder, limit=3)
    assert finished_late.new == 3
    assert set(finished_late.rows["status"]) == {"unavailable"}
    assert all("OSError: not ready" in message for message in finished_late.rows["message"])
    assert run(tiny, tmp_path / "out", "late", folder, limit=3).new == 0
    monkeypatch.setenv("READY", "1")
    finished = run(tiny, tmp_path / "out", "late", folder, limit=3)
    assert set(finished.rows["status"]) == {"ok"}
    assert set(finished.rows["attempt"]) == {2}


def test_failures_are_kept_until_a_retry_is_asked_for(tmp_path, tiny, plugin):
    body = f"import os\nif not os.path.exists({str(tmp_path / 'mended')!r}): raise ValueError\nreturn scan.image"
    folder = plugin("moody", body)
    assert set(run(tiny, tmp_path / "out", "moody", folder, limit=2).rows["status"]) == {"error"}
    (tmp_path / "mended").touch()
    assert run(tiny, tmp_path / "out", "moody", folder, limit=2).new == 0
    retried = run(tiny, tmp_path / "out", "moody", folder, limit=2, retry_failed=True)
    assert set(retried.rows["status"]) == {"ok"}
    assert set(retried.rows["attempt"]) == {2}


def test_a_case_that_cannot_be_made_is_a_row_of_its_own_is_tried_again_and_is_no_fault_of_a_method(
    tmp_path, tiny, monkeypatch
):
    load, broken = ProceduralPatients.load, Suite(tiny).case_keys[0].slice_id

    def damaged(self, patient_id, slice_id, grid):
        if slice_id == broken:
            raise DataError("slice.dcm is truncated")
        return load(self, patient_id, slice_id, grid)

    monkeypatch.setattr(ProceduralPatients, "load", damaged)
    finished = run(tiny, tmp_path, "none,li")
    assert set(finished.rows["status"]) == {"ok"}
    assert broken not in set(finished.rows["slice_id"])
    assert len(finished.faults) == 10
    assert set(finished.faults["method"]) == {""}
    assert set(finished.faults["status"]) == {"error"}
    assert set(finished.faults["message"]) == {f"slice {broken}: slice.dcm is truncated"}
    again = run(tiny, tmp_path, "none,li")
    assert (again.new, len(again.faults)) == (0, 10)

    monkeypatch.setattr(ProceduralPatients, "load", load)
    mended = run(tiny, tmp_path, "none,li")
    assert (mended.new, len(mended.faults)) == (20, 0)
    assert set(mended.rows["status"]) == {"ok"}


class Holding:
    """A method that keeps memory while it is open; there is enough for ``room`` methods."""

    parameters = None

    def __init__(self, kept: list["Holding"], where: str, kind: str, room: int) -> None:
        self.kept, self.where, self.full, self.room = kept, where, Failure("oom", kind, "full"), room
        self.calls, self.failure = 0, None

    @property
    def is_open(self) -> bool:
        return self in self.kept or self.failure is not None

    def open(self) -> None:
        if self.where == "load" and len(self.kept) >= self.room:
            self.failure = self.full
        elif not self.is_open:
            self.kept.append(self)

    def produce(self, case: Case, tidy: bool = False) -> Outcome:
        self.calls += 1
        self.open()
        is_full = self.where == "call" and len(self.kept) > self.room
        return Outcome(failure=self.full) if is_full else Outcome(case.scan.image[0].numpy())

    def close(self) -> None:
        if self in self.kept:
            self.kept.remove(self)


def do_with(spec: Spec, device: str, **producers: Producer) -> list[tuple[str, str]]:
    """Return what comes of two cases with methods of these producers: (method, status)."""
    methods = tuple(request.for_spec(spec) for request in parse_methods(",".join(producers)))
    conditions = Conditions(spec, methods)
    session = Session(conditions, producers={(label, False): each for label, each in producers.items()})
    session.device = torch.device(device)
    keys = session.suite.case_keys[:2]
    tasks = tuple(Task(index, key, dict.fromkeys(producers, 1)) for index, key in enumerate(keys))
    results = (event for event in do(Work(conditions, Unit(0, tasks)), session) if isinstance(event, Result))
    return [(result.row.method, result.row.status) for result in results]


@pytest.mark.parametrize(
    ("device", "kind", "where", "status"),
    [
        ("cuda", "OutOfMemoryError", "call", "ok"),
        ("cpu", "SIGKILL", "call", "ok"),
        ("cpu", "SIGKILL", "load", "ok"),
        ("cpu", "MemoryError", "call", "oom"),  # within its own limit, say: others have nothing to do with it
    ],
)
def test_a_method_that_lacks_the_memory_that_others_keep_is_called_once_more_without_them(
    tiny, device, kind, where, status
):
    kept = []
    told = do_with(tiny, device, none=Holding(kept, "call", kind, 2), li=Holding(kept, where, kind, 1))
    assert told == 2 * [("none", "ok"), ("li", status)]


def test_a_method_that_lacks_memory_by_itself_takes_the_others_their_places_once(tiny):
    kept = []
    others, large = Holding(kept, "call", "SIGKILL", 2), Holding(kept, "call", "SIGKILL", 0)
    assert do_with(tiny, "cpu", none=others, li=large) == 2 * [("none", "ok"), ("li", "oom")]
    assert large.calls == 3


def test_a_method_can_corrupt_neither_the_scan_nor_the_settings_of_the_others(tmp_path, tiny, plugin):
    body = "for t in (scan.sinogram, scan.image, scan.metal_mask, scan.metal_trace): t.zero_()\n"
    body += "torch.set_default_dtype(torch.float64); torch.set_num_threads(3); torch.set_grad_enabled(True)\n"
    folder = plugin("a-vandal", body + "return scan.image")
    threads = torch.get_num_threads()
    alone = run(tiny, tmp_path / "alone", "li,none", limit=3).rows
    after = run(tiny, tmp_path / "after", "a-vandal,li,none", folder, limit=3).rows
    after = after[after["method"] != "a-vandal"]
    pd.testing.assert_frame_equal(table(after), table(alone))
    assert torch.get_default_dtype() == torch.float32
    assert torch.get_num_threads() == threads


def test_random_methods_give_the_same_results_in_any_order(tmp_path, tiny, plugin):
    body = "return scan.image + 100 * torch.rand(scan.image.shape) + float(np.random.rand())"
    folder = plugin("random", body)
    plugin("noisy", body)
    one = run(tiny, tmp_path / "1", "random", folder, limit=4).rows
    both = run(tiny, tmp_path / "2", "noisy,random", folder, limit=4).rows
    pd.testing.assert_frame_equal(table(one), table(both[both["method"] == "random"]))


def test_gradients_can_be_switched_on_inside_a_method(tmp_path, tiny, plugin):
    body = "assert not torch.is_grad_enabled()\nwith torch.enable_grad():\n    x = scan.image.requires_grad_()\n"
    folder = plugin("fits", body + "    (x * x).sum().backward()\nreturn x + 0 * x.grad")
    assert set(run(tiny, tmp_path / "out", "fits", folder, limit=1).rows["status"]) == {"ok"}


def test_a_method_that_changes_its_own_files_is_told_that_its_results_are_lost(tmp_path, tiny, plugin):
    folder = plugin("logs", "open(__file__ + '.log', 'a').write('called')\nreturn scan.image")
    for methods in ("logs,li", "li"):
        run(tiny, tmp_path / "out", methods, folder, progress := Notes(), limit=1)
        told = [note for note in progress.notes if note.startswith("The files of logs have changed during this run")]
        assert len(told) == ("logs" in methods)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"),
        RuntimeError("Triton Error [CUDA]: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    ],
)
def test_lack_of_memory_is_told_by_what_was_raised_or_by_its_cause(error):
    wrapped = RuntimeError("no work buffer")
    wrapped.__cause__, error.__cause__ = error, wrapped
    assert describe(error).status == describe(wrapped).status == "oom"
    assert describe(RuntimeError("no work buffer")).status == "error"


def test_a_tensor_that_puts_off_its_sign_is_an_image():
    image = torch.ones(1, 3, 4)
    negated = (image * 1j).conj().imag
    assert negated.is_neg()
    assert np.array_equal(check_image(negated, (1, 3, 4)), -image.numpy())


@pytest.mark.parametrize("dtype", ["<f8", ">f4", "f2"])
def test_arrays_of_any_floating_type_are_images(dtype):
    image = np.arange(12, dtype=dtype).reshape(1, 3, 4)
    checked = check_image(image, (1, 3, 4))
    assert checked.dtype == np.float32
    assert np.array_equal(checked, image)


def test_the_home_folder_does_not_appear_in_messages(monkeypatch):
    monkeypatch.setenv("HOME", "/home/jane")
    failure = describe(FileNotFoundError("/home/jane/weights.pt"))
    assert "jane" not in failure.message + failure.trace
    assert "weights.pt" in failure.message


def test_the_gallery_keeps_the_worst_the_median_and_the_most_disputed_case_of_every_group(tmp_path, tiny):
    finished = run(tiny, tmp_path / "out", "none,li,nmar", images="gallery")
    scores = finished.rows.pivot(index="case_id", columns="method", values="psnr[dudonet2019]")[["li", "nmar"]]
    table = pd.DataFrame({"mean": scores.mean(axis=1), "spread": scores.max(axis=1) - scores.min(axis=1)})
    table["group"] = finished.rows.groupby("case_id")["size_group"].first()
    telling = set()
    for _, group in table.groupby("group"):
        order = group.sort_values("mean").index
        telling |= {order[0], order[(len(order) - 1) // 2], group["spread"].idxmax()}
    named = gallery_cases(Suite(tiny).case_keys, tiny.report.gallery_slices)
    assert telling - named
    images = tmp_path / "out" / "images"
    assert {path.name for path in images.iterdir()} == named | telling
    assert all((images / case / f"{method}.npz").is_file() for case in telling for method in ("li", "nmar"))
    assert len(open_run(tmp_path / "out").rows) == finished.new == 3 * len(table)
    drawn = {path: path.stat().st_mtime_ns for path in images.rglob("*.npz")}
    assert run(tiny, tmp_path / "out", "none,li,nmar", images="gallery").new == 0
    assert {path: path.stat().st_mtime_ns for path in images.rglob("*.npz")} == drawn


def test_the_gallery_keeps_the_first_metal_of_every_group_and_the_version_of_the_method(tmp_path, tiny, plugin):
    keys = Suite(tiny).case_keys
    wanted = gallery_cases(keys, tiny.report.gallery_slices)
    assert wanted == {key.case_id for index, key in enumerate(keys) if index >= 10 and index % 2 == 0}
    folder = plugin("m")
    run(tiny, tmp_path / "out", "m", folder, images="gallery")
    kept = {path.name for path in (tmp_path / "out" / "images").iterdir()}
    assert kept > wanted
    case = Suite(tiny)[10]
    with np.load(tmp_path / "out" / "images" / case.id / "_case.npz") as file:
        assert {name: file[name].dtype.name for name in file.files} == {
            "truth": "int16",
            "uncorrected": "int16",
            "metal": "bool",
            "window": "float64",
            "sinogram": "int16",
            "truth_sinogram": "int16",
            "metal_trace": "bool",
        }
        assert np.abs(file["truth"] - case.truth.image[0].numpy()).max() <= 0.5
        assert np.array_equal(file["window"], case.info.window)
    with np.load(tmp_path / "out" / "images" / case.id / "m.npz") as file:
        assert str(file["method"]) == "m"
        assert file["image"].dtype == np.int16
    assert run(tiny, tmp_path / "out", "m", folder, images="gallery").new == 0
    assert run(tiny, tmp_path / "out", "m", folder, images="all").new == len(keys) - len(kept)
    plugin("m", "return scan.image + 100")
    run(tiny, tmp_path / "out", "m", folder, images="gallery")
    with np.load(tmp_path / "out" / "images" / case.id / "m.npz") as file:
        assert np.abs(file["image"] - case.scan.image[0].numpy() - 100).max() <= 0.5


def test_everything_is_readable_after_failures(tmp_path, tiny, plugin):
    folder = plugin("bad", "raise ValueError('no')")
    run(tiny, tmp_path / "out", "bad,li", folder, limit=2)
    read = open_run(tmp_path / "out")
    assert read.problems == []
    assert set(read.cards) == {"bad", "li"}
    assert len(read.hosts) == 1

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import replace

import matplotlib as mpl
import pandas as pd
import pytest
import torch
from running import table

import marbench
from marbench import Method
from marbench.cases.export import export_cases
from marbench.cases.suite import Suite
from marbench.errors import DataError, MarbenchError, MethodError
from marbench.method.request import load_method
from marbench.metrics.conventions import PSNR_CEILING
from marbench.results.rows import metric_names
from marbench.spec_sections import Counts


class Brighter(Method):
    def reduce(self, scan):
        assert self.context.device.type == "cpu"
        return scan.image + 50


def test_a_name_a_method_its_class_and_a_function_give_the_same_scores(tiny):
    columns = ["case_id", "status", *metric_names(tiny.metrics.conventions)]
    forms = [Brighter, Brighter(), lambda scan: scan.image + 50]
    first, *others = [marbench.evaluate(form, tiny, limit=3)[columns] for form in forms]
    assert set(first["status"]) == {"ok"}
    for other in others:
        pd.testing.assert_frame_equal(first, other)
    named = [marbench.evaluate(form, tiny, limit=3)[columns] for form in ("li", load_method("li", tiny))]
    pd.testing.assert_frame_equal(*named)


class Tuned(Method):
    def load(self, context):
        super().load(context)
        self.network = torch.nn.Conv2d(1, 1, 1)

    def reduce(self, scan):
        return scan.image + 0 * self.network(scan.image[:, None])[:, 0] + torch.rand(scan.image.shape)


def test_what_torch_makes_by_default_changes_no_row(tiny, other_defaults):
    def rows():
        return table(marbench.evaluate(["li", Tuned], tiny, limit=1))

    expected = rows()
    assert set(expected["status"]) == {"ok"}
    with other_defaults():
        pd.testing.assert_frame_equal(rows(), expected, check_exact=True)
    torch.set_default_device("meta")  # for good, as in a notebook
    try:
        pd.testing.assert_frame_equal(rows(), expected, check_exact=True)
        assert torch.empty(0).device.type == "meta"
    finally:
        torch.set_default_device(None)


def test_evaluate_gives_the_rows_of_a_run_to_the_bit(tmp_path, tiny):
    asked = {"limit": 3, "isolation": "inline"}
    stored = marbench.run(["li", "none"], tiny, tmp_path / "run", timing=False, workers=1, **asked)
    assert (tmp_path / "run" / "report" / "index.html").is_file()
    pd.testing.assert_frame_equal(stored, marbench.read_run(tmp_path / "run"))
    assert len(stored) == 6 and stored["case_digest"].str.len().gt(0).all()
    direct = marbench.evaluate(["li", "none"], tiny, **asked)
    pd.testing.assert_frame_equal(table(direct), table(stored), check_exact=True)
    assert set(direct["attempt"]) == {1} and set(direct["host_id"]) == set(stored["host_id"])


def test_rows_of_several_methods_plot(tiny):
    mpl.use("Agg")
    rows = marbench.evaluate(["li", Brighter, lambda scan: scan.image], tiny, limit=2)
    assert rows.groupby("method").size().to_dict() == {"<lambda>": 2, "Brighter": 2, "li": 2}
    axes = rows.boxplot("rmse_hu", by="method")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["<lambda>", "Brighter", "li"]
    assert rows.plot.scatter("metal_area_mm2", "psnr[dudonet2019]") is not None
    mpl.pyplot.close("all")


def test_the_patients_of_another_split_can_be_looked_at(tiny):
    rows = marbench.evaluate("none", tiny, limit=2, split="val")
    assert rows["case_id"].tolist() == sorted(key.case_id for key in marbench.Suite(tiny, "val").case_keys[:2])
    assert set(rows["patient_id"]).isdisjoint(key.patient_id for key in marbench.Suite(tiny).case_keys)


def test_cases_of_an_export_from_which_others_were_taken_keep_their_places(tmp_path, tiny):
    export_cases(Suite(tiny), tmp_path, 3)
    first, *others = (key.case_id for key in Suite(tiny).case_keys[:3])
    (tmp_path / "test" / f"{first}.npz").unlink()
    rows = marbench.evaluate("none", tmp_path).sort_values("case_index", ignore_index=True)
    assert rows["case_id"].tolist() == others and rows["case_index"].tolist() == [1, 2]
    whole = marbench.evaluate("none", tiny, limit=3).sort_values("case_index", ignore_index=True)
    pd.testing.assert_series_equal(rows["case_digest"], whole["case_digest"][1:].reset_index(drop=True))


def test_without_cases_there_is_nothing_to_evaluate(tiny):
    none = tiny.split.model_copy(update={"val": Counts(patients=0, slices=0)})
    with pytest.raises(DataError, match="tiny has no val cases"):
        marbench.evaluate("none", tiny.model_copy(update={"split": none}), split="val")


def test_a_limit_of_time_holds_for_plugins_and_for_functions(tiny, plugin):
    def slow(scan):
        time.sleep(30)

    asked = {"limit": 1, "timeout": 60.0, "plugins": [plugin("quick"), plugin("ends", "import os; os._exit(3)")]}
    with pytest.warns(UserWarning, match="ends: 1 of 1 cases have no image.*exit code 3"):
        rows = marbench.evaluate("quick,ends", tiny, **asked)
    assert rows.set_index("method")["status"].to_dict() == {"ends": "crashed", "quick": "ok"}
    with pytest.warns(UserWarning, match="slow: 1 of 1 .* reduce took longer than 0.1 s"):
        assert marbench.evaluate(slow, tiny, limit=1, timeout=0.1)["status"].tolist() == ["timeout"]


def test_a_function_that_fails_gives_rows_that_say_why(tiny):
    def broken(scan):
        raise RuntimeError("no idea")

    with pytest.warns(UserWarning, match=r"2 of 2 cases have no image.*no idea"):
        rows = marbench.evaluate(broken, tiny, limit=2)
    assert rows["status"].tolist() == ["error", "error"]
    assert "no idea [test_evaluate.py, line" in rows["message"][0]
    assert rows["method"][0] == "broken"
    assert rows["rmse_hu"].isna().all()


def test_a_method_that_was_loaded_for_other_scans_is_refused(tiny):
    with pytest.raises(MethodError, match=r"^li was loaded for mini: load it for tiny, or give its name\.$"):
        marbench.evaluate(load_method("li", "mini"), tiny, limit=1)
    other = tiny.model_copy(update={"reconstruction": tiny.reconstruction.model_copy(update={"window": "hann"})})
    with pytest.raises(MethodError, match="li was loaded for another benchmark called tiny: load it for tiny"):
        marbench.evaluate(load_method("li", tiny), other, limit=1)
    elsewhere = replace(load_method("li", tiny), device=torch.device("cuda:0"))
    with pytest.raises(MethodError, match="li was loaded for cuda:0: load it for cpu"):
        marbench.evaluate(elsewhere, tiny, limit=1)


@pytest.mark.parametrize("swallowed", [False, True])
def test_an_interrupt_during_a_call_is_no_failure_of_the_method(tiny, swallowed):
    calls = []

    def interrupted(scan):
        calls.append(scan)
        with suppress(KeyboardInterrupt) if swallowed else nullcontext():
            os.kill(os.getpid(), signal.SIGINT)
        return scan.image

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            marbench.evaluate(interrupted, tiny, limit=3)
        assert len(calls) == 1 and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_of_the_main_thread_methods_are_evaluated_as_in_it(tiny):
    def impatient(scan):
        raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as pool, pytest.warns(UserWarning, match="1 of 1 cases have no image"):
        rows = pool.submit(marbench.evaluate, ["none", impatient], tiny, limit=1).result()
    assert rows.set_index("method")["status"].to_dict() == {"impatient": "error", "none": "ok"}


def test_what_cannot_be_loaded_or_told_apart_is_refused(tiny):
    class Needy(Method):
        def load(self, context):
            raise RuntimeError("no weights here")

    with pytest.raises(MethodError, match="Needy cannot be loaded: RuntimeError: no weights here"):
        marbench.evaluate(Needy, tiny, limit=1)
    with pytest.raises(MethodError, match="Several methods are called '<lambda>'"):
        marbench.evaluate([lambda scan: scan.image, lambda scan: scan.image + 1], tiny, limit=1)


@pytest.mark.parametrize("method", [3, None, int])
def test_what_is_no_method_is_refused(tiny, method):
    with pytest.raises(MethodError, match="evaluate takes"):
        marbench.evaluate(method, tiny, limit=1)


def test_the_truth_scores_perfectly_and_its_metal_pixels_do_not_count(tiny):
    case = marbench.Suite(tiny)[0]
    image = case.truth.image.clone()
    image[case.truth.metal] += 1e4
    scores = marbench.score(image, case)
    assert scores["rmse_hu"] == 0
    assert scores["psnr[dudonet2019]"] == pytest.approx(PSNR_CEILING)
    assert scores["ssim[dudonet2019]"] == 1


def test_score_takes_tensors_and_arrays_with_and_without_batch_axis(tiny):
    case = marbench.Suite(tiny)[0]
    image = case.scan.image
    scores = [marbench.score(form, case) for form in (image, image[0], image.numpy(), image[0].numpy())]
    assert all(other == scores[0] for other in scores)
    assert list(scores[0]) == metric_names()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda image: image[:, 1:], r"case test-.*\(1, 32, 32\).*got shape \(1, 31, 32\)"),
        (lambda image: torch.full_like(image, torch.nan), "1024 of 1024 values are NaN"),
        (lambda image: image.to(torch.int16), "got torch.int16"),
        (lambda image: "image", "got str"),
    ],
)
def test_score_refuses_what_is_no_image_of_the_case(tiny, spoil, message):
    case = marbench.Suite(tiny)[0]
    with pytest.raises(MarbenchError, match=message):
        marbench.score(spoil(case.scan.image), case)


def test_a_device_that_is_not_there_is_refused(tiny):
    with pytest.raises(MarbenchError, match="Use cpu or cuda"):
        marbench.evaluate("none", tiny, device="abacus")
    with pytest.raises(MarbenchError, match="use the device cpu"):
        marbench.evaluate("none", tiny, device="cuda:63")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"limit": -1}, "at least 1; None takes all. Got -1"),
        ({"limit": 0}, "at least 1; None takes all. Got 0"),
        ({"limit": 1.5}, "at least 1; None takes all. Got 1.5"),
        ({"isolation": "inlnie"}, "isolation cannot be 'inlnie'; did you mean 'inline'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(tiny, tmp_path, wrong, message):
    with pytest.raises(MarbenchError, match=message):
        marbench.evaluate("li", tiny, **wrong)
    with pytest.raises(MarbenchError, match=message):
        marbench.run("li", tiny, tmp_path / "run", **wrong)
    assert not (tmp_path / "run").exists()


def test_one_of_the_methods_must_have_the_preset(tiny):
    with pytest.warns(UserWarning, match="dudonet has no weights"):
        rows = marbench.evaluate(["none", "dudonet"], tiny, limit=1, preset="small")
    assert rows.set_index("method")["preset"].to_dict() == {"none": "", "dudonet": "small"}
    with pytest.raises(MethodError, match="None of the methods has a preset 'small'"):
        marbench.evaluate(["none", "li"], tiny, limit=1, preset="small")


def test_memory_is_limited_in_processes_alone(tiny, tmp_path):
    with pytest.raises(MarbenchError, match="Only a process of its own can be held to --memory"):
        marbench.run("li", tiny, tmp_path / "run", isolation="inline", memory=1)
    assert not (tmp_path / "run").exists()


def test_a_run_takes_names_and_says_who_takes_classes(tiny, tmp_path):
    with pytest.raises(MethodError, match=r"marbench\.evaluate takes functions and classes"):
        marbench.run([Method], tiny, tmp_path / "run")
    with pytest.raises(MarbenchError, match="images cannot be 'al'; did you mean 'all'"):
        marbench.run("li", tiny, tmp_path / "run", images="al")


def test_score_takes_a_benchmark_by_name_or_file(tiny, tiny_file):
    case = marbench.Suite(tiny)[0]
    expected = marbench.score(case.scan.image, case, "hallucination", tiny)
    assert marbench.score(case.scan.image, case, "hallucination", str(tiny_file)) == expected

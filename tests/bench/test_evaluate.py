import pandas as pd
import pytest
import torch
from running import run, table

import marbench
from marbench import Method
from marbench.errors import MarbenchError, MethodError
from marbench.method.request import load_method
from marbench.metrics.conventions import PSNR_CEILING
from marbench.results.rows import metric_names


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


def test_evaluate_gives_the_rows_of_a_run(tmp_path, tiny):
    stored = table(run(tiny, tmp_path, "li", limit=3).rows)
    assert len(stored) == 3
    direct = table(marbench.evaluate("li", tiny, limit=3)).drop(columns="method_hash")
    pd.testing.assert_frame_equal(direct, stored.drop(columns="method_hash"), check_dtype=False)


def test_a_function_that_fails_gives_rows_that_say_why(tiny):
    def broken(scan):
        raise RuntimeError("no idea")

    with pytest.warns(UserWarning, match=r"2 of 2 cases have no image.*no idea"):
        rows = marbench.evaluate(broken, tiny, limit=2)
    assert rows["status"].tolist() == ["error", "error"]
    assert "no idea [test_evaluate.py, line" in rows["message"][0]
    assert rows["method"][0] == "broken"
    assert rows["rmse_hu"].isna().all()


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

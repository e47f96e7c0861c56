"""The explorer: its data equal the stored rows, and its drawings are right and light."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as dataset
import pytest
from scipy.stats import gaussian_kde
from synthetic_runs import METHODS, failed, write_run

from marbench.metrics.measure import measure
from marbench.report.explorer_charts import against_area, distributions, duels
from marbench.report.pages import render


def _sidecars(report: Path) -> dict[str, Any]:
    found = {}
    for path in (report / "explorer").glob("*.js"):
        for key, value in re.findall(r"^window\.marbenchCases\[(.*?)\] = (.*);$", path.read_text(), re.MULTILINE):
            found[json.loads(key)] = json.loads(value)
    return found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def change(row: Any) -> Any:
        if row.method == "li" and row.size_group == 2:
            return failed(row, "timeout", "too slow </script>")
        return row

    return render(write_run(tmp_path_factory.mktemp("explorer") / "run", METHODS[:4], change=change)).parent


def test_the_scores_of_every_case_equal_the_parquet_files(report: Path) -> None:
    frame = dataset.dataset(report.parent / "results", format="parquet").to_table().to_pandas()
    html = (report / "explorer.html").read_text()
    methods = json.loads(html.split('id="explorer-data">')[1].split("</script>")[0])["methods"]
    sidecars = _sidecars(report)
    cases = sidecars["cases"]
    # Far beyond what is printed: a second rounding to that would end in another digit than the first.
    for column, digits in (("psnr[dudonet2019]", 6), ("ssim[dudonetpp2020]", 8), ("rmse_hu", 5)):
        stored = frame.pivot_table(index="method", columns="case_id", values=column).loc[methods, cases["ids"]]
        values = np.array(sidecars[column], dtype=float)
        np.testing.assert_allclose(values, stored.to_numpy(), atol=0.51 * 10**-digits)
    facts = frame.drop_duplicates("case_id").set_index("case_id").loc[cases["ids"]]
    assert [cases["regionNames"][at] for at in cases["regions"]] == facts["region"].tolist()
    assert cases["groups"] == facts["size_group"].tolist()


def test_failures_are_listed_with_what_they_said(report: Path) -> None:
    failures = _sidecars(report)["cases"]["failures"]
    assert len(failures) == 40
    assert {(status, message) for _, _, status, message in failures} == {("timeout", "ValueError: too slow </script>")}


def test_the_worst_cases_are_there_without_scripts(report: Path) -> None:
    frame = dataset.dataset(report.parent / "results", format="parquet").to_table().to_pandas()
    judged = frame[frame["method"].isin(["nmar", "cnnmar"])]
    worst = judged.groupby("case_id")["psnr[dudonet2019]"].mean().nsmallest(25).index.tolist()
    table = (report / "explorer.html").read_text().split('id="cases"')[1].split("</table>")[0]
    assert re.findall(r'<th scope="row">([^<]+)</th>', table) == worst


def test_the_page_says_by_whom_cases_are_judged(tmp_path: Path) -> None:
    def told(*broken: str) -> tuple[list[str], list[bool]]:
        def change(row: Any) -> Any:
            return failed(row) if row.method in broken and row.metal_id == "m01" else row

        run = write_run(tmp_path / f"{len(broken)}", METHODS[:3], slices=1, change=change, pictures=1)
        texts = [(render(run).parent / f"{page}.html").read_text() for page in ("explorer", "gallery")]
        words = (
            "without the uncorrected image. The",
            "only of the uncorrected image. The",
            "for none has complete results",
        )
        words += (
            "uncorrected image is no method and does not",
            "uncorrected image counts, for no",
            "so do methods with failures",
        )
        assert sum(word in "".join(texts) for word in words) == 2
        return [word for word in words if word in "".join(texts)][:1], ["Best mean first" in text for text in texts]

    assert told() == (["without the uncorrected image. The"], [True, False])
    assert told("li", "nmar") == (["only of the uncorrected image. The"], [True, False])
    assert told("li", "nmar", "none") == (["for none has complete results"], [False, False])


def test_wins_ties_and_losses_are_counted_on_common_cases() -> None:
    scores = np.array([[1.0, 2.0, 3.0, np.nan], [1.001, 1.0, 4.0, 9.0]])
    board = duels(scores, measure("psnr[dudonet2019]"))
    duel = board[0][1]
    assert (duel.wins, duel.ties, duel.losses, duel.share) == (1, 1, 1, 50.0)
    assert board[0][0].share is None
    assert duels(scores, measure("rmse_hu"))[0][1].wins == 1
    rng = np.random.default_rng(0)
    shares = [[duel.share for duel in row] for row in duels(rng.normal(size=(4, 50)), measure("psnr[dudonet2019]"))]
    assert all(shares[a][b] + shares[b][a] == 100 for a in range(4) for b in range(a))


def test_boxes_stand_at_the_percentiles() -> None:
    values = np.random.default_rng(1).normal(30, 4, 500)
    drawing = distributions(["a"], values[None])
    assert drawing is not None
    (shape,) = drawing.shapes
    assert shape.quartiles == tuple(drawing.x(float(value)) for value in np.percentile(values, [25, 50, 75]))
    assert shape.points.count("h0") <= 200


def test_the_outline_of_a_distribution_is_scipys_kernel_density() -> None:
    values = np.sort(np.random.default_rng(1).normal(30, 4, 500))
    drawing = distributions(["a"], values[None])
    assert drawing is not None
    places = np.linspace(values[0], values[-1], 48)
    upper = [point.split() for point in drawing.shapes[0].violin[1:].split("L")[:48]]
    assert [x for x, _ in upper] == [f"{drawing.x(float(place)):.1f}" for place in places]
    heights = np.array([float(y) for _, y in upper])
    density = gaussian_kde(values)(places)
    drawn, expected = np.ptp(heights), density - density.min()
    np.testing.assert_allclose((heights.max() - heights) / drawn, expected / expected.max(), atol=0.01)


@pytest.mark.parametrize("row", [[np.nan, np.nan], [30.0, 30.0], [30.0, np.inf], [np.inf, np.inf]])
def test_odd_distributions_are_drawn_or_left_out(row: list[float]) -> None:
    drawing = distributions(["a"], np.array([row]))
    assert (drawing is None) == (not np.isfinite(row).any())
    area = against_area(["a"], np.array([row]), np.array([10.0, np.nan]), np.array([1.0, 1.0]))
    assert area is None or area.panels[0].points


def test_pages_stay_light_with_many_methods_and_cases(tmp_path: Path) -> None:
    from synthetic_runs import Synthetic

    methods = [Synthetic(f"method-{number:02d}", 20.0 + number / 2) for number in range(20)]
    report = render(write_run(tmp_path / "run", methods, slices=30, patients=20)).parent
    assert (report / "explorer.html").stat().st_size < 400_000
    assert max(path.stat().st_size for path in (report / "explorer").iterdir()) < 200_000

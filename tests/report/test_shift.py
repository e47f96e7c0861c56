"""`marbench shift`: a benchmark beside the same with one thing changed, and the page that compares them."""

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from browser import Browser
from click.testing import CliRunner, Result
from running import Notes

from marbench.bench.options import RunOptions
from marbench.bench.shift import Station, run_shift
from marbench.bench.shift_axes import axes, chosen_axes, derive
from marbench.cli import main
from marbench.errors import SpecError
from marbench.machine.interrupts import Interrupts
from marbench.method.request import parse_methods
from marbench.metrics.measure import measures_of
from marbench.report.shift import AxisTable, Cell, _column, shift_csv, shift_tables
from marbench.report.spreadsheet import csv_text
from marbench.results.paired import differences, other_cases, worst_cases
from marbench.results.store import open_run
from marbench.spec import load_spec

# Six patients, and so intervals, of one case each.
SIX = """
extends = "{tiny}"
name = "six"
title = "six"

[metals]
size_groups = 1

[[metals.own]]
id = "pin"
pixel_cm = 0.64
masks = {{ titanium = "pin.npy" }}
centre_cm = [-2, 3]

[split]
test = {{ patients = 6, slices = 6 }}

[report]
gallery_slices = [0]
"""


def marbench(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def six(tiny_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("six")
    np.save(folder / "pin.npy", np.ones((5, 7), bool))
    (folder / "six.toml").write_text(SIX.format(tiny=tiny_file.as_posix()), encoding="utf-8")
    return folder / "six.toml"


@pytest.fixture(scope="module")
def out(six: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shift") / "six-shift"
    chosen = "--methods", "none,li", "--axes", "displacement", "--cases", "99", "--workers", "1"
    result = marbench("shift", "--spec", six, *chosen, "--out", out)
    assert result.exit_code == 0, result.output
    return out


def rows_of(folder: Path) -> pd.DataFrame:
    return open_run(folder).rows


def test_every_point_is_a_run_of_the_cases_of_the_base(out: Path) -> None:
    base = rows_of(out / "six")
    for name in ("six-displacement-1", "six-displacement-2"):
        point = rows_of(out / name)
        assert other_cases(base, point) == ()
        assert sorted(point["case_id"]) == sorted(base["case_id"])
        assert (out / name / "report" / "index.html").is_file()
    assert "every point has the cases of the base" in (out / "index.html").read_text(encoding="utf-8")


def test_the_numbers_of_the_page_are_those_of_the_rows(out: Path) -> None:
    page, table = (out / "index.html").read_text(encoding="utf-8"), pd.read_csv(out / "shift.csv", dtype={"point": str})
    assert (out / "shift.csv").read_bytes().startswith(b"\xef\xbb\xbfaxis,")
    (row,) = re.findall(r'<tr data-method="li".*?</tr>', page, re.DOTALL)
    shown = re.findall(r'data-measure="([^"]+)" data-value="([^"]+)"', row)
    measures = ["psnr[dudonet2019]", "rmse_hu"]
    base = rows_of(out / "six").query("method == 'li'").set_index("case_id")[measures]
    expected = []
    for point in (1, 2):
        here = rows_of(out / f"six-displacement-{point}").query("method == 'li'").set_index("case_id")[measures]
        for measure in measures:
            change = (here[measure] - base[measure]).sort_index()
            expected.append((measure, change.mean()))
            (line,) = table.query(f"point == '{point}' and method == 'li' and measure == @measure").itertuples()
            assert (line.base, line.difference) == pytest.approx((base[measure].mean(), change.mean()))
            # One case of each patient: the plain bootstrap, drawn anew.
            draws = np.random.default_rng(1).choice(change.to_numpy(), (20_000, 6)).mean(axis=1)
            low, high = np.quantile(draws, [0.025, 0.975])
            assert (line.low, line.high) == pytest.approx((low, high), abs=0.05 * (high - low))
            assert line.patients == 6
        lost = (here[measures[0]] - base[measures[0]]).sort_index()
        (line,) = table.query(f"point == '{point}' and method == 'li' and measure == @measures[0]").itertuples()
        assert (line.worst_case, line.worst_difference) == (lost.idxmin(), pytest.approx(lost.min()))
    assert [name for name, _ in shown] == [name for name, _ in expected]
    assert [float(value) for _, value in shown] == pytest.approx([value for _, value in expected])
    # A trace in the wrong place leaves metal in what is interpolated.
    assert expected[0][1] < -1


def test_a_case_that_could_not_be_made_at_a_point_is_the_reason_for_an_empty_cell(out: Path, six: Path) -> None:
    spec = load_spec(six)
    base = Station(spec, out / "six", rows_of(out / "six"), pd.DataFrame())
    lost = base.rows["case_id"].iloc[0]
    rows, faults = base.rows[base.rows["case_id"] != lost], pd.DataFrame([{"case_id": lost, "message": "outside"}])
    measures = measures_of(spec.metrics.conventions)[:1]
    (cell,) = _column(base, replace(base, rows=rows, faults=faults), ["li"], measures).values()
    assert cell.reason == "1 case could not be made: outside"
    (cell,) = _column(base, replace(base, rows=rows), ["li"], measures).values()
    assert cell.reason == "some case has no number"


def test_spreadsheets_take_the_table_for_utf_8_and_no_label_for_a_formula(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(csv_text(["label", "db"], [["+1 px", -0.5], ["−1 µ", None]]), encoding="utf-8")
    assert (tmp_path / "t.csv").read_bytes().startswith(b"\xef\xbb\xbflabel,db\n")
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["label"].tolist() == ["'+1 px", "−1 µ"] and table["db"].tolist() == pytest.approx(
        [-0.5, np.nan], nan_ok=True
    )


def test_why_there_is_no_number_names_points_and_methods() -> None:
    axis = axes()["dose"]
    unmade, failed = Cell(reason="not made"), Cell(reason="error: no convergence")
    cells = {"a": (Cell(), failed, unmade), "b": (Cell(), Cell(), unmade), "c": (failed, failed, unmade)}
    table = AxisTable(axis, tuple((point, "", False) for point in axis.points[:3]), cells)
    first, second, third = (axis.named(point) for point in axis.points[:3])
    assert table.reasons == {
        "error: no convergence": {(second,): ("a",), (first, second): ("c",)},
        "not made": {(third,): ("a", "b", "c")},
    }


def test_the_case_that_lost_most_is_in_the_gallery_that_is_linked(out: Path) -> None:
    page = (out / "index.html").read_text(encoding="utf-8")
    links = re.findall(r'<a href="([^"#]+)#case=([^"]+)" title="([^"]+)"', page)
    assert links
    for gallery, case, title in links:
        assert unquote(case) == title
        assert title in (out / gallery).read_text(encoding="utf-8")
    # The uncorrected image loses nothing where only the mask differs.
    assert "worst" not in re.search(r'<tr data-method="none".*?</tr>', page, re.DOTALL)[0]  # type: ignore[index]


def test_what_the_folders_hold_is_not_done_again(out: Path, six: Path) -> None:
    parts, told = sorted(out.glob("*/results/*")), Notes()
    options, requests = RunOptions(timing=False, workers=1), parse_methods("none,li", [])
    shift = run_shift(load_spec(six), chosen_axes("displacement"), requests, out, options, told, Interrupts())
    assert len(shift.base.rows) == 12
    assert {name: total for name, total in told.stretches.items() if total} == {}
    assert sorted(out.glob("*/results/*")) == parts
    assert shift_csv(shift_tables(shift)) == (out / "shift.csv").read_text(encoding="utf-8")


def test_a_point_that_leaves_no_photons_behind_a_bowtie_costs_that_point_alone(six: Path, tmp_path: Path) -> None:
    path = six.with_name("bowtie.toml")
    thickness = "material = 'aluminum'\nthickness = [[0, 0.1], [8, 0.1], [40, 20]]"
    path.write_text(
        f'extends = "{six.as_posix()}"\nname = "bowtie"\n[physics]\nphotons = 300\n[physics.bowtie]\n{thickness}\n',
        encoding="utf-8",
    )
    options, requests = RunOptions(timing=False, workers=1, spread=1), parse_methods("none", [])
    shift = run_shift(load_spec(path), chosen_axes("dose"), requests, tmp_path, options, Notes(), Interrupts())
    assert [one.spec.name for one in shift.runs] == ["bowtie", "bowtie-dose-4th"]
    refused = shift.stations["dose", "16th"]
    assert isinstance(refused, str) and refused.startswith("bowtie-dose-16th: behind the bowtie")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (375, "dark")])
def test_the_page_works_from_disk_and_fits_the_window(out: Path, browser: Browser, width: int, scheme: str) -> None:
    driver = browser.open(out / "index.html", width=width, scheme=scheme)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    point = driver.find_elements(
        "css selector", "svg.wide .reading-point" if width > 600 else "svg.narrow .reading-point"
    )
    driver.execute_script("arguments[0].focus()", point[0])
    assert "px:" in driver.find_element("css selector", ".reading").text
    assert browser.complaints(out) == []


def test_cases_of_other_patients_or_implants_are_told(out: Path) -> None:
    base = rows_of(out / "six")
    first, second = sorted(base["case_id"].unique())[:2]
    other = base.assign(metal_area_px=base["metal_area_px"].where(base["case_id"] != first, 99))
    assert other_cases(base, other) == (first,)
    assert other_cases(base, base[base["case_id"] != second]) == (second,)
    assert other_cases(base, base.assign(materials="gold"), changed=("materials",)) == ()


def test_infinite_scores_that_are_alike_differ_by_nothing() -> None:
    measure = measures_of("dudonet2019")[0]
    base = pd.DataFrame({"method": "m", "status": "ok", "case_id": ["a", "b"], measure.id: [np.inf, 30.0]})
    assert differences(base, base.assign(**{measure.id: [np.inf, 28.0]}), "m", measure).tolist() == [0.0, -2.0]
    assert worst_cases(base, base.assign(**{measure.id: [np.inf, 28.0]}), measure) == {"m": "b"}


def test_a_named_method_that_cannot_run_fails_and_one_of_all_does_not(six: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "method.toml").write_text('name = "broken"\ntitle = "B"\nsummary = "b"\ndomain = "image"\n')
    (folder / "method.py").write_text("import not_installed_yet\n")
    words = "shift", "--spec", six, "--plugins", tmp_path, "--axes", "displacement", "--cases", "1", "--workers", "1"
    named = marbench(*words, "--methods", "none,broken", "--out", tmp_path / "named")
    assert named.exit_code == 1 and "Some results failed in six;" in named.output


def test_wrong_use_is_told(six: Path) -> None:
    result = marbench("shift", "--axes", "kpv")
    assert result.exit_code == 2
    assert "There is no axis 'kpv'; did you mean 'kvp'? Known: all, anatomy, displacement, dose" in result.output
    result = marbench("shift", "--spec", "mni")
    assert result.exit_code == 2
    assert "There is no benchmark and no file 'mni'; did you mean 'mini'?" in result.output
    recorded = six.with_name("recorded.toml")
    recorded.write_text(f'extends = "{six.as_posix()}"\n[recorded]\nformat = "export"\npath = "."\n', encoding="utf-8")
    result = marbench("shift", "--spec", recorded, "--out", six.parent / "nothing")
    assert result.exit_code == 2
    assert "its cases are recorded in files, and nothing of them can be changed" in result.output
    recorded.write_text(f"{recorded.read_text(encoding='utf-8')}[segmentation]\ngrow_px = 1\n", encoding="utf-8")
    with pytest.raises(SpecError, match="segmentation: recorded cases come with the mask of their files"):
        load_spec(recorded)
    with pytest.raises(SpecError, match="six has implants of its own"):
        derive(load_spec(six), axes()["metal"], axes()["metal"].points[1])

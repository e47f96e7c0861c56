"""Figures for papers: right panels, right scores, the same bytes, clear refusals."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from synthetic_runs import METHODS, Synthetic, write_run

from marbench.cli import main
from marbench.errors import MethodError, StoreError
from marbench.metrics.measure import measures_of
from marbench.report.benchmark import gather
from marbench.report.figure import _harmed, figure_panels, write_figure
from marbench.report.figure_drawing import _region
from marbench.report.findings import Findings
from marbench.report.gallery_store import StoredCase, read_case
from marbench.results.rows import Row
from marbench.results.store import open_run

DOLLARS = "$a_b$ <i>&"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("figure") / "run", (*METHODS[:3], Synthetic(DOLLARS, 20)), pictures=2)


def _case(run: Path) -> str:
    return sorted(path.name for path in (run / "images").iterdir())[0]


@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path, kind: str) -> None:
    first = write_figure(run, _case(run), tmp_path / f"a.{kind}").read_bytes()
    assert first == write_figure(run, _case(run), tmp_path / f"b.{kind}").read_bytes()
    assert first.startswith({"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[kind])


def test_panels_carry_the_scores_of_the_tables(run: Path) -> None:
    (benchmark,) = gather([open_run(run)])
    findings, case_id = Findings(benchmark), _case(run)
    case = read_case(findings.pictures[case_id])
    assert case is not None
    panels = figure_panels(findings, case_id, case, ["nmar", "li"], "dudonetpp2020")
    assert [panel.label for panel in panels] == ["Truth", "Uncorrected", "NMAR", "LI"]
    assert panels[0].scores == "dudonetpp2020"  # what those of the others are under
    rows = benchmark.rows[benchmark.rows["case_id"] == case_id].set_index("method")
    for panel, method in zip(panels[1:], ["none", "nmar", "li"], strict=True):
        row = rows.loc[method]
        assert panel.scores == f"{row['psnr[dudonetpp2020]']:.2f} dB / {row['ssim[dudonetpp2020]']:.4f}"


def test_of_many_measures_a_panel_names_the_one_that_ranks(tmp_path: Path) -> None:
    def clinical(row: Row) -> Row:
        return replace(row, scores=row.scores | {each.id: 5.0 for each in measures_of("clinical") if each.convention})

    run = write_run(tmp_path / "run", METHODS[:3], slices=2, pictures=1, change=clinical)
    (benchmark,) = gather([open_run(run)])
    findings, case_id = Findings(benchmark), _case(run)
    case = read_case(findings.pictures[case_id])
    assert case is not None
    for panel in figure_panels(findings, case_id, case, ["li"], "clinical")[1:]:
        assert panel.scores.count("5") == 1 and "/" not in panel.scores


def test_no_picture_is_drawn_twice_and_titles_are_taken_for_labels(tmp_path: Path) -> None:
    titles = {"nmar": {"title": "Normalised MAR"}, "cnnmar": {"title": "Twin"}, "dudonet": {"title": "TWIN"}}
    run = write_run(tmp_path / "run", METHODS[:5], slices=2, pictures=1, cards=titles)
    (benchmark,) = gather([open_run(run)])
    findings, case_id = Findings(benchmark), _case(run)
    case = read_case(findings.pictures[case_id])
    assert case is not None
    panels = figure_panels(findings, case_id, case, ["none", "normalised mar", "LI", "nmar"])
    assert [panel.label for panel in panels] == ["Truth", "Uncorrected", "Normalised MAR", "LI"]
    assert [panel.label for panel in figure_panels(findings, case_id, case)].count("Uncorrected") == 1
    with pytest.raises(MethodError, match="'twin' may be any of cnnmar, dudonet"):
        figure_panels(findings, case_id, case, ["twin"])


@pytest.mark.parametrize(("width", "inches"), [("single", 3.5), ("double", 7.16)])
def test_a_figure_is_as_wide_as_a_column_and_shows_the_body(
    run: Path, tmp_path: Path, width: str, inches: float
) -> None:
    from matplotlib.image import imread

    field = {"single": "body", "double": "whole"}[width]
    shape = imread(write_figure(run, _case(run), tmp_path / "f.png", width=width, field=field)).shape
    assert abs(shape[1] - 300 * inches) <= 1
    with np.load(run / "images" / _case(run) / "_case.npz") as stored:
        body = stored["truth"] > -500
    assert body.any(axis=0).sum() < body.shape[1]
    svg = write_figure(run, _case(run), tmp_path / "f.svg", width=width).read_text()
    assert f'width="{72 * inches:g}pt"' in svg
    # Letters travel as outlines in SVG, as TrueType in PDF.
    assert "<text" not in svg and "font-family" not in svg
    pdf = write_figure(run, _case(run), tmp_path / "f.pdf", width=width, errors=True).read_bytes()
    assert b"/FontFile2" in pdf
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", pdf)
    assert box is not None and float(box[1]) == pytest.approx(72 * inches)
    # Errors take a row of their own.
    assert float(box[2]) > 72 * shape[0] / 300


@pytest.mark.parametrize("centre", [(0, 0), (30, 20), (59, 99), (-5, 400)])
def test_the_magnified_region_stays_in_the_picture(centre: tuple[float, float]) -> None:
    top, bottom, left, right = _region((60, 100), centre)
    assert top >= -0.5 and left >= -0.5 and bottom <= 59.5 and right <= 99.5
    assert (bottom - top, right - left) == pytest.approx((18, 36))


def test_a_label_is_text_and_no_mathematics(run: Path, tmp_path: Path) -> None:
    svg = write_figure(run, _case(run), tmp_path / "f.svg", [DOLLARS]).read_text()
    assert "$A_B$ &lt;I&gt;&amp;" in svg


@pytest.mark.parametrize("width", ["single", "double"])
def test_long_titles_are_cut_to_their_panels_and_signs_of_any_script_complain_of_nothing(
    tmp_path: Path, width: str
) -> None:
    titles = {"li": {"title": "Linear interpolation of the metal trace in every view"}, "nmar": {"title": "降伪影网络"}}
    run = write_run(tmp_path / "run", METHODS[:3], slices=2, pictures=1, cards=titles)
    svg = write_figure(run, _case(run), tmp_path / "f.svg", width=width).read_text()
    names = re.findall(r"<!-- (\([a-z]\) .*?) -->", svg)
    assert [name[:3] for name in names] == ["(a)", "(b)", "(c)", "(d)"] and "(c) 降伪影网络" in names
    assert names[3].startswith("(d) Linear interp") and names[3].endswith("…")


def test_the_inset_lies_on_tissue_that_the_metal_harms(tmp_path: Path) -> None:
    truth = np.full((60, 60), -1000, dtype=np.int16)
    truth[10:50, 10:50] = 40
    uncorrected, metal = truth.copy(), np.zeros((60, 60), dtype=bool)
    metal[25:35, 25:35], uncorrected[25:35, 25:35] = True, 30000
    uncorrected[:, 2:6] = 3000
    uncorrected[38:46, 14:20] = 300
    row, column = _harmed(StoredCase(truth, uncorrected, metal, (-160.0, 240.0), truth, truth, metal))
    assert abs(row - 42) <= 3 and abs(column - 17) <= 3


def test_the_uncorrected_image_is_named_without_rows_of_it_and_all_is_the_default(run: Path, tmp_path: Path) -> None:
    bare = write_run(tmp_path / "run", METHODS[1:3], pictures=1)
    (benchmark,) = gather([open_run(bare)])
    findings, case_id = Findings(benchmark), _case(bare)
    case = read_case(findings.pictures[case_id])
    assert case is not None
    for names, labels in ((["none", "li"], ["LI"]), (["Uncorrected"], [])):
        panels = figure_panels(findings, case_id, case, names)
        assert [panel.label for panel in panels] == ["Truth", "Uncorrected", *labels]
    drawn = CliRunner().invoke(
        main, ["figure", str(run), "--case", _case(run), "--methods", "all", "--out", str(tmp_path / "f.png")]
    )
    assert drawn.exit_code == 0, drawn.output
    assert (tmp_path / "f.png").read_bytes() == write_figure(run, _case(run), tmp_path / "g.png").read_bytes()


def test_refusals_name_what_is_near_and_what_to_do(run: Path, tmp_path: Path) -> None:
    out, case = tmp_path / "f.png", _case(run)
    with pytest.raises(MethodError, match=r"no results of 'nmr'; did you mean 'nmar'"):
        write_figure(run, case, out, ["nmr"])
    with pytest.raises(StoreError, match=rf"did you mean '{case}'\? Known: .*\. Cases with images: "):
        write_figure(run, f"{case}x", out)
    without = next(name for name in open_run(run).rows["case_id"] if not (run / "images" / name).is_dir())
    with pytest.raises(StoreError, match="--images all"):
        write_figure(run, without, out)
    with pytest.raises(StoreError, match="ends in"):
        write_figure(run, case, tmp_path / "f.gif")
    with pytest.raises(StoreError, match="low to high"):
        write_figure(run, case, out, window=(40, 40))
    with pytest.raises(StoreError, match="dudonet2019"):
        write_figure(run, case, out, convention="dudonet")
    assert not out.exists()


def test_the_command_draws_and_refuses(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.png"
    words = ["figure", str(run), "--case", _case(run), "--out", str(out)]
    good = CliRunner().invoke(main, [*words, "--methods", "li,nmar", "--window", "-500,1300"])
    assert good.exit_code == 0, good.output
    assert out.is_file()
    bad = CliRunner().invoke(main, [*words, "--window", "wide"])
    assert bad.exit_code == 2
    assert "two numbers" in bad.output


def test_figures_load_without_matplotlib_and_tables_pages_and_sites_without_torch() -> None:
    code = "import sys, marbench.results.merge, marbench.report.archive, marbench.report.site\n"
    code += "assert {'torch', 'scipy.ndimage'}.isdisjoint(sys.modules)\n"
    code += "import marbench.report.figure, marbench.cli.figure\nassert {'torch', 'matplotlib'}.isdisjoint(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

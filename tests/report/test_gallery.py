"""The gallery: which cases it shows, and that its sidecar files hold what the run stored."""

from __future__ import annotations

import base64
import json
import re
import shlex
import zlib
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic_runs import METHODS, Synthetic, failed, with_other_rays, write_run

from marbench.machine.arrays import npz
from marbench.machine.files import safe_name
from marbench.metrics.measure import measure
from marbench.report.benchmark import gather
from marbench.report.explorer_cases import case_table
from marbench.report.findings import Findings
from marbench.report.gallery import PAGE
from marbench.report.gallery_choice import choose_cases
from marbench.report.packed import pack
from marbench.report.page import Output
from marbench.report.pages import render
from marbench.results.representative import difficulty
from marbench.results.rows import Row
from marbench.results.store import open_run

HOSTILE = "<img src=x onerror=alert(1)></script>"


def _data(report: Path, name: str = "gallery") -> dict[str, Any]:
    html = (report / f"{name}.html").read_text()
    return dict(json.loads(html.split(f'id="{name}-data">')[1].split("</script>")[0]))


def _shown(run: Path) -> dict[str, Any]:
    """Build the gallery alone, and return what its page is given."""
    (benchmark,) = gather([open_run(run)])
    content = PAGE.build(Findings(benchmark), Output(run / "gallery"))
    assert content is not None
    return dict(content["data"])


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Read a sidecar script without a browser."""
    (value,) = re.findall(r"^window\.marbenchImages\[.*?\] = (\{.*\});$", path.read_text(), re.MULTILINE)
    entry = json.loads(value)
    return dict(zip(("mask", *entry["names"]), _unpack(base64.b64decode(entry["data"]), entry["shape"]), strict=True))


def _unpack(packed: bytes, shape: list[int]) -> list[np.ndarray]:
    """Undo the median predictor of JPEG-LS, value by value as a decoder must, and the differences from the first."""
    planes, (rows, columns) = np.frombuffer(zlib.decompress(packed), np.uint8), shape
    masked = -(-rows * columns // 8)
    mask = np.unpackbits(planes[:masked])[: rows * columns].reshape(shape).astype(np.bool_)
    first, *others = (_decoded(part, rows, columns) for part in planes[masked:].reshape(-1, 2 * rows * columns))
    return [mask, first, *(first + other for other in others)]


def _decoded(planes: np.ndarray, rows: int, columns: int) -> np.ndarray:
    folded = planes[: rows * columns].astype(int) | planes[rows * columns :].astype(int) << 8
    missed = ((folded >> 1) ^ -(folded & 1)).tolist()
    lines = [[0] * (columns + 1)]
    for row in range(rows):
        above, line = lines[-1], [0]
        for column in range(columns):
            left, up, corner = line[column], above[column + 1], above[column]
            guess = sorted((left, up, left + up - corner))[1]
            line.append((guess + missed[row * columns + column] + 2**15) % 2**16 - 2**15)
        lines.append(line)
    return np.array(lines, np.int16)[1:, 1:]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    methods = (*METHODS[:3], Synthetic(HOSTILE, 30.0))
    return render(write_run(tmp_path_factory.mktemp("gallery") / "run", methods, pictures=8)).parent


def test_the_chosen_cases_follow_the_published_rule(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", METHODS[:4])
    (benchmark,) = gather([open_run(run)])
    table = case_table(benchmark)
    methods = ["li", "nmar", "cnnmar"]
    scores = table.scores("psnr[dudonet2019]")[[benchmark.methods.index(method) for method in methods]]
    chosen = choose_cases(table, difficulty(scores, measure("psnr[dudonet2019]")), table.ids, ())
    rows = benchmark.rows[benchmark.rows["method"].isin(methods)]
    by_case = rows.pivot_table(index="case_id", columns="method", values="psnr[dudonet2019]")
    groups = rows.drop_duplicates("case_id").set_index("case_id")["size_group"]
    for group in range(1, 6):
        members = by_case.loc[groups[groups == group].index]
        mean, spread = members.mean(axis=1).sort_values(), members.max(axis=1) - members.min(axis=1)
        assert "worst" in chosen[str(mean.index[0])]
        assert "median" in chosen[str(mean.index[(len(mean) - 1) // 2])]
        assert "most disputed" in chosen[str(spread.idxmax())]
    assert sum(len(reasons) for reasons in chosen.values()) == 15


def test_only_stored_cases_are_chosen_and_the_ones_the_spec_names_are(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", METHODS[:3], slices=2)
    (benchmark,) = gather([open_run(run)])
    table = case_table(benchmark)
    stored = {case for case in table.ids if "s00000" in case}
    chosen = choose_cases(table, None, stored, (0, 1, 99))
    first = pd.Series(sorted(stored)).iloc[::2].tolist()
    assert list(chosen) == first
    assert set(chosen.values()) == {("named by the benchmark",)}


def test_slices_that_the_benchmark_names_are_counted_in_the_order_of_the_suite(tmp_path: Path) -> None:
    # As of a DICOM series whose instance numbers descend: the suite goes from head to feet, the ids run backwards.
    def backwards(row: Row) -> Row:
        return replace(row, case_index=29 - row.case_index)

    run = write_run(tmp_path / "run", METHODS[:3], slices=3, patients=1, change=backwards)
    (benchmark,) = gather([open_run(run)])
    table = case_table(benchmark)
    chosen = choose_cases(table, None, table.ids, (0,))
    assert {case.split("_")[0] for case in chosen} == {"p000-s00002"}
    assert [case.split("_")[1] for case in chosen] == ["m01", "m03", "m05", "m07", "m09"]
    # Where no row tells the order, it is that of the ids.
    unknown = replace(benchmark, rows=benchmark.rows.assign(case_index=-1))
    assert {case.split("_")[0] for case in choose_cases(case_table(unknown), None, table.ids, (0,))} == {"p000-s00000"}


def test_the_uncorrected_image_is_known_by_its_card_and_not_by_its_name(tmp_path: Path) -> None:
    methods = [replace(METHODS[0], label="raw"), replace(METHODS[1], label="none", role=""), METHODS[2]]
    run = write_run(tmp_path / "run", methods, slices=4, pictures=4)
    data = _data(render(run).parent)
    assert data["methods"] == ["nmar", "none"]
    assert {*data["cases"][0]["scores"]} == {"uncorrected", "method nmar", "method none"}
    assert data["cases"][0]["has"] == [0, 1]
    assert len(_data(run / "report", "explorer")["judged"]) == 2


def test_what_scripts_print_is_rounded_once_alone(tmp_path: Path) -> None:
    def change(row: Row) -> Row:
        return replace(row, metal_area_mm2=1992.4996, scores={**row.scores, "psnr[dudonet2019]": 36.124996})

    report = render(write_run(tmp_path / "run", METHODS[:2], slices=2, pictures=1, change=change)).parent
    script = (report / "explorer" / "cases.js").read_text().partition('["cases"] = ')[2]
    # Rounded to 36.125 and 1992.5 they would be printed as 36.13 and 1993.
    assert {case["scores"]["method li"][0] for case in _data(report)["cases"]} == {36.124996}
    assert set(json.loads(script.rstrip(";\n"))["areas"]) == {1992.4996}


def test_a_case_on_which_every_method_failed_is_not_chosen_and_breaks_nothing(tmp_path: Path) -> None:
    def change(row: Any) -> Any:
        return failed(row) if row.case_id.endswith("_m00") else row

    run = write_run(tmp_path / "run", METHODS[:3], slices=2, change=change, pictures=2)
    html = (render(run).parent / "gallery.html").read_text()
    assert "most disputed" in html


def test_sidecar_files_hold_the_stored_hu_to_the_last_unit(report: Path) -> None:
    data = _data(report)
    assert len(data["cases"]) == 8
    case = next(case for case in data["cases"] if case["reasons"])
    images, sinograms = (_arrays(report / case["folder"] / f"{name}.js") for name in ("images", "sinograms"))
    names = {"sinogram": "measured", "truth_sinogram": "metal-free", "metal_trace": "mask"}
    with np.load(report.parent / "images" / case["id"] / "_case.npz") as stored:
        for name, shown in {"truth": "truth", "uncorrected": "uncorrected", "metal": "mask"}.items():
            np.testing.assert_array_equal(images[shown], stored[name])
        for name, shown in names.items():
            np.testing.assert_array_equal(sinograms[shown], stored[name])
    for method in (data["methods"][at] for at in case["has"]):
        with np.load(report.parent / "images" / case["id"] / f"{safe_name(method)}.npz") as stored:
            np.testing.assert_array_equal(images[f"method {method}"], stored["image"])


def test_packing_loses_nothing_of_noise_steps_and_the_ends_of_the_range() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.integers(-(2**15), 2**15, (2, 9, 7)).astype(np.int16)
    first[:3] = [[-32768], [32767], [-32768]]
    mask = rng.random((9, 7)) < 0.3
    for stored, got in zip((mask, first, second), _unpack(pack(mask, first, second), [9, 7]), strict=True):
        np.testing.assert_array_equal(got, stored)


def test_every_case_with_pictures_is_shown_and_the_page_tells_how_to_get_the_others(report: Path) -> None:
    data, html = _data(report), (report / "gallery.html").read_text()
    stored = {path.name for path in (report.parent / "images").iterdir()}
    assert {case["id"] for case in data["cases"]} == stored
    assert "Pictures of the other 192 cases" in html
    assert re.search(r"pixels of \d\.?\d{0,5} mm and", html)
    commands = [unescape(text) for text in re.findall(r'<pre class="command">(.*?)</pre>', html)]
    run, again = (shlex.split(text) for text in commands)
    assert run[:4] == ["marbench", "run", "--spec", f"{report.parent.name}/spec.toml"]
    assert run[4:6] == ["--methods", f"{HOSTILE},li,nmar,none"]
    assert run[6:] == ["--images", "all", "--out", report.parent.name]
    assert again == ["marbench", "report", report.parent.name]


def test_of_ct_data_the_reader_names_the_benchmark_file(tmp_path: Path) -> None:
    (benchmark,) = gather([open_run(write_run(tmp_path / "run", METHODS[:1], slices=2, pictures=1))])
    anatomy = benchmark.spec.anatomy.model_copy(update={"source": "dicom"})
    own = replace(benchmark, spec=benchmark.spec.model_copy(update={"anatomy": anatomy}))
    content = PAGE.build(Findings(own), Output(tmp_path / "gallery"))
    assert content is not None
    assert content["more_commands"][0].startswith("marbench run --spec BENCHMARK.toml --methods ")


def test_names_of_plugins_cannot_leave_their_strings(report: Path) -> None:
    for path in (report / "gallery.html", report / "explorer.html", *report.glob("*/**/*.js")):
        text = path.read_text()
        assert "<img src=x" not in text, path
        assert "onerror=alert(1)></script>" not in text, path
    assert HOSTILE in _data(report)["methods"]


def test_without_scripts_every_picture_is_there_as_png(report: Path) -> None:
    html = (report / "gallery.html").read_text()
    fallback = html.split("<noscript>")[1].split("</noscript>")[0]
    files = re.findall(r'src="([^"]+\.png)"', fallback)
    assert len(files) == 5 * sum(bool(case["reasons"]) for case in _data(report)["cases"]) > 0
    assert all((report / file).read_bytes().startswith(b"\x89PNG") for file in files)


def test_images_of_another_version_of_a_method_are_not_shown(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", METHODS[:3], slices=2, pictures=1)
    (path,) = run.glob("images/*/li.npz")
    with np.load(path) as stored:
        image = stored["image"]
    path.write_bytes(npz({"image": image, "method": np.array("li"), "method_hash": np.array("older")}))
    (case,) = _shown(run)["cases"]
    assert case["has"] == [0]  # nmar, the better one


def test_a_torn_image_file_costs_only_itself(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", METHODS[:3], slices=4, pictures=4)
    before = _shown(run)["cases"]
    case, other = (run / "images" / before[position]["id"] for position in (0, -1))
    for path in (case / "_case.npz", other / "nmar.npz"):
        path.write_bytes(path.read_bytes()[:100])
    after = {entry["id"]: entry for entry in _shown(run)["cases"]}
    assert case.name not in after
    assert after[other.name]["has"] == [1]  # li, the second
    assert len(after) >= len(before) - 1


def test_sinograms_that_are_not_of_the_scan_are_not_shown(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", METHODS[:3], slices=2, pictures=1)
    (path,) = run.glob("images/*/_case.npz")
    with np.load(path) as stored:
        path.write_bytes(npz(with_other_rays(stored)))
    (case,) = _shown(run)["cases"]
    assert case["sinograms"] is False


def test_without_stored_images_there_is_no_gallery(tmp_path: Path) -> None:
    report = render(write_run(tmp_path / "run", METHODS[:3], slices=2)).parent
    assert not (report / "gallery.html").exists()
    assert "gallery.html" not in (report / "index.html").read_text()

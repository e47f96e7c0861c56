import json
import math
import os

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from marbench.cases.export import export_cases
from marbench.cases.recorded import RecordedCases
from marbench.cases.suite import Suite
from marbench.cli import main
from marbench.errors import DataError, StoreError
from marbench.spec import load_spec
from marbench.spec_sections import Counts


def test_exported_files_hold_the_case_and_a_table_of_all(tmp_path, tiny):
    assert export_cases(Suite(tiny), tmp_path, 2) == 2
    case = Suite(tiny)[1]
    with np.load(tmp_path / "test" / f"{case.id}.npz", allow_pickle=False) as file:
        assert np.array_equal(file["image_hu"], case.scan.image[0])
        assert np.array_equal(file["truth_hu"], case.truth.image[0])
        assert np.array_equal(file["sinogram_line_integral"], case.scan.sinogram[0])
        assert np.array_equal(file["metal_trace"], case.scan.metal_trace[0])
        assert np.array_equal(file["window_hu"], case.info.window)
        assert json.loads(str(file["info_json"]))["metal_area_px"] == case.info.metal_area_px
        readme = (tmp_path / "README.txt").read_text(encoding="utf-8")
        assert all(f"  {name} " in readme for name in file.files)
    table = pd.read_csv(tmp_path / "cases.csv")
    assert table["case_id"].tolist() == [key.case_id for key in Suite(tiny).case_keys[:2]]
    assert all((tmp_path / name).is_file() for name in table["file"])
    assert load_spec(tmp_path / "spec.toml").hash == tiny.hash


def test_a_scan_without_a_known_truth_is_exported_unless_that_is_asked_for(tmp_path, tiny):
    export_cases(Suite(tiny), tmp_path / "scans", 1, truth=False)
    recorded = RecordedCases(tmp_path / "scans")
    assert export_cases(recorded, tmp_path / "again", truth=False) == 1
    first, again = (next((tmp_path / name / "test").glob("*.npz")).read_bytes() for name in ("scans", "again"))
    assert first == again
    with pytest.raises(DataError, match="no known truth"):
        export_cases(recorded, tmp_path / "whole")


def test_a_case_that_cannot_be_made_costs_no_other(tmp_path, tiny):
    export_cases(Suite(tiny), tmp_path / "scans", 3)
    first, *others = [key.case_id for key in Suite(tiny).case_keys[:3]]
    spoilt = tmp_path / "scans" / "test" / f"{first}.npz"
    with np.load(spoilt) as file:
        np.savez(spoilt, **{**file, "truth_hu": np.full((32, 32), np.nan, np.float32)})
    words = ["export", "--truth", "--spec", str(tmp_path / "scans"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1 and f"{first} is left out: case {first}: expected truth_hu" in result.output
    assert "2 cases in" in result.output
    assert pd.read_csv(tmp_path / "out" / "cases.csv")["case_id"].tolist() == others


def test_cases_of_a_part_keep_their_places_in_the_benchmark(tmp_path, tiny):
    export_cases(Suite(tiny), tmp_path / "all", 3)
    next((tmp_path / "all" / "test").glob(f"{Suite(tiny).case_keys[0].case_id}.npz")).unlink()
    left = RecordedCases(tmp_path / "all")
    export_cases(left, tmp_path / "again")
    assert pd.read_csv(tmp_path / "again" / "cases.csv")["case_index"].tolist() == [1, 2]
    assert RecordedCases(tmp_path / "again").places == left.places == (1, 2)


def test_without_cases_nothing_is_written(tmp_path, tiny):
    none = tiny.split.model_copy(update={"test": Counts(patients=0, slices=0)})
    with pytest.raises(DataError, match="tiny has no test cases"):
        export_cases(Suite(tiny.model_copy(update={"split": none})), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_readme_describes_the_rays(tmp_path, tiny):
    export_cases(Suite(tiny), tmp_path, 1)
    readme = " ".join((tmp_path / "README.txt").read_text(encoding="utf-8").split())
    assert f"(views, bins) = {tiny.geometry.shape}" in readme
    assert f"{math.radians(0.68):.9g} rad" in readme
    assert "of a piece that covers none by half the fullest one" in readme
    assert f"rays whose line integral through metal exceeds {tiny.metals.trace_threshold:g};" in readme


def test_previews_show_truth_and_uncorrected_in_the_window(tmp_path, tiny):
    export_cases(Suite(tiny), tmp_path, 1)
    case = Suite(tiny)[0]
    low, high = case.info.window
    with Image.open(tmp_path / "test" / f"{case.id}.png") as picture:
        gray = np.asarray(picture, dtype=float)
    assert gray.shape == (32, 64)
    shown = low + gray / 255 * (high - low)
    for half, image in ((shown[:, :32], case.truth.image), (shown[:, 32:], case.scan.image)):
        assert np.abs(half - np.clip(image[0].numpy(), low, high)).max() <= (high - low) / 255


def test_exporting_goes_on_where_it_ended(tmp_path, tiny):
    export_cases(Suite(tiny), tmp_path, 2)
    files = sorted((tmp_path / "test").glob("*.npz"))
    content = [path.read_bytes() for path in files]
    kept = files[0].stat().st_mtime_ns
    files[1].write_bytes(content[1][:50])
    export_cases(Suite(tiny), tmp_path, 3)
    assert files[0].stat().st_mtime_ns == kept
    assert files[1].read_bytes() == content[1]
    assert len(pd.read_csv(tmp_path / "cases.csv")) == 3


def test_another_benchmark_is_refused(tmp_path, tiny):
    export_cases(Suite(tiny), tmp_path, 1)
    with pytest.raises(StoreError, match="holds results of the benchmark 'tiny'"):
        export_cases(Suite("mini"), tmp_path, 1)


@pytest.mark.parametrize("name", ["README.txt", "cases.csv"])
def test_files_of_somebody_else_are_not_replaced(tmp_path, tiny, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(StoreError, match=rf"{name} was not written by marbench; choose another --out"):
        export_cases(Suite(tiny), tmp_path, 1)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


def test_files_that_are_no_cases_are_named_and_left_alone(tmp_path, tiny):
    export_cases(Suite(tiny), tmp_path, 1)
    before = (tmp_path / "cases.csv").read_text()
    np.savez(tmp_path / "test" / "own.npz", mine=np.arange(3))
    (tmp_path / "test" / "torn.npz").write_bytes(b"PK")
    os.mkfifo(tmp_path / "test" / "pipe.npz")
    (tmp_path / "test" / "folder.npz").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "other.npz").write_bytes(b"mine")
    notes: list[str] = []
    assert export_cases(Suite(tiny), tmp_path, 1, note=notes.append) == 1
    assert (tmp_path / "cases.csv").read_text() == before
    assert len(notes) == 4
    assert {name for name in ("own", "torn", "pipe", "folder") for note in notes if f"{name}.npz" in note} == {
        "own",
        "torn",
        "pipe",
        "folder",
    }
    assert (tmp_path / "test" / "own.npz").is_file() and (tmp_path / "notes" / "other.npz").read_bytes() == b"mine"

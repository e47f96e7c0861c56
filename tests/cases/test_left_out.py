"""What of a folder is not used is told where it matters: by run, show and simulate, and on the page."""

import re

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner
from dicom_files import phantom, write_dicom
from running import Notes, run

from marbench.cli import main
from marbench.errors import DataError
from marbench.report.pages import render
from marbench.results.store import open_run
from marbench.spec import load_spec
from marbench.spec_file import spec_toml

SPEC = """
extends = "{base}"
name = "my-ct"
title = "Slices of our scanner"
[anatomy]
source = "{source}"
path = "data"
{more}
[split]
test = {{ patients = "all", slices = {slices} }}
val = {{ patients = 0, slices = 0 }}
train = {{ patients = 0, slices = 0 }}
"""


@pytest.fixture
def spec_of(tmp_path, tiny_file):
    def write(source="dicom", more="", slices='"all"'):
        path = tmp_path / "my.toml"
        path.write_text(SPEC.format(base=tiny_file, source=source, more=more, slices=slices))
        return path

    return write


def scan(folder):
    """Three slices of which one has lost its intercept, a localizer, notes."""
    for number in range(3):
        lost = {"RescaleIntercept": 0} if number == 1 else {}
        write_dicom(folder / f"DOE_{number}.dcm", hu=phantom(hu=40 + number), InstanceNumber=number,
                    ImagePositionPatient=[0, 0, number], **lost)  # fmt: skip
    write_dicom(folder / "scout.dcm", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    (folder / "DOE.txt").write_text("notes")


TOLD = ("1 CT localizers", "1 not DICOM", "1 not in HU", r"s4-i0001-\w+ is left out, not in HU: .*intercept was lost")


def told(text):
    return [pattern for pattern in TOLD if not re.search(pattern, " ".join(text.split()))] == []


def marbench(*arguments):
    return CliRunner(env={"COLUMNS": "250"}).invoke(main, [str(argument) for argument in arguments])


def test_show_simulate_run_and_the_page_tell_what_is_not_used(tmp_path, spec_of):
    scan(tmp_path / "data")
    path = spec_of()
    shown = marbench("show", path)
    assert shown.exit_code == 0 and told(shown.output)
    written = marbench("simulate", "--spec", path, "--out", tmp_path / "cases", "--limit", 1)
    assert written.exit_code == 0 and told(written.output)
    notes = Notes()
    run(load_spec(path), tmp_path / "run", progress=notes, limit=2)
    assert told(" ".join(notes.notes))
    stored = open_run(tmp_path / "run").notices
    assert stored == notes.notes[: len(stored)] and told(" ".join(stored))
    render(tmp_path / "run")
    page = (tmp_path / "run" / "report" / "provenance.html").read_text()
    assert told(page)
    for file in (tmp_path / "run").rglob("*"):
        assert "DOE" not in file.name and (not file.is_file() or b"DOE" not in file.read_bytes())


def test_without_a_usable_slice_show_simulate_and_run_fail_and_say_why(tmp_path, spec_of):
    for number in range(2):
        write_dicom(tmp_path / "data" / f"{number}.dcm", InstanceNumber=number, RescaleIntercept=0)
    path = spec_of()
    for arguments in (["show", path], ["simulate", "--spec", path, "--out", tmp_path / "cases"],
                      ["run", "--spec", path, "--methods", "none", "--out", tmp_path / "run"]):  # fmt: skip
        result = marbench(*arguments)
        assert result.exit_code == 2, arguments
        assert re.search(r"0\.dcm: expected HU.*RescaleIntercept", " ".join(result.output.split()))
    metal = phantom()
    metal[30:34, 30:34] = 4000
    for number in range(2):
        write_dicom(tmp_path / "data" / f"{number}.dcm", InstanceNumber=number, hu=metal)
    assert re.search("0 that can be used .2 left out: metal", marbench("show", path).output)


def volume(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(data.astype(np.int16), np.diag([-3.75, -3.75, 5, 1])), path)


def test_a_pattern_says_which_volumes_are_meant_and_stays_at_home(tmp_path, spec_of):
    data = np.stack([phantom(hu=40 + number).T for number in range(2)], axis=2)
    for patient in ("DOE", "ROE"):
        volume(tmp_path / "data" / patient / "ct.nii.gz", data + (patient == "ROE"))
        volume(tmp_path / "data" / patient / "masks" / "liver.nii.gz", data > 0)
    with pytest.raises(DataError, match=r"liver\.nii\.gz: expected HU.*anatomy\.pattern"):
        run(load_spec(spec_of("nifti")), tmp_path / "run")
    chosen = load_spec(spec_of("nifti", 'pattern = "*/ct.nii.gz"'))
    rows = run(chosen, tmp_path / "run", limit=1).rows
    assert set(rows["status"]) == {"ok"}
    stored = open_run(tmp_path / "run").spec
    assert stored.anatomy.pattern is None and "pattern" not in spec_toml(stored)
    for patient in ("DOE", "ROE"):
        (tmp_path / "data" / patient / "masks" / "liver.nii.gz").unlink()
    assert run(load_spec(spec_of("nifti")), tmp_path / "run", limit=1).new == 0  # the same slices, the same benchmark


@pytest.mark.parametrize(
    ("source", "pattern"), [("deeplesion", "*/ct.nii"), ("nifti", "/data/*.nii"), ("dicom", "../*"), ("nifti", "")]
)
def test_a_pattern_that_says_nothing_here_is_refused(spec_of, source, pattern):
    with pytest.raises(Exception, match="pattern"):
        load_spec(spec_of(source, f'pattern = "{pattern}"'))

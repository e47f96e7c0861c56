"""The corpus of awkward inputs as scans: each is refused with a reason, or written with a change and read again."""

import warnings

import numpy as np
import pytest

pytest.importorskip("pydicom")
pytest.importorskip("nibabel")

import corpus
import pydicom
from corpus_judge import CASES

from marbench.errors import MarbenchError
from marbench.report.page import Output
from marbench.scans.open import open_scan
from marbench.scans.series import Version
from marbench.spec import load_spec


def rewritten(scan, out, spec):
    """Return how many slices of a scan were written with 30 HU more in a corner."""
    series = open_scan(scan, None, spec, "", out)
    writer = series.writer(Version("li", "LI", "version 1"), Output(out))
    for index in range(len(series)):
        change = np.zeros(series.picture(index).native.image.shape, dtype=np.float32)
        change[:2, :2] = 30
        writer.add(index, change)
    writer.close()
    return len(series)


@pytest.mark.parametrize("reader", ["dicom", "nifti"])
def test_an_awkward_scan_is_refused_with_its_reason_or_written(reader, tmp_path):
    assert corpus.MODULES  # they have registered their cases
    spec, written, refused = load_spec("mini"), 0, 0
    # A third of them: how they are read has tests of its own.
    cases = [one for one in CASES if one.reader == reader and one.source != "TCIA"][::3]
    for number, one in enumerate(cases):
        place, out = tmp_path / f"in{number}", tmp_path / f"out{number}"
        place.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one.make(place)
            for scan in [place] if reader == "dicom" else sorted(place.rglob("*.nii*")):
                try:
                    slices = rewritten(scan, out, spec)
                except MarbenchError as error:
                    assert len(str(error)) > 40, one.name
                    refused += 1
                    continue
                written += 1
                if reader == "dicom":
                    pictures = [pydicom.dcmread(file).pixel_array for file in (out / "li").iterdir()]
                    assert len(pictures) == slices, one.name
    assert written > 3 and refused > 3

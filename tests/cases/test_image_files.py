"""DICOM of other programs as images that are scored: what its header says of the pixels is heeded as of scans."""

import numpy as np
import pytest

pytest.importorskip("pydicom")

from dicom_files import phantom, write_dicom

from marbench.cases.image_files import read_image
from marbench.errors import DataError


@pytest.mark.parametrize(
    ("axes", "turned"),
    [
        ([1, 0, 0, 0, 1, 0], lambda image: image),
        ([-1, 0, 0, 0, 1, 0], lambda image: image[:, ::-1]),
        ([1, 0, 0, 0, -1, 0], lambda image: image[::-1]),
        ([0, 1, 0, 1, 0, 0], lambda image: image.T),
    ],
)
def test_an_image_is_turned_by_its_own_orientation(tmp_path, axes, turned):
    image = phantom()[4:60]  # no square
    image[10:14, 30:50] = 300
    path = write_dicom(tmp_path / "a.dcm", hu=turned(image), ImageOrientationPatient=axes)
    assert np.array_equal(read_image(path, image.shape), image)
    with pytest.raises(
        DataError, match=r"a\.dcm: expected one image of \(64, 64\) rows and columns, got 1 of \(56, 64\)"
    ):
        read_image(path, (64, 64))


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
def test_what_makes_hu_of_stored_values_is_not_guessed(tmp_path, keyword):
    path = write_dicom(tmp_path / "a.dcm", **{keyword: None})
    with pytest.raises(DataError, match=rf"a\.dcm: expected a finite {keyword}"):
        read_image(path, (64, 64))


def test_several_frames_are_no_image(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", NumberOfFrames=4)
    with pytest.raises(DataError, match=r"a\.dcm: expected one slice per file"):
        read_image(path, (64, 64))

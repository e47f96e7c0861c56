"""CT slices written as DICOM: a phantom, with any attribute changed."""

import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


def phantom(size=64, hu=40):
    """A body of 16 cm, its upper half brighter, in a picture of 24 cm."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    image = np.full((size, size), -1000)
    image[np.hypot(x, y) * 24 / size < 8] = hu
    image[(np.hypot(x, y) * 24 / size < 8) & (y < 0)] = hu + 100
    return image


def write_dicom(path, hu=None, pixels=None, **changes):
    """Write a CT slice; ``None`` removes an attribute."""
    stored = phantom() + 1024 if pixels is None else pixels
    if hu is not None:
        stored = hu + 1024
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage
    attributes = {
        "SOPInstanceUID": generate_uid(entropy_srcs=[str(path)]),
        "SeriesInstanceUID": "1.2.3",
        "StudyInstanceUID": "1.2",
        "Modality": "CT",
        "PatientID": "P-1",
        "PatientIdentityRemoved": "YES",
        "SeriesNumber": 4,
        "InstanceNumber": 1,
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "ImagePositionPatient": [0, 0, 0],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [240 / stored.shape[0], 240 / stored.shape[1]],
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
        "WindowCenter": [50, 400],
        "WindowWidth": [350, 1500],
        "BodyPartExamined": "ABDOMEN",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0,
        "Rows": stored.shape[0],
        "Columns": stored.shape[1],
    }
    for keyword, value in (attributes | changes).items():
        if value is not None:
            setattr(dataset, keyword, value)
    kind = np.uint8 if dataset.BitsAllocated == 8 else np.uint16
    dataset.PixelData = stored.astype(kind).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def as_fd(path, tag):
    """Call the value of an element, which is shorter than 8 bytes, one of FD."""
    where = tag.to_bytes(4)[1::-1] + tag.to_bytes(4)[:1:-1]
    content = path.read_bytes()
    assert content.count(where) == 1
    start = content.index(where) + 4
    path.write_bytes(content[:start] + b"FD" + content[start + 2 :])

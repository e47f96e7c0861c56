"""Cases of NIfTI volumes and of DeepLesion."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from corpus_judge import PIXEL_MM, Image, body, case
from PIL import Image as Picture
from scipy import ndimage

RAS = np.diag([-PIXEL_MM, -PIXEL_MM, 5.0, 1.0])
"""Columns to the left, rows to the back, slices to the head: as pictures are laid."""

NOT_HU = r"\.nii(\.gz)?: expected HU.*not in HU.*scl_inter.*pattern"
SIZE_LIE = r"c\.nii: .*pixel size.*xyzt_units"


def volume(slices: int = 3) -> Image:
    """Return pictures as a volume with axes (column, row, slice)."""
    return np.stack([body(place).T for place in range(slices)], axis=2)


def pictures(slices: int = 3) -> list[Image]:
    """Return the same as pictures."""
    return [body(place) for place in range(slices)]


def save(
    path: Path, data: Image | None = None, affine: Image | None = RAS, kind: Any = np.int16, **header: Any
) -> Path:
    """Write a volume."""
    image = nibabel.Nifti1Image((volume() if data is None else data).astype(kind), affine)
    for key, value in header.items():
        getattr(image.header, f"set_{key}")(*value)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)
    return path


def patch(path: Path, offset: int, raw: bytes) -> None:
    """Overwrite bytes of a header."""
    content = bytearray(path.read_bytes())
    content[offset : offset + len(raw)] = raw
    path.write_bytes(content)


def of(name: str, source: str, make: Callable[[Path], Any], refused: str = "", told: str = "", **options: Any) -> None:
    """Register a case whose pictures are those of ``volume()``, unless the function returns others."""

    @case(name, source, "nifti", refused=refused, told=told, **options)
    def files(folder: Path) -> Sequence[Image]:
        made = make(folder / "c.nii")
        return made if isinstance(made, list) else pictures()


def circle(data: Image, value: int) -> Image:
    """Fill what lies outside the scanner's circle."""
    y, x = np.mgrid[: len(data), : len(data)] - (len(data) - 1) / 2
    return np.where((np.hypot(x, y) > len(data) / 2)[:, :, None], value, data)


def with_hole() -> Image:
    """Return a volume in whose front something was erased."""
    data = volume()
    data[30:90, 20:50] = 0
    return data


def body_only(quantity: Image) -> Image:
    """Return another quantity in the body and air around it."""
    return np.where(volume() > -300, quantity, -1024)


def with_value(value: float, where: tuple[int, int, int]) -> Callable[[Path], Path]:
    """Return what writes a volume with another voxel."""

    def make(path: Path) -> Path:
        data = volume().astype(np.float32)
        data[where] = value
        return save(path, data, kind=np.float32)

    return make


def patched(offset: int, raw: bytes, **values: Any) -> Callable[[Path], None]:
    """Return what writes a volume with other bytes in its header."""
    return lambda path: patch(save(path, **values), offset, raw)


# Values.

of("as it should be", "–", save)
of("compressed", "–", lambda path: save(path.with_suffix(".nii.gz")))
of("HU + 1024", "lungmask#117, IDIR#9", lambda path: save(path, volume() + 1024), NOT_HU)
of(
    "HU + 1024, padding −2000",
    "lungmask#108, CT-CLIP#28",
    lambda path: save(path, circle(volume() + 1024, -2000)),
    NOT_HU,
)
of("intercept applied twice", "CT-CLIP#50", lambda path: save(path, volume() - 1024), NOT_HU)
for low, high in ((-200, 250), (-160, 240), (-500, 1000), (-1000, 400)):
    of(f"clipped to [{low}, {high}]", "TotalSegmentator#455, MedM-VL#6",
       lambda path, low=low, high=high: save(path, np.clip(volume(), low, high)), NOT_HU)  # fmt: skip
of("scaled to 0…1", "–", lambda path: save(path, (volume() + 1024) / 4096, kind=np.float32), NOT_HU)
of("µ in 1/cm", "–", lambda path: save(path, (volume() / 1000 + 1) * 0.192, kind=np.float32), NOT_HU)
of(
    "rotated, corners filled with 0",
    "SuperElastix#398, ANTsPy#95",
    lambda path: save(path, ndimage.rotate(volume(), 20, reshape=False, order=1, cval=0)),
    NOT_HU,
)
of(
    "shifted, a side filled with 0",
    "ANTsPy#95",
    lambda path: save(path, ndimage.shift(volume(), (20, 0, 0), order=0, cval=0)),
    NOT_HU,
)
of("a face filled with 0", "defacing (≈)", lambda path: save(path, with_hole()), NOT_HU)
of("100 HU too much", "–", lambda path: save(path, volume() + 100), NOT_HU)
of("four fifths", "–", lambda path: save(path, (volume() + 1000) * 0.8 - 1000), NOT_HU)
of("iodine, −1024 around the body", "–", lambda path: save(path, body_only(np.clip(volume() / 50, 0, 20))), NOT_HU)
of(
    "effective Z, −1024 around the body",
    "–",
    lambda path: save(path, body_only(7.4 + volume() / 400), kind=np.float32),
    NOT_HU,
)
of("cast to 8 bits", "–", lambda path: save(path, volume().astype(np.uint8), kind=np.uint8), NOT_HU)
of("of the opposite sign", "–", lambda path: save(path, -volume()), NOT_HU)
of(
    "slices of 0 at the end",
    "dicom2nifti#90",
    lambda path: save(path, np.concatenate([volume(), np.zeros_like(volume()[..., :2])], axis=2)),
    told="2 empty",
)
of("nothing but 0", "–", lambda path: save(path, np.zeros_like(volume())), "0 that can be used.*empty")
of("a label map", "kits19", lambda path: save(path, volume() > 0, kind=np.uint8), NOT_HU)
of(
    "one slice without intercept",
    "–",
    lambda path: [save(path, volume() + 1024 * (np.arange(3) == 1))] and [body(0), body(2)],
    told="1 not in HU",
)
for value, name in ((np.inf, "infinite"), (-np.inf, "infinite"), (np.nan, "NaN")):
    of(
        f"a voxel of {value} outside",
        "MONAI#1846",
        with_value(value, (0, 0, 1)),
        rf"c\.nii: .*slice 1 holds {name}.*Fill",
    )
    of(f"a voxel of {value} inside", "nnUNet", with_value(value, (64, 64, 1)), rf"c\.nii: .*slice 1 holds {name}.*Fill")
of(
    "unsigned with an intercept",
    "nibabel#549",
    patched(112, struct.pack("<ff", 1, -1024), data=volume() + 1024, kind=np.uint16),
)
of("slope 0", "nibabel#1099", patched(112, struct.pack("<ff", 0, 0)))
of("slope NaN", "ami#250", patched(112, struct.pack("<ff", np.nan, np.nan)))
of("intercept NaN", "ami#250", patched(112, struct.pack("<ff", 1, np.nan)), r"c\.nii: .*intercept nan")
for kind in (np.int32, np.float32, np.float64, ">i2"):
    of(f"of type {np.dtype(kind)}", "dwv", lambda path, kind=kind: save(path, kind=kind))
of("NIfTI-2", "–", lambda path: nibabel.save(nibabel.Nifti2Image(volume(), RAS), path))
of("complex numbers", "–", lambda path: save(path, kind=np.complex64), r"c\.nii: expected a three-dimensional volume")
of(
    "a series of volumes",
    "nibabel example4d",
    lambda path: save(path, np.stack([volume()] * 2, axis=3)),
    "Split a series",
)
of("one slice", "–", lambda path: [save(path, volume(1))] and pictures(1))

# Units and orientation.

for unit in (5, 7, 255):
    of(
        f"unit code {unit}",
        "fmriprep#786, nibabel#1116",
        patched(123, bytes([unit])),
        r"c\.nii: .*xyzt_units.*Set it to mm",
    )
of("no unit", "–", patched(123, bytes([0])))
of("mm called metres", "ITK PR 4595, MRIReco#126", lambda path: save(path, xyzt_units=("meter",)), SIZE_LIE)
of("mm called µm", "ITK PR 4595", lambda path: save(path, xyzt_units=("micron",)), SIZE_LIE)
of("metres", "fmriprep#786", lambda path: save(path, affine=np.diag([-0.003, -0.003, 0.005, 1]), xyzt_units=("meter",)))
of("metres called mm", "fmriprep#786", lambda path: save(path, affine=np.diag([-0.003, -0.003, 0.005, 1])), SIZE_LIE)


def forms(sform: int, qform: int, zero: bool = False) -> Callable[[Path], None]:
    """Return what writes a volume with these codes of its two affines."""

    def make(path: Path) -> None:
        image = nibabel.Nifti1Image(volume(), RAS)
        image.set_qform(RAS, qform)
        image.set_sform(np.zeros((4, 4)) if zero else RAS, sform)
        nibabel.save(image, path)

    return make


of("qform only", "nibabel#522", forms(0, 1))
of("sform only", "nibabel#522", forms(2, 0))
of("a sform of zeros, a good qform", "TorchIO#1300", forms(1, 1, zero=True))
of("both codes 0", "TotalSegmentator#440, kits19#9", lambda path: (forms(1, 1)(path), patch(path, 252, bytes(4))),
   r"c\.nii: .*qform_code are 0.*set_sform")  # fmt: skip
of("an affine of zeros", "TorchIO#1300", forms(1, 0, zero=True), r"c\.nii: .*inverted.*set_sform")
for axes in ("RAS", "LAS", "RPI", "PSR", "SAR", "AIL"):
    of(
        f"stored as {axes}",
        "dcm2niix#945, kits19#15",
        lambda path, axes=axes: nibabel.save(
            nibabel.Nifti1Image(volume(), RAS).as_reoriented(
                nibabel.orientations.ornt_transform(
                    nibabel.orientations.axcodes2ornt("LPS"), nibabel.orientations.axcodes2ornt(axes)
                )
            ),
            path,
        ),
    )
of(
    "sheared by a tilted gantry",
    "dcm2niix#945",
    lambda path: save(path, affine=RAS + np.eye(4)[:, [0, 2, 1, 3]] * [[0], [1], [0], [0]]),
)

# Files.

of(
    "hidden files of macOS",
    "openneuro#2520, mne#7867",
    lambda path: (save(path), path.with_name("._c.nii").write_bytes(b"x")),
    told="1 hidden",
)
of("a folder named .nii", "MIScnn#7", lambda path: save(path / "volume-0.nii"))
of(
    "masks beside, with a pattern",
    "TotalSegmentator#440, MSD",
    lambda path: (
        (save(path.parent / "s1/ct.nii.gz"), save(path.parent / "s1/segmentations/liver.nii.gz", volume() > 0))
    ),
    pattern="*/ct.nii.gz",
    told="1 files that anatomy.pattern",
)
of(
    "masks beside, without",
    "TotalSegmentator#440, MSD",
    lambda path: (
        (save(path.parent / "s1/ct.nii.gz"), save(path.parent / "s1/segmentations/liver.nii.gz", volume() > 0))
    ),
    rf"liver{NOT_HU}",
)
of("upper case", "kits19#25", lambda path: (save(path), path.rename(path.with_name("C.NII"))))
of("not compressed, though it says so", "kits19#25", lambda path: (save(path), path.rename(path.with_name("c.nii.gz"))),
   r"c\.nii\.gz: .*not a gzip.*Replace")  # fmt: skip
of("broken links", "pybids#632", lambda path: path.symlink_to("annex"), "no .*nii.* 1 broken links")
of(
    "a volume under two names",
    "–",
    lambda path: [save(path), save(path.with_name("d.nii"))] and pictures() * 2,
    told="1 volumes with the content of another",
    patients=2,
)
of(
    "a volume and a link to it",
    "pybids#632",
    lambda path: path.with_name("d.nii").symlink_to(save(path)),
    told="1 links",
)
of(
    "truncated",
    "–",
    lambda path: path.write_bytes(save(path).read_bytes()[:9000]),
    r"c\.nii: .*cannot be read.*Replace",
)

_PUBLIC = Path(nibabel.__file__).parent / "tests" / "data"
for file in ("anatomical.nii", "example4d.nii.gz", "functional.nii", "standard.nii.gz", "example_nifti2.nii.gz"):
    if (_PUBLIC / file).is_file():
        of(f"the real file {file}, no CT", "nibabel",
           lambda path, file=file: path.with_name(file).symlink_to(_PUBLIC / file),
           rf"{file}: expected .*(HU|three-dimensional)")  # fmt: skip

# DeepLesion.

COLUMNS = "File_name,Patient_index,DICOM_windows,Spacing_mm_px_,Train_Val_Test,Patient_gender"


def lesion(
    name: str,
    source: str,
    refused: str = "",
    told: str = "",
    encoding: str = "utf-8",
    change: Callable[[str], str] = str,
    stored: Callable[[Image], Image] = lambda hu: (hu.astype(np.int32) + 32768).astype(np.uint16),
    numbers: Sequence[int] = (19, 20, 21),
) -> None:
    """Register one patient of DeepLesion with another table, other pictures, other numbers of slices."""

    @case(name, source, "deeplesion", refused=refused, told=told)
    def files(folder: Path) -> Sequence[Image]:
        rows = '000001_01_01_020.png,1,"-175, 275","3, 3, 5",3,é\n'
        text = change(f"{COLUMNS}\n{rows}").encode(encoding, errors="replace")
        (folder / "DL_info.csv").write_bytes(text)
        place = folder / "Images_png" / "000001_01_01"
        place.mkdir(parents=True)
        for number in numbers:
            Picture.fromarray(stored(body(number))).save(place / f"{number:03d}.png")
        return [body(number) for number in numbers]


lesion("as published", "CADLab#9, CADLab#14")
for code in ("utf-8-sig", "utf-16", "latin-1", "cp1252"):
    lesion(f"the table in {code}", "a spreadsheet", encoding=code)
lesion(
    "the table with semicolons",
    "a spreadsheet",
    r"DL_info\.csv: .*commas.*as published",
    change=lambda text: text.replace(",", ";"),
)
lesion(
    "the table with 3.0 as split",
    "a spreadsheet",
    r"DL_info\.csv, line 2",
    change=lambda text: text.replace(",3,é", ",3.0,é"),
)
lesion("the table without encoding", "–", r"DL_info\.csv", encoding="utf-16-le")
lesion(
    "pictures of 8 bits", "AISD#1", r"\.png: wrong bit depth", stored=lambda hu: np.clip(hu, 0, 255).astype(np.uint8)
)
lesion("HU + 1024", "–", r"\.png: .*not in HU.*HU \+ 32768", stored=lambda hu: (hu + 1024).astype(np.uint16))
lesion("a window stretched to 16 bits", "–", r"\.png: .*not in HU.*HU \+ 32768",
       stored=lambda hu: ((np.clip(hu, -175, 275) + 175) / 450 * 65535).astype(np.uint16))  # fmt: skip
lesion("a key slice missing", "InDuDoNet#5", r"020\.png is missing.*Unpack", numbers=(19, 21))
lesion(
    "a series missing",
    "InDuDoNet#5",
    told="1 series",
    change=lambda text: text + '000002_01_01_020.png,2,"-175, 275","3, 3, 5",3,F\n',
)

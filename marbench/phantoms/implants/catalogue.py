"""The hundred metals: the drawings, their declared sizes, and how these are reached exactly."""

from __future__ import annotations

from marbench.phantoms.implants import dental, joints, soft, spine, training_set, trauma
from marbench.phantoms.implants.fits import FITS
from marbench.phantoms.implants.metal import Drawing, Metal
from marbench.phantoms.implants.outlines import arranged, centred

__all__ = ["TEST_AREAS", "TRAIN_AREAS", "test", "test_drawings", "train"]

TEST_AREAS = (2054, 879, 878, 448, 242, 115, 115, 111, 53, 32)
"""Sizes of the test metals of Lin et al. (CVPR 2019), reference pixels."""

TRAIN_AREAS = tuple(round(16 * (4967 / 16) ** (k / 89)) for k in range(90))
"""Sizes of the training metals: their range after Lin et al., spread evenly on a logarithmic scale."""


def train() -> tuple[Metal, ...]:
    """Return the metals to train with, by increasing size."""
    return _metals("train", training_set.drawings(), TRAIN_AREAS)


def test() -> tuple[Metal, ...]:
    """Return the metals to test with, by decreasing size."""
    return _metals("test", test_drawings(), TEST_AREAS)


def _metals(split: str, drawings: tuple[Drawing, ...], areas: tuple[int, ...]) -> tuple[Metal, ...]:
    metals = []
    for number, (drawing, area) in enumerate(zip(drawings, areas, strict=True), start=1):
        name = f"{split}-{number:02d}-{drawing.name}"
        unit, tilt = FITS[name]
        parts = centred(arranged(drawing.parts, turn=tilt))
        metals.append(Metal(name, drawing.title, drawing.kind, drawing.site, area, parts, unit))
    return tuple(metals)


def test_drawings() -> tuple[Drawing, ...]:
    """Return the drawings to test with, by decreasing size."""
    return (
        Drawing("hip", "Total hip: head, shell with screw, and stem", "hip", "bone",
                joints.hip_joint(34, 54, 4.5, 44, 13, (28, 18), 155, 24)),
        Drawing("pedicle-screws", "Pedicle screws with rods", "pedicle-screw", "bone",
                spine.pedicle_screws(44, 6.4, 17, 22, rod="cocr")),
        Drawing("hip-head", "Femoral head on its neck", "hip", "bone",
                joints.hip_head(28, 30, 12, anteversion=20)),
        Drawing("plate", "Plate with three screws", "plate", "bone",
                arranged(trauma.plate(52, 3.8, 40, ((-0.8, 17), (-0.1, 19), (0.75, 16)), 3.6, "steel"), turn=12)),
        Drawing("crowns", "Gold crowns and a filling", "crown", "teeth",
                dental.crowns((5, 6), "gold", 0.0, (-6,))),
        Drawing("coil", "Embolisation coil", "coil", "soft",
                soft.coil(16, (3, 5, 8), 1.5, 0.8)),
        Drawing("nail", "Intramedullary nail", "nail", "bone",
                trauma.nail(13, 4.0)),
        Drawing("fillings", "Three fillings", "filling", "teeth",
                dental.fillings((-6, 5, 7), 6.8)),
        Drawing("sternal-wire", "Sternal wire", "sternal-wire", "bone",
                soft.sternal_wires(((0, 0, 10),), 13, 1.5, 9)),
        Drawing("clips", "Surgical clips", "clip", "soft",
                soft.clips(((0, 0, 65), (19, -6, 130)), 5.6, 1.6, 30)),
    )  # fmt: skip

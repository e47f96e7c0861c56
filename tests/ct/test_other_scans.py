"""Scans that are no evenly divided circle with a symmetric detector: the laws of the full scan hold for them too."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from ct_phantoms import BODY, Disc, dudonet

from marbench.ct import RadonInversion, back_project, backend_for, project
from marbench.ct.filtering import filtering, ramp
from marbench.ct.rebinning import rebinning_matrix, symmetric
from marbench.errors import GeometryError
from marbench.geometry import FanBeam, ImageGrid
from marbench.reconstruction import Window

ARC, GRID = dudonet()
_, HALF = dudonet(2)
FLAT = FanBeam(320, 321, 39.69, 43.44 / 321, "flat", 79.38)
SHORT = math.pi + 2 * ARC.widest
UNEVEN = tuple(np.cumsum(np.tile([0.8, 1.2], 160)) * (2 * math.pi / 320))

SCANS = {
    "quarter shift": replace(ARC, offset=0.25),
    "shifted by 1.75 cells, flat": replace(FLAT, offset=-1.75),
    "half fan": replace(ARC, offset=-130.0),
    "clockwise": replace(ARC, clockwise=True, start=0.7),
    "short": replace(ARC, arc=SHORT * 321 / 320, start=1.1),
    "short, clockwise, shifted": replace(ARC, arc=SHORT * 1.05, clockwise=True, offset=0.25),
    "short, flat": replace(FLAT, arc=(math.pi + 2 * FLAT.widest) * 1.01),
    "three quarters of a circle": replace(ARC, arc=1.5 * math.pi),
    "list of a circle": replace(ARC, angles=UNEVEN),
    "list of a part, clockwise": replace(ARC, angles=tuple(-0.65 * np.array(UNEVEN)), clockwise=True),
}


def halved(scan: FanBeam) -> FanBeam:
    """Return a like scan with half the views and bins."""
    angles = tuple(np.array(scan.angles[::2]))
    return replace(scan, views=scan.views // 2, bins=161, pitch=2 * scan.pitch, offset=scan.offset / 2, angles=angles)


def small(scan: FanBeam) -> FanBeam:
    """Return a like scan with few rays."""
    angles = tuple(np.array(scan.angles[::20]))
    return replace(scan, views=16, bins=21, pitch=scan.pitch * 321 / 21, offset=scan.offset * 21 / 321, angles=angles)


@pytest.fixture(scope="module")
def truth() -> torch.Tensor:
    return sum(disc.pixels(HALF) for disc in BODY)


@pytest.fixture(scope="module")
def full() -> torch.Tensor:
    return RadonInversion(halved(ARC), HALF)(sum(disc.chords(halved(ARC)) for disc in BODY).float())


@pytest.mark.parametrize("name", ["quarter shift", "half fan", "short, clockwise, shifted", "list of a circle"])
def test_discs_project_to_their_chords(name: str, truth: torch.Tensor) -> None:
    scan = halved(SCANS[name])
    exact = sum(disc.chords(scan) for disc in BODY)
    # On the fly: storing the weights of one projection takes longer.
    sinogram = project(truth.float(), scan, HALF, backend="reference")
    assert (sinogram - exact).norm() <= 4.5e-3 * exact.norm()


@pytest.mark.parametrize("scan", SCANS.values(), ids=SCANS)
def test_discs_keep_their_values_and_places_and_the_rest_stays_empty(
    scan: FanBeam, full: torch.Tensor, truth: torch.Tensor
) -> None:
    scan, disc = halved(scan), Disc(2.1, 1.3, 2.6, 0.2)
    sinograms = torch.stack([disc.chords(scan), sum(each.chords(scan) for each in BODY)])
    image, body = RadonInversion(scan, HALF)(sinograms.float()).double()
    assert image[disc.covers(HALF, 0.3)].mean().item() == pytest.approx(0.2, rel=3e-3)
    near = image * disc.covers(HALF, -0.5)
    centroid = torch.stack([(near * torch.from_numpy(HALF.x)).sum(), (near.T * torch.from_numpy(HALF.y)).sum()])
    assert (centroid / near.sum() - torch.tensor([disc.x, disc.y])).abs().max() <= 0.05 * HALF.pixel
    # Rays that were counted twice, or not at all, would be streaks far from the disc. The full scan has 1.6 %.
    assert image[~disc.covers(HALF, -0.5)].square().mean().sqrt() <= 0.0175 * 0.2
    # An asymmetric phantom is reconstructed as well as by the full scan.
    flat = torch.stack([each.covers(HALF, -0.2) & ~each.covers(HALF, 0.2) for each in BODY]).sum(0) == 0
    errors = [(each - truth)[flat].square().mean().sqrt() for each in (full, body)]
    assert errors[0] < 0.023 * 0.2
    assert errors[1] < 1.3 * errors[0]


@pytest.mark.parametrize("scan", SCANS.values(), ids=SCANS)
def test_adjoints_are_exact_and_fast_forms_equal_the_reference(scan: FanBeam) -> None:
    torch.manual_seed(1)
    scan, grid = small(scan), ImageGrid(14, 14, 0.5)
    layers = [RadonInversion(scan, grid, truncation="ignore", backend=name) for name in ("auto", "reference")]
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        x, y = torch.rand(grid.shape, dtype=dtype), torch.rand(scan.shape, dtype=dtype)
        projected, back = project(x, scan, grid), back_project(y, scan, grid)
        assert abs((projected.double() * y).sum() - (x * back.double()).sum()) <= tolerance * (projected * y).sum()
        image, sinogram = layers[0](y), layers[0].adjoint(x)
        scale = image.double().norm() * x.double().norm()
        assert abs((image.double() * x).sum() - (y * sinogram.double()).sum()) <= tolerance * scale
        assert (projected - project(x, scan, grid, backend="reference")).abs().max() <= 1e-5 * projected.max()
        assert (image - layers[1](y)).abs().max() <= 1e-5 * image.abs().max()


@pytest.mark.parametrize("scan", SCANS.values(), ids=SCANS)
def test_the_weights_of_every_line_add_up_to_one(scan: FanBeam) -> None:
    sums = np.asarray(rebinning_matrix(scan, 180).sum(axis=1)).reshape(180, symmetric(scan).bins)
    gamma = symmetric(scan).gamma
    seen = np.abs(gamma) * scan.source_distance <= 0.99 * scan.field_radius
    np.testing.assert_allclose(sums[:, seen], 1, atol=1e-12)


def test_a_clockwise_scan_is_the_mirror_image_of_a_counter_clockwise_one() -> None:
    """Views in the other order, seen by a source that starts at the same place."""
    fan, grid = dudonet(4)
    image = sum(disc.pixels(grid) for disc in BODY).float()
    there, back = project(image, fan, grid), project(image, replace(fan, clockwise=True), grid)
    order = -np.arange(fan.views) % fan.views
    assert (back - there[order]).abs().max() <= 1e-5 * there.max()


def test_the_symmetric_form_of_the_projector_is_taken_where_it_holds_and_only_there() -> None:
    symmetric_ones = {
        name for name, scan in SCANS.items() if "share the symmetry" in backend_for("project", scan, GRID).reason
    }
    assert symmetric_ones == set()  # not even the clockwise one, which starts between two views
    assert "share the symmetry" in backend_for("project", replace(ARC, clockwise=True), GRID).reason
    assert "shifted by 0.25 cells" in backend_for("project", SCANS["quarter shift"], GRID).reason
    # What is back-projected is parallel, and symmetric whatever the fan was.
    assert all("share the symmetry" in backend_for("invert", scan, GRID).reason for scan in SCANS.values())


def test_too_little_of_the_circle_is_refused_with_what_would_do() -> None:
    fan = replace(ARC, arc=math.pi)
    project(torch.zeros(GRID.shape), fan, GRID, backend="reference")  # what is measured can be computed
    with pytest.raises(GeometryError, match=r"turn by 179\.4° .* only from 202\.\d° on"):
        RadonInversion(fan, GRID)
    # One view, and two of them, which measure the lines of one: no circle, whatever they are a part of.
    for views, turn in ((1, 0), (2, 180)):
        few = replace(ARC, views=views)
        assert project(torch.ones(GRID.shape), few, GRID, backend="reference").shape == (views, ARC.bins)
        with pytest.raises(GeometryError, match=rf"turn by {turn}\.0° "):
            RadonInversion(few, GRID)
    assert not replace(ARC, views=2).is_circle and replace(ARC, views=3).is_circle


def test_a_list_of_views_closes_the_circle_where_its_gap_is_one_and_a_half_steps_at_most() -> None:
    for gap, closes in ((1.49, True), (1.51, False)):
        angles = tuple(np.arange(320) * (2 * math.pi / (319 + gap)))
        assert replace(ARC, angles=angles).is_circle == closes


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"offset": 161.0}, "at most 160 either way"),
        ({"offset": math.nan}, "at most 160 either way"),
        ({"arc": 7.0}, "between 0 and 2π"),
        ({"arc": 0.0}, "between 0 and 2π"),
        ({"start": math.nan}, "between 0 and 2π"),
        ({"angles": (0.0, 1.0)}, "names 2 views; views is 320"),
        ({"angles": (0.0, 2.0, 1.0), "views": 3}, "must rise from view to view"),
        ({"angles": (0.0, 1.0, 2.0), "views": 3, "clockwise": True}, "must fall from view to view"),
        ({"angles": (0.0, math.nan, 2.0), "views": 3}, "must rise from view to view"),
        ({"angles": (0.0, 3.0, 6.5), "views": 3}, "less than a whole one"),
        ({"angles": tuple(np.radians(np.r_[0:100, 220:360])), "views": 240}, "gap between 99° and 220°.*begins behind"),
        ({"angles": tuple(np.radians(np.r_[0:60, 180:240])), "views": 120}, "gap between 59° and 180°"),
        ({"angles": tuple(np.radians(np.arange(0, 362, 2))), "views": 181}, "repeats the first one is left out"),
        ({"pitch": 1.0}, "smaller pitch: it is 57.2958°, 1 radians"),
    ],
)
def test_impossible_scans_are_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(GeometryError, match=told):
        replace(ARC, **changes)


@pytest.mark.parametrize("kind", [list, np.array, partial(torch.tensor, dtype=torch.float64)])
def test_angles_and_windows_may_be_any_sequence_of_numbers(kind: Callable[[object], Any]) -> None:
    scan = replace(ARC, angles=kind(UNEVEN))
    assert scan == SCANS["list of a circle"] and hash(scan) == hash(SCANS["list of a circle"])
    assert replace(ARC, views=1, angles=kind((0.0,))).angles == (0.0,)  # though 0 is false
    window = ((0.0, 1.0), (1.0, 0.5))
    one, other = (RadonInversion(ARC, GRID, window=each) for each in (window, kind(window)))
    assert one._key == other._key


def test_a_source_inside_the_image_is_refused() -> None:
    with pytest.raises(GeometryError, match="would pass through the image"):
        project(torch.zeros(30, 30), FanBeam(8, 9, 10.0, 0.1), ImageGrid(30, 30, 1.0))


def test_a_truncated_field_is_refused_or_continued() -> None:
    """A disc of water of 14 cm in a fan that sees 5 cm: cut off at its ends it shows a rim, and is far too bright."""
    fan, body = replace(ARC, bins=75), Disc(0.5, 0.2, 7.0, 0.2)
    with pytest.raises(GeometryError, match="truncation = 'extrapolate'"):
        RadonInversion(fan, GRID)
    inside = Disc(0, 0, 2.3, 1).covers(GRID, 0)
    errors = {}
    for choice in ("ignore", "extrapolate"):
        image = RadonInversion(fan, GRID, truncation=choice)(body.chords(fan).float())
        errors[choice] = (image[inside] / 0.2 - 1).abs().mean().item()
    assert errors["ignore"] > 0.5
    assert errors["extrapolate"] < 0.15
    # A body that is seen whole is not changed by it: its projections end at 0.
    small_disc = Disc(0.3, -0.2, 1.5, 0.2).chords(fan).float()
    whole, continued = (RadonInversion(fan, GRID, truncation=each)(small_disc) for each in ("ignore", "extrapolate"))
    assert (whole - continued)[inside].abs().max() <= 1e-5


@pytest.mark.parametrize(
    ("field", "body", "mean", "rim"),
    [(12, 14, -133, -283), (12, 18, -20, -51), (15, 14, -49, -198), (15, 18, -40, -95)],
)
def test_a_continued_field_is_as_dark_as_its_docstring_says(field: float, body: float, mean: int, rim: int) -> None:
    """Discs of water, cm, in an image of 41 cm; values in HU."""
    grid, pitch = ImageGrid(64, 64, 0.64), math.radians(0.34)
    fan = FanBeam(128, 2 * int(field / (105.85 * pitch)) + 1, 105.85, pitch)
    layer = RadonInversion(fan, grid, truncation="extrapolate")
    image = layer(Disc(0, 0, body, 1000.0).chords(fan).float()) - 1000
    within, inner, outer = (Disc(0, 0, part * fan.field_radius, 1).covers(grid, 0) for part in (0.9, 0.85, 0.95))
    assert image[within].mean().item() == pytest.approx(mean, abs=8)
    assert image[outer & ~inner].mean().item() == pytest.approx(rim, abs=12)


@pytest.mark.parametrize("offset", [0.0, 0.25, -0.25, 0.5, 30.3])
@pytest.mark.parametrize("detector", ["arc", "flat"])
def test_what_is_continued_is_a_measured_ray_on_shifted_detectors_too(offset: float, detector: str) -> None:
    fan = replace(ARC, bins=74, offset=offset)
    if detector == "flat":
        fan = replace(fan, detector="flat", detector_distance=80.0, pitch=fan.pitch * 80.0)
    parallel, matrix = filtering(fan, GRID, extrapolate=True)
    kernel = ramp(parallel.bins, parallel.spacing) * (parallel.spacing * math.pi / parallel.views)
    ones = rebinning_matrix(fan, parallel.views) @ np.ones(fan.views * fan.bins)
    rays = np.linalg.solve(kernel.T, (ones.reshape(parallel.views, -1) @ matrix).T).T  # as they are before the ramp
    middle = parallel.bins // 2
    seen = math.floor(fan.field_radius / parallel.spacing) - 1
    assert rays[:, middle - seen : middle + seen + 1] == pytest.approx(1, abs=1e-9)
    # From there they fall, the first step by next to nothing.
    assert rays[:, [middle - seen - 2, middle + seen + 2]].min() > 0.9


@pytest.mark.parametrize(
    ("window", "law"),
    [
        ("ram-lak", lambda f: np.ones_like(f)),
        ("shepp-logan", lambda f: np.sinc(f / 2)),
        ("cosine", lambda f: np.cos(np.pi * f / 2)),
        ("hamming", lambda f: 0.54 + 0.46 * np.cos(np.pi * f)),
        ("hann", lambda f: 0.5 + 0.5 * np.cos(np.pi * f)),
        (((0.0, 1.0), (0.25, 0.9), (1.0, 0.1)), lambda f: np.interp(f, [0, 0.25, 1], [1, 0.9, 0.1])),
    ],
)
def test_windows_have_the_response_that_their_names_say(window: Window, law: object) -> None:
    row = ramp(1025, 0.5, window)[512]
    response = np.abs(np.fft.fft(np.fft.ifftshift(row))) * 0.5
    frequency = np.abs(np.fft.fftfreq(1025, 0.5))
    np.testing.assert_allclose(response, frequency * law(frequency), atol=1e-3)


@pytest.mark.parametrize("window", ["shepp-logan", "cosine", "hamming", "hann"])
def test_a_window_keeps_the_value_of_a_disc_and_lowers_the_noise(window: Window) -> None:
    torch.manual_seed(0)
    fan, grid = dudonet(4)
    disc, noise = Disc(1.1, 0.3, 3.6, 0.2), torch.randn(fan.shape)
    layers = [RadonInversion(fan, grid, window=each) for each in (window, "ram-lak")]
    assert layers[0](disc.chords(fan))[disc.covers(grid, 1.0)].mean().item() == pytest.approx(0.2, rel=5e-3)
    assert layers[0](noise).std() < 0.95 * layers[1](noise).std()


def test_a_window_by_its_table_is_the_named_one_where_it_has_its_values() -> None:
    np.testing.assert_allclose(ramp(65, 0.3, ((0.0, 1.0), (1.0, 1.0))), ramp(65, 0.3), atol=1e-12)
    hann = tuple((u, 0.5 + 0.5 * math.cos(math.pi * u)) for u in np.linspace(0, 1, 65).tolist())
    np.testing.assert_allclose(ramp(65, 0.3, hann), ramp(65, 0.3, "hann"), atol=2e-3)
    fan, grid = dudonet(4)
    scan = Disc(1.1, 0.3, 3.6, 0.2).chords(fan)
    tabled, named = (RadonInversion(fan, grid, window=one)(scan) for one in (hann, "hann"))
    assert torch.allclose(tabled, named, atol=2e-4)


def test_an_unknown_window_is_refused_with_the_nearest() -> None:
    with pytest.raises(GeometryError, match="did you mean 'hamming'"):
        RadonInversion(ARC, GRID, window="haming")
    for table in (((0.0, 1.0), (0.5, 0.5)), ((0.0, 1.0), (0.5, 1.0), (0.5, 0.5), (1.0, 0.1))):
        with pytest.raises(GeometryError, match="increases from 0 to 1"):
            RadonInversion(ARC, GRID, window=table)
    with pytest.raises(GeometryError, match="none below 0"):
        RadonInversion(ARC, GRID, window=((0.0, 1.0), (1.0, -0.1)))
    # Twice the HU, or none of them: the truth would be as wrong.
    for table in (((0.0, 2.0), (1.0, 2.0)), ((0.0, 0.0), (1.0, 1.0)), ((0.0, 0.99), (1.0, 0.1))):
        with pytest.raises(GeometryError, match="at f = 0 is 1"):
            RadonInversion(ARC, GRID, window=table)

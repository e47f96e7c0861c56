"""Published worlds as presets: held to the figures that are known of them, as far as these need no files of others."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy import ndimage

from marbench.cases.own_metals import draw
from marbench.cases.simulator import MetalFree, Simulator
from marbench.cases.sources import open_source
from marbench.cli import main
from marbench.ct.projection import project
from marbench.phantoms.metals import library, mask, whole_pixels
from marbench.physics.beam_hardening import apply_polynomial, water_coefficients
from marbench.physics.hounsfield import WATER_ATTENUATION
from marbench.physics.materials import relative_attenuation
from marbench.physics.transmission import polychromatic
from marbench.spec import Spec, builtin_specs, load_spec

PUBLISHED = sorted({*builtin_specs()} - {"mini", "dudonet2019"})


def varied(spec: Spec, **tables: dict[str, object]) -> Spec:
    content = spec.model_dump(by_alias=True)
    return Spec.model_validate(content | {name: content[name] | values for name, values in tables.items()})


@pytest.fixture(scope="module")
def world() -> Spec:
    """SynDeepLesion with every twentieth view: what is compared is the same in all of them."""
    return varied(load_spec("syndeeplesion"), geometry={"views": 32})


@pytest.fixture(scope="module")
def scene(world: Spec) -> tuple[MetalFree, list[np.ndarray]]:
    """A slice, and masks of a large and a middling metal in its middle."""
    source = open_source(world)
    patient, slices = next(iter(source.patients("test").items()))
    free = Simulator(world).without_metal(source.load(patient, slices[0], world.grid))
    metals = library("test")
    areas = [draw(metals[number], world.grid, world.metals.reference_pixel_cm) for number in (1, 4)]
    return free, [mask(each) for each in areas]


def measured(
    spec: Spec, free: MetalFree, metal: np.ndarray, material: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sinogram without noise, and the trace."""
    quiet = Simulator(varied(spec, physics={"noise": False}))
    sinogram, trace = quiet.with_metal(free, {material or spec.metals.material: metal}, np.random.default_rng(0))
    return sinogram.numpy(), trace.numpy()


def test_syndeeplesion_has_the_geometry_of_the_published_files(world: Spec) -> None:
    spec = load_spec("syndeeplesion")
    fan = spec.geometry
    assert (fan.shape, spec.grid.shape) == ((640, 641), (416, 416))
    assert fan.bins * fan.pitch == pytest.approx(43.44, abs=1e-4)
    assert fan.source_distance / spec.grid.pixel == pytest.approx(1075, abs=0.1)
    assert fan.detector_distance == 2 * fan.source_distance
    assert fan.beta == pytest.approx((np.arange(640) + 0.5) * 2 * math.pi / 640)
    titanium = spec.material(spec.metals.material)
    assert float(relative_attenuation(titanium, (70.0,), 70.0)[1]) == pytest.approx(2.453, abs=5e-4)


def test_the_clean_scan_of_syndeeplesion_differs_from_itself_by_the_noise_that_was_measured(world: Spec, scene) -> None:
    # The published sinogram and our noise-free one differ by 0.00073 rms of 1.371: water as wide as that patient.
    y, x = np.mgrid[-7.68:7.68:416j, -7.68:7.68:416j]
    water = np.where(np.hypot(x, y) < 6.9, 0.0, -1000.0).astype(np.float32)
    free = Simulator(world).without_metal(replace(scene[0].slice, image=water))
    noisy, quiet = (
        Simulator(world).measurement.measured(free.polychromatic, rng) for rng in (np.random.default_rng(1), None)
    )
    assert float(quiet.mean()) == pytest.approx(1.371, rel=0.03)
    assert float((noisy - quiet).pow(2).mean().sqrt()) == pytest.approx(0.00073, rel=0.2)


def test_metal_of_syndeeplesion_is_a_quarter_in_the_bins_that_an_erosion_takes_away(world: Spec, scene) -> None:
    free, masks = scene
    for metal in masks:
        path = project(torch.from_numpy(metal).float(), world.geometry, world.grid).numpy() * 2.453
        trace = path > 0
        inner = ndimage.binary_erosion(trace, np.ones((1, 3)), border_value=1)
        path[trace & ~inner] /= 4
        paths = torch.cat([free.paths, torch.from_numpy(path)[None]])
        materials = ("water", "bone", world.material("titanium-2453"))
        photons = 2e7 * torch.exp(-polychromatic(paths, materials, world.physics.beam).double()).numpy() + 20
        raw = torch.from_numpy(-np.log(photons / 2e7)).float()
        expected = apply_polynomial(raw, water_coefficients(world.physics.beam)).numpy()
        sinogram, own_trace = measured(world, free, metal)
        assert np.array_equal(own_trace, trace)
        assert np.abs(sinogram - expected)[trace].max() < 2e-3


def scaled(spec: Spec, formula: str, attenuation: float) -> dict[str, object]:
    """Return a material as tables have it, of the density that gives it this attenuation at 70 keV, 1/cm."""
    found = spec.material(formula)
    density = found.density * attenuation / float(relative_attenuation(found, (70.0,), 70.0)[1])
    return {"density": density, "formula": formula}


@pytest.mark.parametrize(
    ("change", "low", "high"),
    [("tissue removed", 0.004, 0.021), ("no quarter", 0.028, 0.062), ("steel", 0.04, 0.07)],
)
def test_other_metal_is_as_far_from_syndeeplesion_as_from_its_files(world: Spec, scene, change, low, high) -> None:
    free, masks = scene
    # Steel is told from titanium by metal that is long enough to harden the beam.
    for metal in masks[:1] if change == "steel" else masks:
        tissue = float((free.water + free.bone)[torch.from_numpy(metal)].mean())
        # What takes the place of tissue has to weaken the beam for both; steel is thinned to the same attenuation.
        other, tables = {
            "tissue removed": (
                scaled(world, "titanium", 2.453 + tissue),
                {"metals": {"tissue_under_metal": "removed"}},
            ),
            "no quarter": (scaled(world, "titanium", 2.453), {"metals": {"edge_bins": "whole"}}),
            "steel": (scaled(world, "stainless_steel", 2.453), {}),
        }[change]
        right, trace = measured(world, free, metal)
        wrong, _ = measured(varied(world, materials={"other": other}, **tables), free, metal, "other")
        distance = float(np.sqrt(((right - wrong)[trace] ** 2).mean()))
        # The slices and metals of which the distances are known are others.
        assert low / 1.5 < distance < 1.5 * high


@pytest.mark.parametrize(
    ("name", "water_cm", "titanium_cm", "photons"),
    [
        ("dudonet2019", 14, 2, 1.7e4),
        ("adn2019", 14, 2, 1.7e4),
        ("syndeeplesion", 14, 2, 1.7e4),
        ("dudonetpp2020", 35, 6, 3),
    ],
)
def test_as_many_photons_are_left_as_is_known_of_each_world(name, water_cm, titanium_cm, photons) -> None:
    spec = load_spec(name)
    titanium = float(relative_attenuation(spec.material("titanium"), (70.0,), 70.0)[1])
    paths = torch.tensor([[water_cm * WATER_ATTENUATION], [titanium_cm * titanium]])
    left = spec.physics.photons * math.exp(-float(polychromatic(paths, ["water", "titanium"], spec.physics.beam)))
    assert left == pytest.approx(photons, rel=0.2)


@pytest.mark.parametrize(
    ("name", "rays", "pixels", "field_cm", "source_cm"),
    [
        ("adn2019", (320, 197), 256, 15.36, 64.5),
        ("dudonetpp2020", (640, 641), 416, 40.96, 105.85),
        ("cnnmar2018", (984, 920), 512, 40.96, 59.5),
        ("aapm2024", (1000, 900), 512, 40.0, 55.0),
    ],
)
def test_a_world_has_the_sizes_that_are_published(name, rays, pixels, field_cm, source_cm) -> None:
    spec = load_spec(name)
    assert (spec.geometry.shape, spec.grid.shape) == (rays, (pixels, pixels))
    assert spec.grid.field_of_view[0] == pytest.approx(field_cm, abs=1e-3)
    assert spec.geometry.source_distance == source_cm


def test_the_shifted_detector_of_aapm2024_is_one_of_a_millimetre_a_cell() -> None:
    fan = load_spec("aapm2024").geometry
    assert fan.gamma == pytest.approx((np.arange(900) - 449.5 - 1.25) * 2 * math.atan(0.5 / 950), abs=1e-6)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_world_says_what_is_known_of_it_and_how_it_was_verified(name: str) -> None:
    spec = load_spec(name)
    assert {*"".join(known.what for known in spec.provenance)} and len(spec.provenance) >= 2
    shown = CliRunner(env={"COLUMNS": "500"}).invoke(main, ["show", name]).output
    for known in spec.provenance:
        assert f"known: {known.what}" in shown
        assert (known.verified or "Verified: not at all.") in shown


def test_what_is_known_is_no_part_of_a_benchmark_and_not_inherited(tmp_path) -> None:
    spec = load_spec("adn2019")
    assert spec.model_copy(update={"provenance": ()}).hash == spec.hash
    (tmp_path / "mine.toml").write_text('extends = "adn2019"\nname = "mine"')
    assert load_spec(tmp_path / "mine.toml").provenance == ()


def test_whole_pixels_are_of_the_material_that_covers_most_of_them() -> None:
    areas = {"titanium": np.array([[0.2, 0.6, 0.4, 1.0]]), "gold": np.array([[0.2, 0.0, 0.5, 0.0]])}
    whole = whole_pixels({name: area.astype(np.float32) for name, area in areas.items()})
    assert whole["titanium"].tolist() == [[0, 1, 0, 1]] and whole["gold"].tolist() == [[0, 0, 1, 0]]


def test_where_all_tissue_is_water_bone_hardens_no_beam(world: Spec, scene) -> None:
    free = Simulator(varied(world, physics={"tissue": "water"})).without_metal(scene[0].slice)
    assert not free.bone.any() and torch.allclose(free.water, scene[0].water + scene[0].bone)
    expected = polychromatic(free.paths[:1], ["water"], world.physics.beam)
    assert torch.allclose(free.polychromatic, expected, atol=1e-5)


def test_of_every_published_world_something_was_verified() -> None:
    for name in set(builtin_specs()) - {"mini", "dudonet2019"}:
        assert any(entry.verified for entry in load_spec(name).provenance), name

"""The chain from paths to corrected line integrals, with everything that a scanner may have in it."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from marbench.anatomy.slices import Slice
from marbench.cases.measurement import Measurement
from marbench.cases.simulator import Simulator
from marbench.cases.suite import Suite
from marbench.errors import SpecError
from marbench.physics.materials import mass_attenuation, relative_attenuation
from marbench.spec import Spec, load_spec

WHOLE = """
extends = "mini"
name = "small"
title = "small"
[geometry]
views = 8
bins = 92
pitch_deg = 0.48
[grid]
size = 32
pixel_cm = 1.28
[physics]
spectrum = [[40, 1], [60, 3], [90, 2]]
detector = "integrating"
photons = 1e6
scatter = 0
tissue = "water"
electronic_noise = 4.2
low_signal = "smoothed"
negative = "zero"
crosstalk = 0.025
water_order = 5
water_cm = 40
[physics.bowtie]
thickness = [[0, 0.25], [8, 0.6], [23, 3.7]]
[physics.patient_scatter]
amount = 0.03
kernel = [[0, 1], [4, 0.4], [8, 0.1]]
[physics.scatter_correction]
amount = 0.03
power = 0.9
kernel = [[0, 1], [5, 0.4], [10, 0.2]]
"""


def spec_of(tmp_path: Path, text: str = WHOLE) -> Spec:
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    return load_spec(path)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    return spec_of(tmp_path_factory.mktemp("whole"))


def without(spec: Spec, **changes: Any) -> Spec:
    content = spec.model_dump(by_alias=True)
    return Spec.model_validate({**content, "physics": {**content["physics"], **changes}})


def independent(spec: Spec, water_cm: np.ndarray, titanium_cm: np.ndarray) -> np.ndarray:
    """Return the prepared line integrals of a scan without noise, before the water correction, for plain NumPy."""
    energies, weights = np.array([40.0, 60.0, 90.0]), np.array([40.0, 180.0, 180.0]) / 400
    gamma = np.abs((np.arange(92) - 45.5) * 0.48)
    aluminium = np.exp(
        -np.outer(np.interp(gamma, [0, 8, 23], [0.25, 0.6, 3.7]), 2.7 * mass_attenuation("aluminium", energies))
    )
    object_ = np.exp(
        -water_cm[..., None] * mass_attenuation("water", energies)
        - titanium_cm[..., None] * 4.5 * mass_attenuation("titanium", energies)
    )
    air, signal = 1e6 * aluminium @ weights, 1e6 * (aluminium * object_) @ weights

    def scattered(signal, air, amount, power, cells, values):  # type: ignore[no-untyped-def]
        half = np.interp(np.arange(cells[-1] + 1), cells, values)
        kernel = np.concatenate([half[:0:-1], half])
        p = np.maximum(-np.log(np.maximum(signal / air, 1e-10)), 0)
        return [amount * np.convolve(row, kernel / kernel.sum(), mode="same") for row in p**power * signal]

    def mixed(signal):  # type: ignore[no-untyped-def]
        wide = np.pad(signal, [(0, 0)] * (signal.ndim - 1) + [(1, 1)], mode="edge")
        return 0.95 * signal + 0.025 * (wide[..., 2:] + wide[..., :-2])

    counts = np.round(mixed(signal + scattered(signal, air, 0.03, 1.0, [0, 4, 8], [1, 0.4, 0.1])))
    air = mixed(air)
    counts = counts - scattered(counts, air, 0.03, 0.9, [0, 5, 10], [1, 0.4, 0.2])
    return np.maximum(-np.log(counts / air), 0)


def test_the_chain_is_the_order_of_its_steps_written_out_for_numpy(spec: Spec) -> None:
    quiet = without(spec, noise=False)
    measurement = Measurement(quiet, torch.device("cpu"))
    rng = np.random.default_rng(0)
    # Bright enough that nothing is smoothed: at most 5 in units of p.
    water, titanium = rng.uniform(0, 14, (8, 92)), rng.uniform(0, 0.5, (8, 92)) * (rng.random((8, 92)) < 0.3)
    per_cm = [relative_attenuation(name, (70.0,), 70.0)[1] for name in ("water", "titanium")]
    paths = torch.from_numpy(np.stack([water * per_cm[0], titanium * per_cm[1]]))
    found = measurement.measured(measurement.line_integrals(paths, ["water", "titanium"]), None)
    expected = measurement.corrected(torch.from_numpy(independent(quiet, water, titanium)))
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_a_cylinder_of_water_comes_back_as_its_path_through_the_whole_chain(spec: Spec) -> None:
    distance = np.hypot(spec.grid.x[None, :], spec.grid.y[:, None])
    image = np.where(distance < 13, 0, -1000).astype(np.float32)
    for changes, accuracy in (
        ({"patient_scatter": None, "scatter_correction": None, "crosstalk": 0}, 1e-3),
        ({}, 0.08),
    ):
        simulator = Simulator(without(spec, noise=False, **changes))
        free = simulator.without_metal(Slice(image, (-160, 240), "water", "water"))
        error = simulator.measurement.measured(free.polychromatic, None) - free.paths[0]
        # The correction has another power and kernel than the scatter.
        assert error.abs().max() < accuracy
    raw = Simulator(without(spec, noise=False, scatter_correction=None)).measurement.measured(free.polychromatic, None)
    assert float((raw - free.paths[0]).min()) < -0.1


def test_no_photons_count_as_one() -> None:
    plain = Measurement(without(load_spec("mini"), scatter=0), torch.device("cpu"))
    starved = plain.measured(torch.full((100,), 40.0), np.random.default_rng(0))
    assert torch.equal(starved, plain.corrected(torch.full((100,), math.log(2e7))))


def test_air_is_zero_and_every_view_is_the_same_alone(spec: Spec) -> None:
    measurement = Measurement(without(spec, noise=False), torch.device("cpu"))
    assert measurement.measured(torch.zeros(3, 92), None).abs().max() < 1e-4  # counts are whole
    line_integrals = torch.rand(8, 92) * 12
    together = measurement.measured(line_integrals, None)
    assert torch.equal(measurement.measured(line_integrals[5:6], None), together[5:6])


def test_every_effect_changes_a_scan_with_metal_and_none_its_trace(spec: Spec) -> None:
    metal = np.zeros((32, 32), np.float32)
    metal[14:17, 18:20] = 1
    image = np.zeros((32, 32), np.float32)
    offs: list[dict[str, Any]] = [
        {},
        {"bowtie": None},
        {"crosstalk": 0},
        {"scatter_correction": None},
        {"patient_scatter": None, "scatter_correction": None},
        {"low_signal": "one photon"},
        {"negative": "kept"},
        {"water_order": 3},
    ]
    scans, traces, truths = [], [], []
    for off in offs:
        simulator = Simulator(without(spec, **off))
        free = simulator.without_metal(Slice(image, (-160, 240), "water", "water"))
        scan, trace = simulator.with_metal(free, {"gold": metal}, np.random.default_rng(1))
        scans.append(scan)
        traces.append(trace)
        truths.append(simulator.truth(free, np.random.default_rng(2))[1])
        assert scan.isfinite().all()
    assert all(torch.equal(trace, traces[0]) for trace in traces)
    for scan, truth in zip(scans[1:6], truths[1:6], strict=True):
        assert not torch.equal(scan, scans[0])
        assert not torch.equal(truth, truths[0]) or scan is scans[5]
    assert float(scans[0].min()) >= 0 and float(scans[6].min()) < 0


def test_photons_are_counted_in_front_of_the_bowtie(spec: Spec) -> None:
    measurement = Measurement(spec, torch.device("cpu"))
    assert measurement.photons.shape == (92,)
    assert measurement.photons[46] > 5 * measurement.photons[0] and float(measurement.photons.max()) < 1e6
    bare = Measurement(without(spec, bowtie=None), torch.device("cpu"))
    assert float(bare.photons) == float(bare.air) == 1e6


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("[23, 3.7]", "[20, 3.7]", "ends at 20°, but the fan reaches 21.84°"),
        ("[[0, 0.25], [8", "[[1, 0.25], [8", "increase from 0"),
        ("[23, 3.7]", "[23, 37]", "Is its thickness in cm"),
        ("[23, 3.7]", "[23, -0.1]", "no thickness is below 0"),
        ("thickness = [[0, 0.25]", 'material = "gold"\nthickness = [[0, 0.25]', "at its thickest place"),
        (
            "[physics.bowtie]",
            '[physics.bowtie]\nmaterial = "aluminum oxid"',
            "bowtie.material: unknown material",
        ),
        ("[physics.patient_scatter]\namount = 0.03\nkernel = [[0, 1], [4, 0.4], [8, 0.1]]", "", "give patient_scatter"),
        ("kernel = [[0, 1], [4", "kernel = [[0, 0], [4", "in the middle of a kernel"),
        ("crosstalk = 0.025", "crosstalk = 0.5", "physics.crosstalk"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, was: str, becomes: str, said: str) -> None:
    assert was in WHOLE
    with pytest.raises(SpecError, match=said):
        Suite(spec_of(tmp_path, WHOLE.replace(was, becomes)))


SCATTER = "patient_scatter = { amount = 0.03, kernel = [[0, 1], [4, 0.4]] }\n"


@pytest.mark.parametrize(
    ("text", "turn"),
    [
        ("water_cm = 5", 9.06),
        ("reference_kev = 20", 11.7),
        # More photons than any scanner has stand for a scan without noise.
        ("photons = 1e18\nscatter = 0", None),
        ("photons = 1e18\nscatter = 0\nwater_cm = 20", 15.1),
        ("water_order = 2\nwater_cm = 5", None),
        # Where the preparation replaces what is less than e⁻¹³, or scatter is never less, nothing larger is measured.
        ("water_order = 5\nwater_cm = 31.25", 13.5),
        ("water_order = 5\nwater_cm = 31.25\nlow_signal = 'smoothed'\nphotons = 1e18", None),
        ("water_order = 5\nwater_cm = 20\nlow_signal = 'smoothed'", 10.8),
        ("water_cm = 20", 15.1),
        ("water_cm = 20\nnoise = false", None),
        ("water_cm = 5\nscatter = 1e4", None),
        ("water_cm = 5\nscatter = 1e4\nelectronic_noise = 2e3", 9.06),
        (f"water_cm = 5\nscatter = 1e4\n{SCATTER}{SCATTER.replace('patient_scatter', 'scatter_correction')}", 9.06),
        # What a bowtie hardens bends less, and what it weakens leaves fewer photons: the thinnest column tells.
        ("water_order = 5\nwater_cm = 20\nbowtie.thickness = [[0, 3], [10, 0.3], [28, 3]]", 12.5),
        ("water_order = 5\nwater_cm = 20\nbowtie.thickness = [[0, 3], [10, 1], [28, 3]]", None),
    ],
)
def test_the_water_correction_rises_up_to_all_that_is_measured(tmp_path: Path, text: str, turn: float | None) -> None:
    spec = spec_of(tmp_path, f'extends = "mini"\n[physics]\n{text}\n')
    if turn is None:
        Measurement(spec, torch.device("cpu"))
        return
    with pytest.raises(SpecError, match=r"up to a line integral of .*Use a larger physics\.water_cm") as caught:
        Suite(spec)  # before any case is made
    assert float(re.findall(r"line integral of ([0-9.]+)", str(caught.value))[0]) == pytest.approx(turn, rel=5e-3)


def test_the_bowtie_s_material_is_part_of_a_benchmark_and_may_be_ones_own(tmp_path: Path) -> None:
    own = WHOLE.replace("[physics.bowtie]", '[physics.bowtie]\nmaterial = "graphite"')
    light, dense = (
        spec_of(tmp_path, f"{own}[materials.graphite]\ndensity = {density}\nfractions = {{ C = 1 }}\n")
        for density in (1.7, 2.2)
    )
    assert light.hash != dense.hash
    photons = [Measurement(one, torch.device("cpu")).photons[0] for one in (light, dense)]
    assert math.log(photons[0] / photons[1]) > 0.2

"""Methods without weights: what all of them promise, and each against its equation."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation, gaussian_filter
from tiny_scans import make_batch, take
from torch.nn.functional import avg_pool2d

from marbench import Scan, Spec
from marbench.method.request import load_method
from marbench.toolbox.guides import tissue_guide
from marbench.toolbox.harmonic import HarmonicCompletion, harmonic_interpolation
from marbench.toolbox.interpolation import linear_interpolation, normalized_interpolation
from marbench.toolbox.metal_hardening import metal_beam_hardening
from marbench.toolbox.priors import tissue_prior
from marbench.toolbox.variation import divergence, gradient

METHODS = [
    "li",
    "nmar",
    "nmar[twice=true]",
    "harmonic",
    "harmonic[alpha=0.0]",
    "zeng",
    "zeng[start=li]",
    "fsnmar",
    "mdt",
    "bhc",
    "tv[steps=20]",
    "wavelet",
]


def guide_of(scan: Scan, spec: Spec) -> torch.Tensor:
    return tissue_guide(load_method("li", spec).method.context.operators, *rays(scan), scan.metal_mask)


def rays(scan: Scan) -> tuple[torch.Tensor, torch.Tensor]:
    return scan.sinogram, scan.metal_trace


def like(spec: Spec, **sections: dict[str, float]) -> Spec:
    content = spec.model_dump(by_alias=True)
    return Spec.model_validate(content | {name: content[name] | keys for name, keys in sections.items()})


def everywhere(scan: Scan, value: bool) -> Scan:
    mask, trace = (torch.full_like(part, value) for part in (scan.metal_mask, scan.metal_trace))
    return replace(scan, metal_mask=mask, metal_trace=trace)


@pytest.mark.parametrize("text", METHODS)
def test_the_image_is_better_than_the_uncorrected_one(text: str, tiny: Spec) -> None:
    batch = make_batch(tiny)
    error = {
        name: (image - batch.truth.image)[~batch.truth.metal].square().mean().sqrt()
        for name, image in (("none", batch.scan.image), (text, load_method(text, tiny).reduce(batch.scan)))
    }
    assert error[text] < 0.8 * error["none"], error


@pytest.mark.parametrize("text", METHODS)
def test_a_batch_gives_bit_for_bit_what_its_scans_give_and_twice_the_same(text: str, tiny: Spec) -> None:
    method, batch = load_method(text, tiny), make_batch(tiny, 3)
    together = method.reduce(batch.scan)
    assert torch.equal(together, torch.cat([method.reduce(take(batch, item).scan) for item in range(3)]))
    assert torch.equal(together, method.reduce(batch.scan))


@pytest.mark.parametrize("text", METHODS)
def test_without_metal_and_with_nothing_but_metal_there_is_still_an_image(text: str, tiny: Spec) -> None:
    method, scan = load_method(text, tiny), make_batch(tiny).scan
    clean = everywhere(scan, False)
    torch.testing.assert_close(method.reduce(clean), scan.image, rtol=1e-5, atol=0.1)
    huge = torch.from_numpy(binary_dilation(scan.metal_mask.numpy(), iterations=9, axes=(1, 2)))
    wide = torch.from_numpy(binary_dilation(scan.metal_trace.numpy(), iterations=12, axes=(2,)))
    for hard in (everywhere(scan, True), replace(scan, metal_mask=huge, metal_trace=wide)):
        assert method.reduce(hard).isfinite().all()


def test_nmar_twice_is_nmar_with_the_prior_of_its_own_image(tiny: Spec) -> None:
    scan, operators = make_batch(tiny).scan, load_method("li", tiny).method.context.operators
    prior = operators.project(tissue_prior(load_method("nmar", tiny).reduce(scan), scan.metal_mask))
    expected = operators.reconstruct(normalized_interpolation(*rays(scan), prior))
    assert torch.equal(load_method("nmar[twice=true]", tiny).reduce(scan), expected)


@pytest.mark.parametrize(("is_circle", "screening"), [(True, 0.0), (False, 0.0), (True, 0.3)])
def test_a_harmonic_completion_solves_the_dense_least_squares_problem(is_circle: bool, screening: float) -> None:
    dice = np.random.default_rng(0)
    sinogram, prior = dice.normal(size=(2, 7, 9))
    trace = dice.random((7, 9)) < 0.5
    trace[2:4] = True  # views of which nothing is measured
    # One row of the matrix per pair of neighbours.
    number, pairs = np.arange(63).reshape(7, 9), []
    for view, bin_ in np.ndindex(7, 9):
        if bin_ < 8:
            pairs.append((number[view, bin_], number[view, bin_ + 1]))
        if view < 6 or is_circle:
            pairs.append((number[view, bin_], number[(view + 1) % 7, bin_]))
    matrix = np.zeros((len(pairs), 63))
    for row, (one, other) in enumerate(pairs):
        matrix[row, [one, other]] = -1, 1
    matrix = np.vstack([matrix, screening**0.5 * np.eye(63)])
    free, known = trace.ravel(), np.where(trace, 0, sinogram).ravel()
    expected = known.copy()
    expected[free] = np.linalg.lstsq(matrix[:, free], matrix @ (prior.ravel() - known))[0]
    measured, hidden, guide = (torch.from_numpy(each)[None] for each in (sinogram, trace, prior))
    found = HarmonicCompletion(hidden, is_circle=is_circle, screening=screening)(measured, guide)
    np.testing.assert_allclose(found[0].numpy().ravel(), expected, atol=1e-12)


def test_a_harmonic_completion_with_a_perfect_prior_is_exact(tiny: Spec) -> None:
    batch = make_batch(tiny)
    completed = harmonic_interpolation(*rays(batch.scan), batch.truth.sinogram + 3, is_circle=True)
    torch.testing.assert_close(completed, batch.truth.sinogram)


def test_harmonic_is_the_reconstruction_of_the_guided_completion(tiny: Spec) -> None:
    scan, operators = make_batch(tiny).scan, load_method("li", tiny).method.context.operators
    for alpha in (0.5, 1.0):
        completed = harmonic_interpolation(*rays(scan), alpha * guide_of(scan, tiny), is_circle=True)
        expected = operators.reconstruct(completed)
        assert torch.equal(load_method(f"harmonic[alpha={alpha}]", tiny).reduce(scan), expected)


def test_divergence_is_the_negative_adjoint_of_the_gradient() -> None:
    image, field = torch.rand(2, 5, 7, dtype=torch.float64), torch.rand(2, 2, 5, 7, dtype=torch.float64)
    torch.testing.assert_close((gradient(image) * field).sum(), -(image * divergence(field)).sum())
    assert gradient(image)[:, 0, -1].abs().max() == gradient(image)[:, 1, :, -1].abs().max() == 0


def test_the_first_step_of_zeng_follows_the_gradient_of_its_cost(tiny: Spec) -> None:
    batch = make_batch(tiny, 1, torch.float64)
    scan, operators = batch.scan, load_method("li", tiny).method.context.operators
    # The cost written out in NumPy, differentiated by hand; Adam's first step is the sign of the derivative.
    start = linear_interpolation(*rays(scan))
    f = operators.reconstruct(start)[0].numpy()
    weight = ~binary_dilation(scan.metal_mask[0].numpy(), np.ones((3, 3)))
    down, right = np.diff(f, axis=0, append=f[-1:]), np.diff(f, axis=1, append=f[:, -1:])
    length = np.sqrt(down**2 + right**2 + 4.0**2)
    slope = weight * 2 * 0.01 * np.minimum(f + 1000, 0)
    for axis, difference in ((0, down), (1, right)):
        share = weight * difference / length
        slope += np.roll(share, 1, axis) - share
    to_trace = operators.inversion.adjoint(torch.from_numpy(slope)[None]) * scan.metal_trace
    expected = operators.reconstruct(start - 0.03 * to_trace.sign())
    text = "zeng[start=li,steps=1,rate=0.03,smoothing=4.0,negativity=0.01]"
    torch.testing.assert_close(load_method(text, tiny).reduce(scan), expected, rtol=0, atol=1e-2)
    assert (expected - operators.reconstruct(start)).abs().max() > 10


def test_zeng_keeps_what_is_measured_and_without_a_step_its_start(tiny: Spec) -> None:
    scan = make_batch(tiny).scan
    for text, start in (("zeng[steps=0]", "harmonic"), ("zeng[start=li,steps=0]", "li")):
        assert torch.equal(load_method(text, tiny).reduce(scan), load_method(start, tiny).reduce(scan))


def test_fsnmar_is_the_split_of_frequencies_written_out(tiny: Spec) -> None:
    scan = make_batch(tiny).scan
    nmar, sigma = load_method("nmar", tiny).reduce(scan).numpy(), 1.5 / tiny.grid.pixel
    found = load_method("fsnmar[split=1.5,reach=4.0]", tiny).reduce(scan).numpy()
    for image, corrected, mask, result in zip(scan.image.numpy(), nmar, scan.metal_mask.numpy(), found, strict=True):
        weight = gaussian_filter(mask.astype(np.float64), 4.0 / tiny.grid.pixel, mode="nearest")
        weight /= weight.max()
        low = {name: gaussian_filter(each, sigma, mode="nearest") for name, each in (("0", image), ("N", corrected))}
        expected = low["N"] + weight * (image - low["0"]) + (1 - weight) * (corrected - low["N"])
        np.testing.assert_allclose(result, expected, atol=0.05)
        assert np.abs(result - corrected).max() > 50


def test_a_pass_of_mdt_replaces_the_trace_by_the_projection_of_the_bilateral_filter(tiny: Spec) -> None:
    scan, operators = make_batch(tiny, 1).scan, load_method("li", tiny).method.context.operators
    li = load_method("li", tiny).reduce(scan)
    image, metal = li[0].double().numpy(), scan.metal_mask[0].numpy()
    smooth = np.empty_like(image)
    for row, column in np.ndindex(image.shape):
        inside = [
            (r, c) for r, c in np.ndindex(image.shape) if abs(r - row) <= 2 and abs(c - column) <= 2 and not metal[r, c]
        ]
        rows, columns = np.array(inside).T
        distance = (rows - row) ** 2 + (columns - column) ** 2
        unlike = (image[rows, columns] - image[row, column]) ** 2
        weight = np.exp(-distance / (2 * 1.5**2) - unlike / (2 * 80.0**2))
        smooth[row, column] = (weight * image[rows, columns]).sum() / weight.sum()
    projected = operators.project(torch.from_numpy(smooth)[None].float())
    expected = operators.reconstruct(torch.where(scan.metal_trace, projected, scan.sinogram))
    found = load_method("mdt[passes=1,reach=2,sigma_d=1.5,sigma_r=80.0]", tiny).reduce(scan)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.1)
    assert (found - li).abs().max() > 10


def test_mdt_takes_nothing_from_metal_however_bright(tiny: Spec) -> None:
    """A weight of exp(−½ (1500/10)²) is 0 in float32, and still one of tissue's."""
    method = load_method("mdt[sigma_r=10.0]", tiny).method
    image = torch.zeros(1, *tiny.grid.shape)
    metal = torch.zeros_like(image, dtype=torch.bool)
    metal[0, 16, 16] = True
    image[0, 16, 16] = 1500.0
    assert method._smooth(image, metal).abs().max() == 0
    image[0, 16, 17] = 400.0  # the nearest in HU counts almost alone
    assert method._smooth(image, metal)[0, 16, 16] == pytest.approx(400, abs=1)
    metal[:] = True
    assert torch.equal(method._smooth(image, metal), image)


def test_metal_hardening_has_a_gradient() -> None:
    sinogram = torch.rand(1, 4, 8, dtype=torch.float64, generator=torch.manual_seed(1)).requires_grad_()
    trace, path = torch.arange(8).expand(1, 4, 8) % 3 == 1, torch.rand(1, 4, 8, dtype=torch.float64)
    for line in ("mean", "none"):
        assert torch.autograd.gradcheck(
            lambda rays, line=line: metal_beam_hardening(rays, trace, path, line=line), sinogram
        )


def test_metal_hardening_corrects_by_the_polynomial_that_numpy_fits(tiny: Spec) -> None:
    scan, operators = make_batch(tiny, 1).scan, load_method("li", tiny).method.context.operators
    path, inside = operators.project_mu(scan.metal_mask.float())[0].double().numpy(), scan.metal_trace[0].numpy()
    excess = (scan.sinogram - linear_interpolation(*rays(scan)))[0].double().numpy()[inside]
    powers = np.stack([path[inside] ** power for power in (1, 2, 3, 4)], axis=1)
    fit = powers @ np.linalg.lstsq(powers, excess)[0]
    line = powers[:, :1] @ np.linalg.lstsq(powers[:, :1], excess)[0]
    corrected = scan.sinogram.clone()
    corrected[0, scan.metal_trace[0]] += torch.from_numpy(line - fit).float()
    found = load_method("bhc", tiny).reduce(scan)
    torch.testing.assert_close(found, operators.reconstruct(corrected), rtol=0, atol=0.5)
    torch.testing.assert_close(load_method("bhc[order=1]", tiny).reduce(scan), scan.image, rtol=0, atol=0.5)


def test_a_step_of_tv_is_that_of_condat_with_dense_matrices(tiny: Spec) -> None:
    text = "tv[output=image,steps=1,weight=0.02,balance=3.0]"
    scan, method = make_batch(tiny, 1, torch.float64).scan, load_method(text, tiny)
    operators, pixels = method.method.context.operators, tiny.grid.rows * tiny.grid.columns
    identity = torch.eye(pixels, dtype=torch.float64).view(pixels, *tiny.grid.shape)
    projector = operators.water * operators.project_mu(identity).flatten(1).numpy().T
    differences = gradient(identity).flatten(1).numpy().T
    norm = math.sqrt(np.linalg.eigvalsh(projector.T @ projector)[-1])
    start = load_method("li", tiny).reduce(scan).numpy().ravel() / 1000 + 1
    tau = 3.0 / norm
    sigma, rho = 0.49 / (tau * norm**2), 0.49 / (tau * 8)
    # From zero, the proximal maps of the two conjugates: of ‖·‖² on the measured rays, and of λ‖·‖.
    miss = projector @ start - scan.sinogram.numpy().ravel()
    residual = ~scan.metal_trace.numpy().ravel() * sigma * miss / (1 + sigma / 2)
    field = (rho * differences @ start).reshape(2, -1)
    rays = tiny.geometry.views * tiny.geometry.bins / (256 * 192)  # over mini's; both images are 40.96 cm wide
    price = 0.02 * rays * 128 / tiny.grid.columns
    field *= np.minimum(1, price / np.maximum(np.linalg.norm(field, axis=0), 1e-300))
    # The image moves against 2ũ − u of the multipliers, and goes on by 1.9 of its way.
    expected = start - 1.9 * 2 * tau * (projector.T @ residual + differences.T @ field.ravel())
    np.testing.assert_allclose(
        method.reduce(scan)[0].numpy().ravel() / 1000 + 1, expected, atol=5e-5
    )  # ‖P‖ comes from power iteration
    assert np.abs(expected - start).max() > 0.005


def test_tv_comes_near_the_minimum_of_its_cost_in_its_usual_steps(small: Spec) -> None:
    scan, operators = make_batch(small, 1).scan, load_method("li", small).method.context.operators
    price = load_method("tv[weight=0.1]", small).method._price

    def solve(settings: str) -> torch.Tensor:
        return load_method(f"tv[output=image,weight=0.1{settings}]", small).reduce(scan)

    def cost(image: torch.Tensor) -> float:
        miss = (operators.project(image) - scan.sinogram)[~scan.metal_trace]
        return float(miss.double().square().sum() + price * gradient(image / 1000).norm(dim=-3).double().sum())

    best, usual = solve(",steps=600"), solve("")
    assert cost(best) <= cost(usual) < 1.02 * cost(best) < cost(load_method("li", small).reduce(scan))
    for seed in range(3):
        assert cost(best) < cost(best + torch.randn(best.shape, generator=torch.Generator().manual_seed(seed)))


def test_tv_fills_the_trace_with_its_image_and_keeps_what_is_measured(tiny: Spec) -> None:
    scan, operators = make_batch(tiny).scan, load_method("li", tiny).method.context.operators
    image = load_method("tv[steps=9,output=image]", tiny).reduce(scan)
    expected = operators.reconstruct(torch.where(scan.metal_trace, operators.project(image), scan.sinogram))
    torch.testing.assert_close(load_method("tv[steps=9]", tiny).reduce(scan), expected, rtol=0, atol=0.01)
    # What the trace holds counts for nothing.
    dark = replace(scan, sinogram=scan.sinogram + 5 * scan.metal_trace)
    assert torch.equal(load_method("tv[steps=9]", tiny).reduce(dark), load_method("tv[steps=9]", tiny).reduce(scan))


def test_tv_makes_the_same_of_an_object_from_twice_the_views_bins_and_pixels(small: Spec) -> None:
    """Averaged over four fine pixels, what a large λ makes of it: 28 HU from the truth, 11 from each other."""
    batch, content, images = make_batch(small, 1), small.model_dump(by_alias=True), []
    fine = like(
        small,
        geometry={"views": 64, "bins": 48, "pitch_deg": content["geometry"]["pitch_deg"] / 2},
        grid={"size": 40, "pixel_cm": content["grid"]["pixel_cm"] / 2},
    )
    for spec, parts in ((small, 1), (fine, 2)):
        truth, metal = (
            each.repeat_interleave(parts, 1).repeat_interleave(parts, 2)
            for each in (batch.truth.image, batch.truth.metal)
        )
        method = load_method("tv[output=image,steps=300,weight=10.0]", spec)
        operators = method.method.context.operators
        sinogram, trace = operators.project(truth), operators.project_mu(metal.float()) > 0.1
        image = method.reduce(Scan(sinogram, metal, trace, operators.reconstruct(sinogram)))
        images.append(avg_pool2d(image, parts))
    assert (images[0] - batch.truth.image).square().mean().sqrt() > 25
    assert (images[1] - images[0]).square().mean().sqrt() < 15


def test_wavelet_makes_the_same_of_a_scan_whose_lengths_are_all_shorter(tiny: Spec) -> None:
    content, scan = tiny.model_dump(by_alias=True), make_batch(tiny, 1).scan
    short = like(
        tiny,
        geometry={"source_distance_cm": 0.4 * content["geometry"]["source_distance_cm"]},
        grid={"pixel_cm": 0.4 * content["grid"]["pixel_cm"]},
        metals={"reference_pixel_cm": 0.4 * content["metals"]["reference_pixel_cm"]},
    )
    image, other = (
        load_method("wavelet", spec).reduce(replace(scan, sinogram=scale * scan.sinogram))
        for spec, scale in ((tiny, 1.0), (short, 0.4))
    )
    # The 0.5 by which NMAR, where it begins, raises line integrals is not shorter.
    assert (image - other).square().mean().sqrt() < 1
    assert (image - load_method("nmar", tiny).reduce(scan)).square().mean().sqrt() > 3


def test_the_wavelet_frame_keeps_the_norm_and_its_adjoint_is_its_inverse(tiny: Spec) -> None:
    frame = sys.modules[type(load_method("wavelet", tiny).method).__module__]
    image = torch.rand(2, 16, 24, dtype=torch.float64)
    details, rest = frame.analyse(image, 3)
    torch.testing.assert_close(frame.synthesise(details, rest), image)
    norm = rest.square().sum() + sum(each.square().sum() for each in details)
    torch.testing.assert_close(norm, image.square().sum())
    # Nothing but the mean is left of a constant.
    assert max(float(each.abs().max()) for each in frame.analyse(torch.ones(1, 8, 8), 2)[0]) == 0


def test_a_step_of_wavelet_thresholds_the_haar_details_by_those_of_the_prior(tiny: Spec) -> None:
    scan, operators = make_batch(tiny, 1).scan, load_method("li", tiny).method.context.operators
    guide = guide_of(scan, tiny)
    signs = [(a, b) for a in (1, -1) for b in (1, -1)]  # of the next view, of the next bin

    def details(sinogram: torch.Tensor) -> dict[tuple[int, int], np.ndarray]:
        x = sinogram[0].double().numpy()
        x = np.concatenate([x, x[:, ::-1]], axis=1)
        # Corners of 2 × 2 rays: this one, the next view, the next bin, both.
        near = [x, np.roll(x, -1, 0), np.roll(x, -1, 1), np.roll(x, (-1, -1), (0, 1))]
        return {
            (a, b): sum(sign * each for sign, each in zip((1, a, b, a * b), near, strict=True)) / 4 for a, b in signs
        }

    found, expected = details(normalized_interpolation(*rays(scan), guide)), details(guide)
    filled = np.zeros_like(found[1, 1])
    for (a, b), each in found.items():
        keep = np.abs(each) > 0.05 * 0.2 / (np.abs(expected[a, b]) + 0.2)
        kept = each if (a, b) == (1, 1) else each * keep
        for sign, shift in zip((1, a, b, a * b), ((0, 0), (1, 0), (0, 1), (1, 1)), strict=True):
            filled += sign * np.roll(kept, shift, (0, 1)) / 4
    completed = torch.where(scan.metal_trace, torch.from_numpy(filled[:, : tiny.geometry.bins]).float(), scan.sinogram)
    text = "wavelet[levels=1,steps=1,first=0.05,scale=0.2]"
    torch.testing.assert_close(load_method(text, tiny).reduce(scan), operators.reconstruct(completed), rtol=0, atol=0.1)
    assert (completed - normalized_interpolation(*rays(scan), guide)).abs().max() > 0.01

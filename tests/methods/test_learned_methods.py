"""What every learned method promises."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_scans import NARROW, build, make_batch, randomize, take, train
from torch import nn

from marbench import Spec
from marbench.cases.suite import Suite
from marbench.cli.train import command
from marbench.errors import MethodError, MethodUnavailable
from marbench.method.card import DeclaredWeights
from marbench.method.discovery import methods
from marbench.method.learned import (
    Batch,
    LearnedMethod,
    Objective,
    mean_outside_metal,
    random_patches,
    recalibrate_batch_normalization,
)
from marbench.method.request import LoadedMethod, load_method, parse_methods

LIMITS = {"small": 4_000_000, "base": 7_500_000}
CARDS = methods()


def without_gradient(method: LearnedMethod, batch: Batch) -> list[str]:
    """Return the weights that a loss does not reach."""
    for network in method.networks().values():
        network.zero_grad()
    next(method.objectives(batch)).loss.backward()
    weights = {name: weight for each in method.networks().values() for name, weight in each.named_parameters()}
    return [name for name, weight in weights.items() if weight.grad is None or not weight.grad.any()]


def parameters(modules: dict[str, torch.nn.Module]) -> dict[str, int]:
    return {name: sum(weight.numel() for weight in module.parameters()) for name, module in modules.items()}


def test_paper_presets_have_the_published_numbers_of_parameters(tiny: Spec) -> None:
    cgan = build("cgan", tiny, preset="paper")
    assert parameters(cgan.networks()) == {"generator": 54_407_809}
    assert parameters(cgan.auxiliaries()) == {"discriminator": 2_764_609}
    assert parameters(build("rdn", tiny, preset="paper").networks()) == {"image": 13_761_537}
    assert parameters(build("cnnmar", tiny, preset="paper").networks()) == {"prior": 28_929}
    dudonet = parameters(build("dudonet", tiny, preset="paper").networks())
    assert dudonet == {"sinogram": 12_439_498, "image": 13_394_753}
    assert sum(dudonet.values()) == 25_834_251
    dudonetpp = parameters(build("dudonetpp", tiny, preset="paper").networks())
    assert dudonetpp == {"sinogram": 12_439_498, "image": 13_469_761}
    assert parameters(build("dicdnet", tiny, preset="paper").networks()) == {"image": 1_277_332}
    assert parameters(build("oscnet", tiny, preset="paper").networks()) == {"image": 1_276_215}
    assert parameters(build("oscnet[plus=false]", tiny, preset="paper").networks()) == {"image": 1_274_841}
    assert parameters(build("acdnet", tiny, preset="paper").networks()) == {"image": 1_602_809}
    assert parameters(build("indudonet", tiny, preset="paper").networks()) == {"dual": 1_752_929}
    assert parameters(build("indudonet[plus=false]", tiny, preset="paper").networks()) == {"dual": 5_094_977}


@pytest.mark.parametrize(
    ("name", "preset"), [(name, preset) for name in NARROW for preset in LIMITS if preset in CARDS[name].presets]
)
def test_shipped_presets_fit_their_file_size(name: str, preset: str, tiny: Spec) -> None:
    assert sum(parameters(build(name, tiny, preset=preset).networks()).values()) <= LIMITS[preset]


@pytest.mark.parametrize("name", NARROW)
def test_the_first_preset_is_the_default(name: str) -> None:
    card = CARDS[name]
    assert next(iter(card.presets)) == "small"
    assert {**card.defaults(), **card.presets["small"]} == card.defaults()


@pytest.mark.parametrize("name", NARROW)
def test_without_weights_a_method_says_how_to_train_it(
    name: str, tiny: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("MARBENCH_WEIGHTS", raising=False)
    with pytest.raises(MethodUnavailable, match=f"marbench train {name} --spec FILE") as caught:
        load_method(name, tiny)
    program, verb, *words = shlex.split(re.findall("`(.*)`", str(caught.value))[0])
    assert (program, verb) == ("marbench", "train")
    assert command.make_context("train", words).params["hours"] == 2


def _shipped() -> list[tuple[str, DeclaredWeights]]:
    return [(name, weights) for name in NARROW for weights in CARDS[name].weights]


@pytest.mark.parametrize(("name", "weights"), _shipped(), ids=lambda value: getattr(value, "file", value))
def test_shipped_weights_are_loaded_and_small(name: str, weights: DeclaredWeights) -> None:
    chosen = ",".join(f"{key}={value}" for key, value in weights.parameters.items())
    loaded = load_method(f"{name}[{chosen}]", weights.spec, preset=weights.preset)
    file = loaded.fitted.found.file
    assert file is not None and file.card.sha256 == weights.sha256
    assert file.path.stat().st_size <= 8e6


@pytest.mark.parametrize("name", ["cnnmar", "dudodp"])
def test_what_torch_makes_by_default_changes_no_result_and_comes_back(
    name: str, other_defaults: Callable[[], AbstractContextManager[None]]
) -> None:
    scan = Suite("mini")[0].scan
    expected = load_method(name, "mini")(scan)
    with other_defaults():
        assert torch.equal(load_method(name, "mini")(scan), expected)
        assert (torch.empty(0).dtype, torch.empty(0).device.type) == (torch.float64, "meta")


@pytest.mark.parametrize("text", [*NARROW.values(), "dudonet[sinogram_width=4,image_width=4,body=rdn,input=raw]"])
def test_any_size_of_scan_is_corrected(text: str, odd: Spec) -> None:
    method, batch = build(text, odd), make_batch(odd)
    randomize(method)
    result = method.reduce(batch.scan)
    assert result.shape == batch.scan.image.shape
    assert result.dtype == torch.float32 and result.isfinite().all()
    assert not result.requires_grad


@pytest.mark.parametrize("text", NARROW.values())
def test_a_scan_is_corrected_the_same_alone_and_in_a_batch(text: str, tiny: Spec) -> None:
    method, batch = build(text, tiny), make_batch(tiny)
    randomize(method)
    for network in method.networks().values():
        network.eval()
    together = method.reduce(batch.scan)
    alone = torch.cat([method.reduce(take(batch, item).scan) for item in range(2)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=0.1)


# Under an L1 loss the correction of a network without normalisation takes some steps to leave zero.
@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (NARROW["cgan"], 25),
        ("rdn[width=16,growth=8,blocks=2,layers=3]", 90),
        (NARROW["cnnmar"], 25),
        (NARROW["dudonet"], 25),
        ("dudonet[sinogram_width=4,image_width=4,optimizer=adam]", 40),
    ],
)
def test_training_lowers_the_loss_of_a_batch(text: str, steps: int, tiny: Spec) -> None:
    curves = train(build(text, tiny), make_batch(tiny), steps)
    assert curves[-1]["image"] < 0.7 * curves[0]["image"], curves


@pytest.mark.parametrize("text", NARROW.values())
def test_training_runs_in_half_precision(text: str, tiny: Spec) -> None:
    method, batch = build(text, tiny), make_batch(tiny)
    with torch.autocast("cpu", torch.bfloat16):
        curves = train(method, batch, 2)
    assert all(torch.isfinite(torch.tensor(list(terms.values()))).all() for terms in curves)


@pytest.mark.parametrize(
    ("name", "like"),
    [("rdn", "none"), ("dudonet", "li"), ("dudonetpp", "li"), ("unet_sinogram", "li"), ("nmar_cnn", "nmar")],
)
def test_residual_networks_begin_as_no_correction(name: str, like: str, tiny: Spec) -> None:
    scan = make_batch(tiny).scan
    expected = load_method(like, tiny).reduce(scan)
    torch.testing.assert_close(build(NARROW[name], tiny).reduce(scan), expected, rtol=1e-4, atol=0.01)


@pytest.mark.parametrize(
    "text",
    [
        NARROW["dicdnet"],
        NARROW["oscnet"],
        "oscnet[plus=false,stages=2,blocks=1,filters=1,channels=3]",
        NARROW["acdnet"],
        NARROW["indudonet"],
        "indudonet[plus=false,stages=2,blocks=1,channels=3,prior_width=2]",
        NARROW["dudonetpp"],
        "dudonetpp[base=measured,sinogram_width=4,image_width=4]",
        NARROW["unet_sinogram"],
    ],
)
def test_a_few_long_steps_lower_the_loss_and_gradients_reach_every_weight(text: str, tiny: Spec) -> None:
    method, batch = build(f"{text[:-1]},learning_rate=0.02]", tiny), make_batch(tiny)
    before = float(next(method.objectives(batch)).loss.detach())
    train(method, batch, 5)
    after = float(next(method.objectives(batch)).loss.detach())
    assert after < 0.99 * before, (before, after)
    randomize(method)
    assert not without_gradient(method, batch)


def test_nmar_cnn_learns_what_nmar_leaves_with_all_its_weights(tiny: Spec) -> None:
    # NMAR leaves next to nothing of such simple scans.
    method, batch = build("nmar_cnn[width=8,scales=2]", tiny), make_batch(tiny)
    batch = replace(batch, truth=replace(batch.truth, image=load_method("nmar", tiny).reduce(batch.scan) + 100))
    curves = train(method, batch, 12)
    assert curves[-1]["image"] < 0.8 * curves[0]["image"], curves
    assert not without_gradient(method, batch)


def test_recalibration_makes_a_network_at_rest_agree_with_the_one_in_training(tiny: Spec) -> None:
    method, batch = build(NARROW["dudonet"], tiny), make_batch(tiny)
    train(method, batch, 10)
    networks = method.networks().values()
    norms = [module for network in networks for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    in_training = method.reduce(batch.scan)
    for norm in norms:
        norm.running_var.fill_(100.0)  # what one batch with heavy artifacts leaves behind
    for network in networks:
        network.eval()
    spoiled = (method.reduce(batch.scan) - in_training).abs().mean()
    recalibrate_batch_normalization(method, [batch])
    assert not any(network.training for network in networks)
    assert {norm.momentum for norm in norms} == {0.1}
    recalibrated = (method.reduce(batch.scan) - in_training).abs().mean()
    assert recalibrated < 0.2 * spoiled, (recalibrated, spoiled)


def test_the_mean_outside_metal_takes_any_mask() -> None:
    error, metal = torch.arange(4.0).view(1, 2, 2), torch.tensor([[[0, 0], [1, 1]]])
    for mask in (metal.bool(), metal.to(torch.uint8), 255 * metal):
        assert mean_outside_metal(error, mask) == 0.5


class ManyNetworks(LearnedMethod):
    """Each network has an objective of its own, with a gradient penalty, and one normalisation has none."""

    def __init__(self) -> None:
        self.line, self.plane, self.space = (nn.Sequential(kind(1)) for kind in _NORMS)
        self.idle = nn.Sequential(nn.BatchNorm2d(1))
        self.idle[0].running_mean.fill_(7.0)
        self.idle[0].bias.requires_grad_(False)

    def networks(self) -> dict[str, nn.Module]:
        return {"line": self.line, "plane": self.plane, "space": self.space, "idle": self.idle}

    def objectives(self, batch: Batch) -> Iterator[Objective]:
        image = batch.scan.image
        for name, points in (("line", image.flatten(1)), ("plane", image), ("space", image[:, None])):
            points = points[:, None].requires_grad_()
            value = self.networks()[name](points).mean()
            (slope,) = torch.autograd.grad(value, points, create_graph=True)
            yield Objective(name, value + slope.square().mean(), {})


_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def test_recalibration_meets_the_networks_of_all_objectives(tiny: Spec) -> None:
    method, batch = ManyNetworks(), make_batch(tiny)
    recalibrate_batch_normalization(method, [batch])
    for network in (method.line, method.plane, method.space):
        assert network[0].running_mean.item() == pytest.approx(batch.scan.image.mean().item(), rel=1e-5)
        assert all(weight.requires_grad and weight.grad is None for weight in network.parameters())
    assert method.idle[0].running_mean.item() == 7.0
    assert not method.idle[0].bias.requires_grad


def test_a_scan_in_double_precision_is_reduced_as_one_in_single(tiny: Spec) -> None:
    method, scan = build(NARROW["rdn"], tiny), make_batch(tiny).scan
    loaded = LoadedMethod(None, method, tiny, torch.device("cpu"))  # type: ignore[arg-type]
    for parts in (("sinogram", "image"), ("sinogram",), ("image",)):
        double = replace(scan, **{part: getattr(scan, part).double() for part in parts})
        assert torch.equal(loaded.reduce(double), loaded.reduce(scan))


def test_sizes_that_no_network_has_are_refused_before_a_case_is_simulated() -> None:
    for text, least in (("rdn[patch=-1]", 0), ("dudonet[image_width=0]", 1), ("cgan[depth=0]", 1)):
        with pytest.raises(MethodError, match=f"expected a number of at least {least}"):
            parse_methods(text)


def test_patches_are_cut_at_the_same_place_in_all_images() -> None:
    where = torch.arange(2 * 9 * 11.0).view(2, 9, 11)
    patch, channels, flags = random_patches(4, where, torch.stack([where, -where], dim=1), where > 50)
    assert patch.shape == (2, 4, 4) and channels.shape == (2, 2, 4, 4)
    assert torch.equal(channels[:, 0], patch) and torch.equal(channels[:, 1], -patch)
    assert torch.equal(flags, patch > 50)
    assert (patch.diff(dim=-1) == 1).all() and (patch.diff(dim=-2) == 11).all()


def test_every_second_patch_holds_metal_wherever_it_lies() -> None:
    """Half of them, and of the others those that hold it by chance: a patch of 8² lies anywhere in 64²."""
    torch.manual_seed(0)
    metal = torch.zeros(800, 64, 64, dtype=torch.bool)
    metal[:400, 0, 0], metal[400:, 40, 63] = True, True
    rows = torch.arange(64.0).view(1, 64, 1).expand(800, 64, 64)
    flags, row = random_patches(8, metal, rows, around=metal)
    assert flags.shape == (800, 8, 8)
    assert 0.45 < flags.flatten(1).any(1).float().mean() < 0.57
    assert row.min() >= 0.0 and row.max() <= 63.0
    (without,) = random_patches(8, torch.zeros(3, 64, 64), around=torch.zeros(3, 64, 64, dtype=torch.bool))
    assert without.shape == (3, 8, 8)  # nothing to cut around


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("rdn[width=8,growth=4,blocks=1,layers=2,patch=8]", []),
        ("cnnmar[width=4,patch=8]", []),
        ("dudonet[sinogram_width=2,image_width=2,patch=8]", ["sinogram"]),
        ("dudonetpp[sinogram_width=2,image_width=2,patch=8]", ["sinogram"]),
    ],
)
def test_networks_can_be_trained_on_patches(text: str, others: list[str], tiny: Spec) -> None:
    method, batch, seen = build(text, tiny), make_batch(tiny), []
    (network,) = (network for name, network in method.networks().items() if name not in others)
    network.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].shape[-2:]))
    assert torch.isfinite(next(method.objectives(batch)).loss)
    assert seen == [(8, 8)]


def test_the_losses_of_the_adversaries_are_those_of_pix2pix(tiny: Spec) -> None:
    method, batch = build(NARROW["cgan"], tiny), make_batch(tiny)
    objectives = method.objectives(batch)
    judge, generator = next(objectives), next(objectives)
    assert judge.optimizer == "discriminator"
    torch.testing.assert_close(judge.loss.detach(), (judge.terms["real"] + judge.terms["fake"]) / 2)
    terms = generator.terms
    torch.testing.assert_close(generator.loss.detach(), terms["adversarial"] + 100 * terms["image"])
    # Discriminator and generator want the opposite of each other: what convinces one costs the other.
    weights = list(method.networks()["generator"].parameters())
    assert all(gradient is None for gradient in torch.autograd.grad(judge.loss, weights, allow_unused=True))
    with torch.no_grad():
        last = method.auxiliaries()["discriminator"].layers[-1]
        last.weight.zero_()
        last.bias.fill_(3.0)  # takes everything for real
    objectives = method.objectives(batch)
    judge, generator = next(objectives).terms, next(objectives).terms
    assert judge["real"] < 0.1 < 3 < judge["fake"]
    assert generator["adversarial"] < 0.1

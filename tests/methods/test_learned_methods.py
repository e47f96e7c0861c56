"""What every learned method promises."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_scans import NARROW, build, make_batch, randomize, take, train

from marbench import Spec, load_spec
from marbench.errors import MethodUnavailable
from marbench.learned import recalibrate_batch_normalization
from marbench.plugins import discover
from marbench.registry import load_method

LIMITS = {"small": 4_000_000, "base": 7_500_000}


def parameters(modules: dict[str, torch.nn.Module]) -> dict[str, int]:
    return {name: sum(weight.numel() for weight in module.parameters()) for name, module in modules.items()}


def test_paper_presets_have_the_published_numbers_of_parameters() -> None:
    spec = load_spec("dudonet2019")
    cgan = build("cgan", spec, preset="paper")
    assert parameters(cgan.networks()) == {"generator": 54_407_809}
    assert parameters(cgan.auxiliaries()) == {"discriminator": 2_764_609}
    assert parameters(build("rdn", spec, preset="paper").networks()) == {"image": 13_761_537}
    assert parameters(build("cnnmar", spec, preset="paper").networks()) == {"prior": 28_929}
    dudonet = parameters(build("dudonet", spec, preset="paper").networks())
    assert dudonet == {"sinogram": 12_439_498, "image": 13_394_753}
    assert sum(dudonet.values()) == 25_834_251


@pytest.mark.parametrize("preset", LIMITS)
@pytest.mark.parametrize("name", NARROW)
def test_shipped_presets_fit_their_file_size(name: str, preset: str, tiny: Spec) -> None:
    assert sum(parameters(build(name, tiny, preset=preset).networks()).values()) <= LIMITS[preset]


@pytest.mark.parametrize("name", NARROW)
def test_the_first_preset_is_the_default(name: str) -> None:
    card = discover()[name].card
    assert list(card.presets)[:3] == ["small", "base", "paper"]
    assert {**card.defaults(), **card.presets["small"]} == card.defaults()


@pytest.mark.parametrize("name", NARROW)
def test_without_weights_a_method_says_how_to_train_it(
    name: str, tiny: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("MARBENCH_WEIGHTS", raising=False)
    with pytest.raises(MethodUnavailable, match=f"marbench train {name} --spec tiny"):
        load_method(name, tiny)


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
        ("rdn[width=16,growth=8,blocks=2,layers=3,optimizer=adam]", 90),
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


@pytest.mark.parametrize("name", ["rdn", "dudonet"])
def test_residual_networks_begin_as_no_correction(name: str, tiny: Spec) -> None:
    batch = make_batch(tiny)
    expected = batch.scan.image if name == "rdn" else load_method("li", tiny).method.reduce(batch.scan)
    torch.testing.assert_close(build(NARROW[name], tiny).reduce(batch.scan), expected, rtol=1e-4, atol=0.01)


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

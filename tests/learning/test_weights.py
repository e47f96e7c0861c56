import hashlib
import json
import math
import pickle
import re
import tomllib
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from tiny_training import request_for
from torch import nn

from marbench.errors import MethodError, MethodUnavailable
from marbench.learning.artefact import encode, install, stanza, write_card
from marbench.method.request import MethodRequest, context_for, instantiate, load_method, parse_methods
from marbench.method.weights import WeightsFile, assign_weights, find_weights, misfit, read_weights, scan_of
from marbench.spec import Spec

Writer = Callable[..., WeightsFile]


@pytest.fixture
def write(plugins: Path, spec: Spec, tmp_path: Path) -> Writer:
    """Return a function that writes random weights with their card."""

    def writer(preset: str = "small", folder: Path = tmp_path / "weights", **changes: object) -> WeightsFile:
        request = request_for(plugins, preset=preset)
        method = instantiate(request)
        torch.manual_seed(1)
        method.build(context_for(request, spec))
        folder.mkdir(exist_ok=True)
        path = folder / f"tinynet-{preset}-tiny.safetensors"
        content = encode(method.networks(), {})
        path.write_bytes(content)
        card = {
            "method": "tinynet",
            "label": "tinynet",
            "preset": preset,
            "parameters": dict(request.values()),
            "spec": spec.name,
            "spec_hash": spec.hash,
            "scan": scan_of(spec),
        }
        return write_card(path, content, **(card | changes))

    return writer


@pytest.fixture
def request_(plugins: Path) -> MethodRequest:
    return request_for(plugins, preset=None)


def test_without_weights_a_method_is_unavailable_and_says_how_to_train_it(request_: MethodRequest, spec: Spec) -> None:
    plugins = request_.entry.folder
    said = f"`marbench train tinynet --plugins {plugins} --spec FILE --preset small --hours 2`"
    with pytest.raises(MethodUnavailable, match=re.escape(said)):
        load_method(request_, spec)


def test_weights_are_found_in_the_named_folder_and_decide_the_hash(
    request_: MethodRequest, spec: Spec, write: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = request_.for_spec(spec).hash
    file = write("wide")
    monkeypatch.setenv("MARBENCH_WEIGHTS", str(file.path.parent))
    loaded = load_method(request_, spec)
    assert loaded.fitted.request.preset == "wide"
    assert loaded.method.net[0].weight.shape[0] == 6
    assert loaded.method.net[0].weight.dtype == torch.float32
    assert loaded.fitted.hash != without


def test_weights_serve_other_patients_of_the_same_scan_but_no_other_scan(
    request_: MethodRequest, spec: Spec, write: Writer
) -> None:
    install(write())
    assert request_.for_spec(spec.model_copy(update={"seed": 77})).found.file is not None
    grid = spec.grid_section.model_copy(update={"size": 30})
    assert request_.for_spec(spec.model_copy(update={"grid_section": grid})).found.file is None


def test_weights_serve_other_physics_but_the_same_come_first(
    request_: MethodRequest, spec: Spec, write: Writer, tmp_path: Path
) -> None:
    other = spec.model_copy(update={"seed": 77})
    dim = other.model_copy(update={"physics": spec.physics.model_copy(update={"photons": 1e5})})
    for number, (trained_on, expected) in enumerate(((spec, 2), (dim, 1), (dim.model_copy(update={"seed": 5}), 1))):
        card = write(folder=tmp_path / f"w{number}", spec_hash=trained_on.hash, scan=scan_of(trained_on)).card
        assert misfit(card, dim) == (0 if trained_on is dim else expected)
    install(write(spec_hash=spec.hash))
    assert request_.for_spec(dim).found.file is not None
    install(write("wide", spec_hash="1" * 64, scan=scan_of(dim)))
    assert request_.for_spec(dim).request.preset == "wide"
    assert request_.for_spec(spec).request.preset == "small"


def test_weights_for_another_reconstruction_come_after_those_for_another_dose(
    request_: MethodRequest, spec: Spec, write: Writer
) -> None:
    window = spec.reconstruction.model_copy(update={"window": "hann"})
    hann = spec.model_copy(update={"reconstruction": window, "seed": 77})
    dim = spec.physics.model_copy(update={"photons": 1e5})
    card = write().card
    assert card.scan["reconstruction"]["window"] == "ram-lak"
    # An older card says nothing of it.
    older = card.model_copy(update={"scan": {name: card.scan[name] for name in ("geometry", "grid", "physics")}})
    for each in (card, older):
        assert misfit(each, spec.model_copy(update={"seed": 77})) == 1
        assert misfit(each, hann) == 3
        assert misfit(each, hann.model_copy(update={"physics": dim})) == 4
    install(write(spec_hash=spec.hash))
    assert request_.for_spec(hann).request.preset == "small"
    other = hann.model_copy(update={"physics": dim})
    install(write("wide", spec_hash=other.hash, scan=scan_of(other)))
    assert request_.for_spec(hann).request.preset == "wide"


def test_a_card_of_a_later_release_is_not_taken_for_what_it_is_not(
    request_: MethodRequest, spec: Spec, write: Writer
) -> None:
    scan = scan_of(spec)
    scan["geometry"]["bin_offset"] = 0.25
    install(write(spec_hash="2" * 64, scan=scan))
    assert request_.for_spec(spec).found.file is None


def test_weights_of_exactly_this_benchmark_come_first(request_: MethodRequest, spec: Spec, write: Writer) -> None:
    other = spec.model_copy(update={"seed": 77})
    install(write(spec_hash=other.hash))
    install(write())
    assert request_.for_spec(other).found.file.card.spec_hash == other.hash
    assert request_.for_spec(spec).found.file.card.spec_hash == spec.hash


def test_another_preset_or_parameter_finds_no_weights(plugins: Path, spec: Spec, write: Writer) -> None:
    install(write())
    assert request_for(plugins, preset="wide").for_spec(spec).found.file is None
    assert request_for(plugins, "tinynet[width=5]").for_spec(spec).found.file is None


def test_weights_that_were_trained_with_other_parameters_are_not_taken(
    plugins: Path, spec: Spec, request_: MethodRequest, write: Writer
) -> None:
    # The parameter equals the default, but differs from what the preset says.
    install(write("wide"))
    assert request_for(plugins, "tinynet[width=4]", "wide").label == "tinynet[width=4]"
    assert request_for(plugins, "tinynet[width=4]", "wide").for_spec(spec).found.file is None
    # A plugin whose preset has changed since, and one that has a parameter more since.
    install(write(parameters={"width": 5}))
    assert request_for(plugins).for_spec(spec).found.file is None
    install(write(parameters={"width": 4}))
    assert request_for(plugins).for_spec(spec).found.file is not None


def test_the_exact_benchmark_counts_more_than_the_order_of_the_presets(
    request_: MethodRequest, spec: Spec, write: Writer
) -> None:
    install(write("small", spec_hash="0" * 64))
    assert request_.for_spec(spec).request.preset == "small"
    install(write("wide"))
    assert request_.for_spec(spec).request.preset == "wide"


def test_weights_of_another_preset_that_the_user_named_go_before_those_that_are_there(
    request_: MethodRequest, spec: Spec, write: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(write("small"))
    file = write("wide", spec_hash="0" * 64)
    for other in file.path.parent.glob("*small*"):
        other.unlink()
    monkeypatch.setenv("MARBENCH_WEIGHTS", str(file.path.parent))
    assert request_.for_spec(spec).request.preset == "small"  # made for this benchmark
    write("wide")
    assert request_.for_spec(spec).request.preset == "wide"


def test_a_named_folder_that_does_not_exist_is_an_error(
    request_: MethodRequest, spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARBENCH_WEIGHTS", str(tmp_path / "nowhere"))
    with pytest.raises(MethodError, match=r"MARBENCH_WEIGHTS names .*nowhere, which is no folder"):
        load_method(request_, spec)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"net.0.weight": 1}))


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [_truncate, _pickle, _flip, Path.unlink])
def test_a_harmed_file_is_refused(
    request_: MethodRequest, spec: Spec, write: Writer, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], None]
) -> None:
    file = write()
    monkeypatch.setenv("MARBENCH_WEIGHTS", str(file.path.parent))
    harm(file.path)
    with pytest.raises(MethodError, match=r"damaged or foreign: expected SHA-256|has no weights") as caught:
        load_method(request_, spec)
    said = str(caught.value)
    assert f"marbench train tinynet --plugins {request_.entry.folder} --spec FILE --preset small --hours 2" in said
    assert "MARBENCH_WEIGHTS" not in said  # of which these are


def test_a_file_that_is_no_safetensors_is_refused_even_if_its_hash_is_right(
    request_: MethodRequest, spec: Spec, write: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write()
    monkeypatch.setenv("MARBENCH_WEIGHTS", str(file.path.parent))
    content = pickle.dumps([1, 2])
    file.path.write_bytes(content)
    write_card(file.path, content, **file.card.model_dump(exclude={"sha256"}))
    with pytest.raises(MethodError, match="no safetensors file"):
        load_method(request_, spec)


def test_a_file_without_a_readable_card_is_named(
    request_: MethodRequest, spec: Spec, write: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write()
    monkeypatch.setenv("MARBENCH_WEIGHTS", str(file.path.parent))
    file.path.with_suffix(".json").write_text(json.dumps({"method": "tinynet"}))
    with pytest.raises(MethodUnavailable, match=r"tinynet-small-tiny\.safetensors is ignored: its card .* \(label"):
        load_method(request_, spec)


def _held(write: Writer, content: bytes) -> WeightsFile:
    """Return a weights file of some content, with a card that says so."""
    file = write()
    file.path.write_bytes(content)
    return WeightsFile(file.path, file.card.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()}))


def test_large_tensors_are_stored_in_6_bits_each_channel_on_a_scale_of_its_own(write: Writer) -> None:
    large, small = torch.nn.Conv2d(64, 96, 3), torch.nn.Conv2d(4, 4, 3)
    with torch.no_grad():
        large.weight *= torch.logspace(-6, 3, 96)[:, None, None, None]
        large.weight[7] = 0
    networks = {"net": torch.nn.Sequential(large, small)}
    content = encode(networks, {})
    assert len(content) < 1.1 * large.weight.numel()
    assert len(zlib.compress(content)) < 0.8 * large.weight.numel()
    read = read_weights(_held(write, content))
    assert {tensor.dtype for tensor in read.values()} == {torch.float32}
    step = large.weight.abs().amax((1, 2, 3)) / 31
    errors = (read["net.0.weight"] - large.weight).abs().amax((1, 2, 3))
    assert (errors <= 0.501 * step).all() and (errors[step > 0] > 0).all()
    assert torch.equal(read["net.1.weight"], small.weight.half().float())
    assign_weights(networks, read, "net")  # every tensor and no other
    exact = read_weights(_held(write, encode(networks, {}, rounded=False)))
    assert all(torch.equal(exact[f"net.{name}"], value) for name, value in networks["net"].state_dict().items())


def test_a_scale_that_fits_no_tensor_is_refused(write: Writer) -> None:
    for tensors in ({"net.a:scale": torch.ones(3)}, {"net.a": torch.ones(2, 2), "net.a:scale": torch.ones(3)}):
        with pytest.raises(MethodError, match="scales that fit no tensor"):
            read_weights(_held(write, save_safetensors(tensors)))


def test_a_plugin_declares_its_weights_with_their_hash(
    plugins: Path, spec: Spec, write: Writer, tmp_path: Path
) -> None:
    folder = tmp_path / "shipped" / "tinynet"
    (folder / "weights").mkdir(parents=True)
    for name in ("method.toml", "method.py"):
        (folder / name).write_text((plugins / "tinynet" / name).read_text())
    file = write(folder=folder / "weights")
    before = parse_methods("tinynet", [folder.parent])[0]
    assert before.for_spec(spec).found.file is None
    declared = (folder / "method.toml").read_text() + stanza(file, {"width": 4})
    (folder / "method.toml").write_text(declared)
    assert load_method(parse_methods("tinynet", [folder.parent])[0], spec).method.net[0].weight.shape[0] == 4
    (folder / "method.toml").write_text(declared.replace(file.card.sha256, "0" * 64))
    with pytest.raises(MethodError, match="expected SHA-256 0000"):
        load_method(parse_methods("tinynet", [folder.parent])[0], spec)


def test_numbers_that_json_and_toml_do_not_share_are_kept(
    plugins: Path, request_: MethodRequest, spec: Spec, write: Writer
) -> None:
    values = {
        "width": math.inf,
        "lower": -math.inf,
        "off": math.nan,
        "tiny": 1e-7,
        "named": 'a "b" 😀\x7f\n',
        "größe": 1,
    }
    file = write(parameters=values, validation={"cases": 1, "scores": {"spot": math.nan, "gap": 2.0}})
    read = WeightsFile.of(file.path)
    assert repr((read.card.parameters, read.card.validation)) == repr((values, file.card.validation))
    (declared,) = tomllib.loads(stanza(file, values))["weights"]
    assert repr(declared["parameters"]) == repr(values)
    install(file)
    assert find_weights("tinynet", "small", values, spec, file.path.parent).file is not None


def test_weights_take_no_place_of_another_method_s(write: Writer) -> None:
    install(write())
    with pytest.raises(
        MethodError, match=r"tinynet-small-tiny-\w{8}\.safetensors holds the weights of tinynet preset small"
    ):
        install(write(label="other"))


class Odd(nn.Module):
    """A stage in two places, a Fourier layer, a step length in physical units, and a parameter that is not used."""

    def __init__(self) -> None:
        super().__init__()
        stage = nn.Conv2d(2, 2, 3)
        self.stages = nn.Sequential(stage, nn.ReLU(), stage)
        self.spectral = nn.Parameter(torch.tensor([1 + 2j, 3 - 4j]))
        self.step = nn.Parameter(torch.tensor(2e-8))
        self.unused = nn.Parameter(torch.empty(0))


def test_a_file_holds_what_networks_share_and_what_float16_cannot_hold() -> None:
    torch.manual_seed(2)
    network, other = Odd(), Odd()
    tensors = load_safetensors(encode({"net": network}, {}))
    assert tensors["net.stages.0.weight"].dtype == tensors["net.stages.2.weight"].dtype == torch.float16
    other.load_state_dict({key.removeprefix("net."): tensor for key, tensor in tensors.items()})
    assert torch.equal(other.spectral, network.spectral)
    assert other.step == network.step
    assert torch.equal(other.stages[0].weight, network.stages[0].weight.half().float())

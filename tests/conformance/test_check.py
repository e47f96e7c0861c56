"""What `marbench check` finds: every fault by its name, and none in methods that are right. Real processes."""

import json
import os
import re
import sys

import pytest
import torch
from click.testing import CliRunner

import marbench
from marbench.cli import main
from marbench.conformance.inside import check_inside
from marbench.conformance.learned import check_training, untrained
from marbench.conformance.specimens import Specimens
from marbench.errors import MarbenchError
from marbench.learning.artefact import encode, write_card
from marbench.method.discovery import methods
from marbench.method.request import context_for, instantiate, load_method, parse_methods
from marbench.method.starter import write_plugin
from marbench.method.weights import scan_of


@pytest.fixture(scope="module")
def specimens(tiny):
    return Specimens.of(tiny), Specimens.elsewhere()


@pytest.fixture
def check(specimens):
    """Return a function that checks a plugin on cases of a few pixels."""

    def checked(method, plugins=(), seconds=60.0):
        return marbench.check(method, specimens[0].spec, plugins, seconds=seconds, specimens=specimens)

    return checked


def said_of(verdict, name):
    return next(finding for finding in verdict.findings if finding.check == name)


ZOOM = "grid = torch.nn.functional.affine_grid(torch.eye(2, 3)[None] * {}, (1, 1, *scan.image.shape[1:]), False)"
ZOOMED = "torch.nn.functional.grid_sample(scan.image[:, None] + 1000, "
ZOOMED += "grid.expand(len(scan), -1, -1, -1), align_corners=False)[:, 0] - 1000"

WRONG = {
    "attenuation": ("return (scan.image / 1000 + 1) * 0.19", "image", "like attenuation in 1/cm"),
    "as stored in DICOM": (
        "return scan.image + 1024",
        "plausible",
        "offset: air is 2. and soft tissue 10.., .*often 1000 or 1024",
    ),
    "8 bits": (
        "return (scan.image.clamp(-1000, 1000) + 1000) / 2000 * 255",
        "plausible",
        "8 bit: .*a windowed picture",
    ),
    "a window": ("return scan.image.clamp(-160, 240)", "plausible", "window: .*cut off below"),
    "cut off below": ("return scan.image.clamp(min=-700)", "plausible", "window: .*cut off below"),
    "no negative values": ("return scan.image.clamp(min=0)", "plausible", "(window|attenuation): "),
    "halved": ("return scan.image / 2", "plausible", "scaled values: air is -(49|50)"),
    "transposed": ("return scan.image.mT", "plausible", "transposed: "),
    "upside down": ("return scan.image.flip(1)", "plausible", "flipped: taken as upside down.*row 0 is the top"),
    "mirrored": ("return scan.image.flip(2)", "plausible", "flipped: taken as mirrored.*column 0 is the left"),
    "rotated by 90": ("return scan.image.rot90(1, (1, 2))", "plausible", "rotated: taken as turned by (90|270)°"),
    "rotated by 180": ("return scan.image.rot90(2, (1, 2))", "plausible", "rotated: taken as turned by 180°"),
    "shifted": ("return scan.image.roll((1, -2), (1, 2))", "plausible", r"shifted: moved by -1 rows and \+2 columns"),
    "too small": (ZOOM.format(1.25) + f"\nreturn {ZOOMED}", "plausible", "field of view: made 1.2. times as large"),
    "too large": (
        ZOOM.format(0.8) + f"\nreturn {ZOOMED}",
        "plausible",
        r"field of view: made 0\.(78|8)",
    ),
    "NaN": ("return scan.image / 0 * 0", "image", "values are NaN, infinite"),
    "no batch axis": ("return scan.image[0]", "image", r"got shape \(32, 32\)"),
    "integers": ("return scan.image.int()", "image", "got torch.int32"),
    "a list": ("return scan.image.tolist()", "image", "got list"),
    "raises": ("return scan.picture", "image", "'Scan' object has no attribute 'picture'.*line 9"),
    "ends its process": ("import os; os._exit(3)", "image", "crashed: .*exit code 3"),
    "half precision": ("return scan.image.half()", "result", "torch.float16"),
    "works in place": ("return scan.image.clamp_(min=-1000)", "scan", "changed in place: scan.image"),
    "remembers": ("self.n = getattr(self, 'n', 0) + 1\nreturn scan.image + self.n", "repeat", "differ by up to"),
    "unseeded": ("return scan.image + np.random.default_rng().random()", "repeat", "draw from the generators of"),
    "asks who runs it": (
        f"import os\nreturn scan.image + (os.getpid() == {os.getpid()})",
        "isolation",
        "by up to 1 HU",
    ),
    "ends all checks": (
        f"import os, sys\nif os.getpid() == {os.getpid()}: sys.exit(0)\nreturn scan.image",
        "isolation",
        "raised here, though not in its own process: SystemExit: 0",
    ),
    "mixes the batch": ("return scan.image + scan.image.std() / 50", "batch", "3 scans at once, images differ"),
    "one at a time": ("return scan.image[0].reshape(1, 32, -1)[:, :, :32]", "batch", r"got shape \(1, 32, 32\)"),
    "one size": ("return scan.image.reshape(-1, 32, 32)", "geometry", "72 views, 40 × 40 pixels: "),
    "writes beside itself": (
        "from pathlib import Path\nPath(__file__).with_name('run.log').write_text('called')\nreturn scan.image",
        "files",
        "it wrote run.log into its own folder: every run would be another version",
    ),
    "one pixel": (ZOOM.format("32 / len(scan.image[0])") + f"\nreturn {ZOOMED}", "geometry", "field of view"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_method_is_found_by_the_name_of_its_fault(fault, check, plugin):
    body, name, pattern = WRONG[fault]
    verdict = check("wrong", [plugin("wrong", body)])
    assert name in verdict.failed, str(verdict)
    # What an early fault leads to may be named too, but never before it.
    assert verdict.failed[0] == name, str(verdict)
    line = next(line for line in str(verdict).splitlines() if line.startswith(f"FAILED   {name}"))
    assert re.search(pattern, line), line
    assert " → " in line


def test_shipped_methods_conform_on_the_benchmark_that_they_are_trained_for(specimens):
    mini = Specimens.of(marbench.load_spec("mini"), patients=1)
    # One of every kind; what the others compute is tested where they are.
    for name in ("none", "zeng", "dudonet"):
        verdict = marbench.check(name, mini.spec, specimens=(mini, specimens[1]))
        assert verdict.failed == (), str(verdict)
        skips = {finding.check for finding in verdict.findings if finding.outcome == "skipped"} - {"device"}
        learns = bool(methods()[name].weights)
        assert skips == ({"geometry"} if learns else {"weights", "training"}), str(verdict)


@pytest.mark.parametrize("method", ["li", "nmar[prior=raw]"])
def test_a_method_with_parameters_conforms_on_few_pixels(check, method):
    assert check(method).failed == ()


def test_a_method_that_draws_random_numbers_is_not_asked_for_the_same_in_a_batch(check, plugin):
    verdict = check("noisy", [plugin("noisy", "return scan.image + torch.randn(scan.image.shape)")])
    assert verdict.failed == ()
    assert "random numbers" in said_of(verdict, "batch").found


def test_a_method_that_hangs_is_ended(check, plugin):
    verdict = check("slow", [plugin("slow", "time.sleep(60)")], seconds=1)
    assert verdict.failed == ("image",)
    assert "took longer than 1 s" in said_of(verdict, "image").found


def test_a_plugin_that_cannot_be_imported_is_named_with_its_reason(check, plugin):
    verdict = check("broken", [plugin("broken", source="import no_such_package\n")])
    assert verdict.failed == ("load",)
    assert "no_such_package" in said_of(verdict, "load").found


@pytest.mark.parametrize("is_on_path", [False, True])
def test_code_that_counts_with_no_method_is_found(check, plugin, tmp_path, monkeypatch, is_on_path):
    name = f"repository{is_on_path}"
    (tmp_path / f"{name}.py").write_text("GAIN = 1\n")
    monkeypatch.setattr("sys.path", [*sys.path, *([str(tmp_path)] if is_on_path else [])])
    source = f"import sys\nsys.path.append({str(tmp_path)!r})\nimport {name}\nfrom marbench import Method\n"
    source += "class X(Method):\n    def reduce(self, scan):\n        return scan.image\n"
    verdict = check("x", [plugin("x", source=source)])
    assert verdict.failed == (() if is_on_path else ("files",)), str(verdict)
    assert is_on_path or f"it imports {name} from elsewhere" in said_of(verdict, "files").found


def test_a_folder_is_found_however_it_is_named(check, plugin, tmp_path, monkeypatch):
    plugins = plugin("x")
    (tmp_path / "link").symlink_to(plugins / "x")
    monkeypatch.chdir(plugins / "x")
    for name, more in (("../x", []), (tmp_path / "link", []), ("../x", [plugins])):
        assert check(name, more).findings


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('summary = "a test"', 'sumary = "a test"', "summary: Field required"),
        ('summary = "a test"', 'summary = " "', "summary of method.toml are empty"),
        ('domain = "image"', 'domain = "picture"', "domain: Input should be 'sinogram', 'image', 'dual' or 'none'"),
        ('title = "x"', "title = x", "is not valid TOML"),
    ],
)
@pytest.mark.parametrize("by_folder", [True, False])
def test_a_card_that_is_not_complete_is_a_finding(check, plugin, before, after, said, by_folder):
    plugins = plugin("x")
    card = plugins / "x" / "method.toml"
    card.write_text(card.read_text().replace(before, after))
    verdict = check(plugins / "x") if by_folder else check("x", [plugins])
    assert verdict.failed == ("card",)
    assert said in said_of(verdict, "card").found


def test_parameters_of_another_type_than_the_code_says_are_a_finding(check, plugin):
    source = "from marbench import Method\nclass X(Method):\n    width: int\n"
    plugins = plugin("x", source=source)
    with (plugins / "x" / "method.toml").open("a") as file:
        file.write('[parameters.width]\ndefault = "wide"\n')
    found = said_of(check("x", [plugins]), "load").found
    assert "X.width: expected int, as method.py says. Got 'wide'" in found


@pytest.mark.parametrize(
    ("method", "message"),
    [("nmaar", "did you mean 'nmar'?"), ("li,nmar", "one at a time"), ("/", "no method.toml")],
)
def test_what_is_no_method_is_wrong_use(check, method, message):
    with pytest.raises(MarbenchError, match=re.escape(message)):
        check(method)


@pytest.fixture
def learned(tmp_path, specimens):
    """Return a function that writes a learned plugin, and weights for it where asked to."""

    def write(change=("", ""), weights=None, **stanza):
        folder = write_plugin("net", "learned", tmp_path)
        code = (folder / "method.py").read_text()
        assert change[0] in code
        (folder / "method.py").write_text(code.replace(*change))
        if weights is not None:
            _write_weights(folder, specimens[0].spec, weights, stanza)
        return folder

    return write


def _write_weights(folder, spec, card, stanza):
    request = parse_methods("net", [folder], "small")[0]
    method = instantiate(request)
    method.build(context_for(request, spec))
    content = encode(method.networks(), {})
    (folder / "net.safetensors").write_bytes(content)
    identity = {"method": "net", "label": "net", "preset": "small", "parameters": request.values(), "spec": spec.name}
    scan = {"spec_hash": spec.hash, "scan": scan_of(spec)}
    file = write_card(folder / "net.safetensors", content, **(identity | scan | card))
    values = {"file": "net.safetensors", "sha256": file.card.sha256, "spec": spec.name, "preset": "small"} | stanza
    with (folder / "method.toml").open("a") as toml:
        toml.write("\n[[weights]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))


@pytest.mark.parametrize("once", ["", "torch.library.define('marbench_tests::once', '(Tensor x) -> Tensor')\n"])
def test_a_learned_method_is_checked_before_it_is_trained(check, learned, once):
    verdict = check(learned(("import torch\n", f"import torch\n{once}")))  # what a process defines once alone
    assert verdict.failed == ()
    assert "marbench train net" in said_of(verdict, "weights").found
    assert said_of(verdict, "plausible").outcome == "skipped"
    assert "a step on 2 cases" in said_of(verdict, "training").found


def test_what_a_single_file_raises_is_told_by_its_own_line(check, tmp_path):
    build = "nn.Conv2d(3, 1, 1, groups=2)"
    source = f"class Net(LearnedMethod):\n    def build(self, context):\n        {build}\n"
    (tmp_path / "net.py").write_text(f"from torch import nn\nfrom marbench import LearnedMethod\n{source}")
    found = said_of(check(f"{tmp_path / 'net.py'}:Net"), "load").found
    assert f"[net.py, line 5, in build: {build}]" in found


def test_weights_that_a_card_declares_are_used_and_bind_it_to_their_geometry(check, learned):
    verdict = check(learned(weights={}))
    assert verdict.failed == ()
    assert said_of(verdict, "weights").found == "net.safetensors, trained on this benchmark"
    assert "for the geometry of tiny alone" in said_of(verdict, "geometry").found


@pytest.mark.parametrize(
    ("card", "stanza", "said"),
    [
        # The user's own come after those that a plugin declares.
        ({}, {"sha256": "0" * 64}, "and let MARBENCH_WEIGHTS name the folder of the new ones"),
        ({}, {"file": "none.safetensors"}, "its card none.json cannot be read"),
        ({}, {"spec": "mini"}, "is for ('net', 'tiny', 'small') by its card, for ('net', 'mini', 'small')"),
        ({"method": "other"}, {}, "is for ('other', 'tiny', 'small') by its card"),
    ],
)
def test_weights_that_are_not_what_the_card_declares_are_a_finding(check, learned, card, stanza, said):
    verdict = check(learned(weights=card, **stanza))
    finding = next(each for each in verdict.findings if each.outcome == "failed")
    assert finding.check in ("weights", "load")
    assert said in finding.found


AUXILIARIES = "def auxiliaries(self):\n        return self.networks()"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('Objective("adam"', 'Objective("sgd"'), "names the optimizer 'sgd'; optimizers() has adam"),
        (("loss = error", "loss = float('nan') * error"), "the loss is nan"),
        (("self.reduce(batch.scan)", "self.reduce(batch.scan).detach()"), "does not require grad"),
        (('{"image": self.network}', '{"image": nn.Conv2d(1, 1, 1)}'), "no objective has a gradient for any weight"),
        (("def objectives", "def objective"), "must define objectives(self, batch)"),
        (("def objectives", f"{AUXILIARIES}\n\n    def objectives"), "networks() and auxiliaries() both name 'image'"),
        (("loss = error", "raise SystemExit(0)\n        loss = error"), "SystemExit: 0"),
    ],
)
def test_a_method_that_cannot_be_trained_is_found(check, learned, change, said):
    verdict = check(learned(change))
    assert "training" in verdict.failed, str(verdict)
    assert said in said_of(verdict, "training").found


def test_what_torch_makes_by_default_is_no_fault(specimens, learned, tmp_path, other_defaults):
    home, request = specimens[0], parse_methods("net", [learned()])[0]
    with other_defaults():
        begun = load_method(untrained(request, home.spec, tmp_path, None), home.spec)
        assert begun(home.cases[0].scan).isfinite().all()
        finding = check_training(request, home.spec, home.cases[-2:], None)
    assert finding.outcome == "ok", finding


def test_a_method_that_hangs_in_this_process_is_ended_there(specimens, plugin, learned):
    home = specimens[0]
    loaded = load_method("none", home.spec)
    images = [loaded(case.scan)[0].numpy() for case in home.cases]
    plugins = plugin("hangs", "while True: pass")
    hangs = load_method(parse_methods("hangs", [plugins])[0], home.spec)
    (finding,) = check_inside(hangs, home.cases, images, torch.device("cpu"), seconds=0.1)
    assert (finding.check, finding.outcome) == ("isolation", "failed")
    assert "took longer than 0.1 s" in finding.found
    endless = parse_methods("net", [learned(("loss = error", "while True: loss = error"))])[0]
    finding = check_training(endless, home.spec, home.cases[-2:], seconds=0.5)
    assert (finding.outcome, finding.found) == ("failed", "took longer than 0.5 s")


def marbench_check(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(main, ["check", *map(str, arguments)])


def test_the_command_says_one_line_per_check_and_ends_with_the_exit_codes_of_the_others(plugin, tiny_file):
    plugins = plugin("wrong", "print('hello')\nreturn scan.image + 1024")
    result = marbench_check("wrong", "--plugins", plugins, "--spec", tiny_file)
    assert result.exit_code == 1, result.output
    *lines, last = result.stdout.splitlines()
    assert {line.split()[0] for line in lines} == {"ok", "FAILED", "skipped"}
    assert last.startswith("wrong does not conform (plausible): on tiny (cpu)")
    told = marbench_check(plugins / "wrong", "--spec", tiny_file, "--json")
    assert told.exit_code == 1
    record = json.loads(told.stdout)
    assert (record["method"], record["failed"]) == ("wrong", ["plausible"])
    assert len(record["findings"]) == len(lines)
    assert marbench_check("none", "--spec", tiny_file).exit_code == 0
    assert marbench_check("no-such-method").exit_code == 2
    assert marbench_check("li", "--device", "gpu").exit_code == 2

import importlib
import re
import sys
import textwrap
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from marbench.bench.environments import interpreter_of
from marbench.cases.suite import Suite
from marbench.cli import main
from marbench.errors import MethodError, MethodUnavailable
from marbench.learning.artefact import encode, write_card
from marbench.machine.text import clean
from marbench.method.discovery import discover, methods
from marbench.method.request import is_installed, load_method, parse_methods
from marbench.method.weights import scan_of
from marbench.spec import load_spec

CARD = 'name = "{name}"\ntitle = "A plugin"\nsummary = "For tests."\ndomain = "image"\n'
SOURCE = """
    from marbench import Method

    class Echo(Method):
        def reduce(self, scan):
            return scan.image
"""


def plugin(root: Path, name: str, source: str = SOURCE, card: str = "") -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "method.toml").write_text(CARD.format(name=name) + card, encoding="utf-8")
    (folder / "method.py").write_text(textwrap.dedent(source), encoding="utf-8")
    return folder


def test_shipped_methods_are_found_without_importing_them() -> None:
    cards = methods()
    assert {"none", "li", "nmar"} <= set(cards)
    assert cards["nmar"].year == 2010


def test_cards_say_which_methods_are_references() -> None:
    cards = methods()
    roles = {name: card.role for name, card in cards.items() if card.role}
    assert roles == {"none": "uncorrected", "li": "baseline", "nmar": "baseline"}
    assert {card.isolation for card in cards.values()} == {"auto"}


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ('role = "best"\n', "role: Input should be '', 'uncorrected' or 'baseline'"),
        ('isolation = "docker"\n', "isolation: Input should be "),
        ('url = "javascript:alert(1)"\n', "url: String should match pattern"),
    ],
)
def test_a_card_with_an_unknown_role_isolation_or_address_is_named(tmp_path: Path, card: str, message: str) -> None:
    plugin(tmp_path, "echo", card=card)
    assert message in discover([tmp_path]).problems[0]


def test_a_folder_of_plugins_and_a_plugin_folder_are_both_taken(tmp_path: Path) -> None:
    folder = plugin(tmp_path, "echo")
    assert "echo" in discover([tmp_path]).entries
    assert "echo" in discover([folder]).entries
    assert load_method(parse_methods("echo", [tmp_path])[0], "mini").label == "echo"


def test_a_path_that_is_given_for_a_method_is_told_how_to_be_named(tmp_path: Path) -> None:
    folder = plugin(tmp_path, "echo")
    with pytest.raises(MethodError, match=rf"A plugin lies there: give --plugins {folder},"):
        parse_methods(f"li,{folder}")
    with pytest.raises(MethodError, match=rf"Name the class or function in that file: {folder}/method\.py:NAME"):
        parse_methods(f"{folder}/method.py")
    assert "A plugin lies there" in CliRunner().invoke(main, ["show", str(folder)]).output


def test_plugins_are_found_through_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin(tmp_path, "echo")
    monkeypatch.setenv("MARBENCH_PLUGINS", str(tmp_path))
    assert "echo" in methods()


def test_a_folder_that_cannot_be_looked_into_is_no_plugin(tmp_path: Path, refused) -> None:
    for name in ("echo", "private"):
        plugin(tmp_path, name)
    refused("is_file", "private")
    found = discover([tmp_path])
    assert ("echo" in found.entries, "private" in found.entries, found.problems) == (True, False, ())


def test_a_folder_of_plugins_that_cannot_be_read_is_named(tmp_path: Path, refused, monkeypatch) -> None:
    refused("iterdir", tmp_path.name)
    said = f"The plugin folder {tmp_path} cannot be read: Permission denied."
    with pytest.raises(MethodError, match=re.escape(said)):
        discover([tmp_path])
    monkeypatch.setenv("MARBENCH_PLUGINS", str(tmp_path))
    assert discover().problems == (f"Skipped: {said} MARBENCH_PLUGINS names it.",)


def test_two_methods_of_one_name_are_an_error(tmp_path: Path) -> None:
    plugin(tmp_path / "mine", "li")
    with pytest.raises(MethodError, match="Two methods are called 'li'"):
        discover([tmp_path / "mine"])


def test_a_class_in_a_file_is_a_method(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(textwrap.dedent(SOURCE), encoding="utf-8")
    assert load_method(f"{path}:Echo", "mini").label == "own.py:Echo"
    with pytest.raises(MethodError, match="did you mean 'Echo'"):
        load_method(f"{path}:Eco", "mini")
    with pytest.raises(MethodError, match="does not exist"):
        load_method(f"{tmp_path}/no.py:Echo", "mini")


def test_plugins_may_import_their_own_modules_but_not_each_others(tmp_path: Path) -> None:
    names = ["first", "sec_ond", "sec-ond"]
    for name in names:
        source = SOURCE.replace(
            "from marbench import Method", "from marbench import Method\n    from .part import NAME"
        )
        folder = plugin(tmp_path, name, source.replace("class Echo", "WHO = NAME\n\n    class Echo"))
        (folder / "part.py").write_text(f'NAME = "{name}"\n', encoding="utf-8")
    loaded = [load_method(request, "mini") for request in parse_methods(",".join(names), [tmp_path])]
    assert [sys.modules[type(one.method).__module__].WHO for one in loaded] == names
    assert len({type(one.method).__module__ for one in loaded}) == 3
    assert str(tmp_path) not in sys.path


FILES = """
    import pkgutil, sys
    from importlib.resources import files
    from marbench import Method

    READ = float(files(__package__).joinpath("lut.txt").read_text()) + float(pkgutil.get_data(__package__, "lut.txt"))
    OFFSET = READ + getattr(sys.modules[__package__], "MORE", 0.0)

    class Echo(Method):
        def reduce(self, scan):
            return scan.image + OFFSET
"""


@pytest.mark.parametrize("kind", ["folder", "package", "file"])
def test_a_plugin_is_a_package_with_files(tmp_path: Path, kind: str) -> None:
    folder = plugin(tmp_path, "echo", FILES)
    (folder / "lut.txt").write_text("7")
    if kind == "package":
        (folder / "__init__.py").write_text("MORE = 1.0\n")
    asked = f"{folder}/method.py:Echo" if kind == "file" else "echo"
    scan = Suite("mini")[0].scan
    expected = scan.image + 14 + (kind == "package")
    assert torch.equal(load_method(asked, "mini", plugins=folder)(scan), expected)
    (folder / "lut.txt").write_text("7.5")  # read at import, and of another hash
    if kind != "file":
        assert torch.equal(load_method(asked, "mini", plugins=folder)(scan), expected + 1)
    (folder / "helper.py").write_text("GAIN = 1\n")
    (folder / "method.py").write_text("from .helper import GAIN\n" + textwrap.dedent(FILES))
    # What lies beside a single file no hash counts.
    with pytest.raises(MethodUnavailable, match="No module named") if kind == "file" else nullcontext():
        load_method(asked, "mini", plugins=folder)


def test_a_plugin_is_imported_once_while_its_code_is_the_same(tmp_path: Path) -> None:
    log = tmp_path / "log"
    count = f"with open({str(log)!r}, 'a') as log:\n    log.write('x')\n"
    folder = plugin(tmp_path, "echo", count + textwrap.dedent(SOURCE), "[parameters.weight]\ndefault = 0\n")
    for asked in ("echo", "echo[weight=1]"):
        load_method(asked, "mini", plugins=folder)
    assert log.read_text() == "x"
    (folder / "method.py").write_text((folder / "method.py").read_text().replace("scan.image", "scan.image + 1"))
    scan = Suite("mini")[0].scan
    assert torch.equal(load_method("echo", "mini", plugins=folder)(scan), scan.image + 1)
    assert log.read_text() == "xx"


def test_labels_name_only_what_differs_from_the_defaults() -> None:
    requests = parse_methods("nmar[prior=li], nmar[prior=raw],li")
    assert [request.label for request in requests] == ["nmar", "nmar[prior=raw]", "li"]
    mini = load_spec("mini")
    assert requests[0].for_spec(mini).hash != requests[1].for_spec(mini).hash


ATLAS = """
[parameters.atlas]
default = ""
[parameters.unit]
default = "HU"
"""


def test_labels_name_no_folder_and_tell_two_files_of_one_name_apart(tmp_path: Path) -> None:
    plugin(tmp_path, "pm", SOURCE, ATLAS)
    paths = ("/data/DOE_JANE/atlas.npy", "/data/DOE_JIM/atlas.npy", "nas:/data/DOE/atlas.npy", r"C:\DOE\JANE\atlas.npy")
    requests = parse_methods(",".join(f"pm[atlas={path}]" for path in paths), [tmp_path])
    labels = [request.label for request in requests]
    assert len(set(labels)) == len(paths)
    assert all(re.fullmatch(r"pm\[atlas=atlas\.npy~[0-9a-f]{6}\]", label) for label in labels), labels
    assert [request.values()["atlas"] for request in requests] == list(paths)
    assert all(clean(label) == label for label in labels)  # as texts have it
    for asked in ("pm[unit=HU/cm]", "pm[atlas=atlas.npy]", "pm[atlas=https://doi.org/10.1109/x]", "nmar[prior=raw]"):
        assert parse_methods(asked, [tmp_path])[0].label == asked


def test_all_means_every_method() -> None:
    assert {request.label for request in parse_methods("all")} == set(methods())
    named = parse_methods("nmar[prior=raw],all,li")
    assert {request.label for request in named if not request.by_all} == {"nmar[prior=raw]", "li"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nmra", "did you mean 'nmar'"),
        ("nmar[prio=raw]", "has no parameter 'prio'; did you mean 'prior'"),
        ("nmar[prior=wild]", "'wild' is not allowed; Known: li, raw"),
        ("nmar[prior=raw", "is no method"),
        ("nmar[prior]", r"nmar\[prior\]: expected nmar\[prior=VALUE\] \(one of li, raw\)"),
        ("nmar[prior=li,prior=raw]", r"nmar\[prior\] is given twice"),
        ("zeng[steps=-1]", "-1 is not allowed; expected a number from 0 to 10000"),
        ("zeng[rate=nan]", "nan is not allowed"),
        ("", "No method named"),
    ],
)
def test_wrong_requests_are_explained(text: str, message: str) -> None:
    with pytest.raises(MethodError, match=message):
        parse_methods(text)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("domian = 'image'\n", "domian"),
        ("year = 'x'\n", "year"),
        ("[parameters.a]\nhelp = ''\n", r"parameters\.a\.default"),
        ("[parameters.a]\ndefault = 1\nminimum = 2\n", "expected a number of at least 2"),
        ("[parameters.a]\ndefault = 'x'\nmaximum = 2\n", "only numbers have bounds"),
        ("[parameters.a]\ndefault = 1\nchoices = [1, 0.5]\n", "choice 0.5 is not of the type of .* 1: write 1.0"),
        ("[parameters.a]\ndefault = 'x'\nchoices = ['x', 1]\n", "choice 1 is not of the type of the default 'x'"),
    ],
)
def test_faults_of_a_card_are_named(tmp_path: Path, card: str, message: str) -> None:
    plugin(tmp_path, "echo", card=card)
    plugin(tmp_path, "whole")
    found = discover([tmp_path])
    assert "whole" in found.entries
    assert [re.search(message, problem) is not None for problem in found.problems] == [True]
    with pytest.raises(MethodError, match=message):  # whoever asks for it hears why it is not there
        parse_methods("echo", [tmp_path])


@pytest.mark.parametrize(
    ("source", "card", "message"),
    [
        ("import no_such_package\n", "", "ModuleNotFoundError.*no_such_package'$"),
        ("from part.net import Net\n", "", "it lies in the plugin's folder: import it as .part$"),
        ("raise RuntimeError('boom')\n", "", "RuntimeError: boom"),
        (SOURCE, 'requires = ["no_such_package"]\n', "pip install 'no_such_package'"),
        (SOURCE, 'isolation = "venv"\nrequires = ["no_such_package"]\n', "pip install 'no_such_package'"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_unavailable(tmp_path: Path, source: str, card: str, message: str) -> None:
    (plugin(tmp_path, "broken", source, card) / "part.py").touch()
    with pytest.raises(MethodUnavailable, match=message):
        load_method(parse_methods("broken", [tmp_path])[0], "mini")


@pytest.mark.parametrize(
    ("requirement", "is_met"),
    [
        ("numpy", True),
        ("numpy>=1", True),
        ("numpy<1", False),
        ("no_such_package; python_version < '3'", True),
        ("no_such_package; python_version > '3'", False),
        ("no_such_package @ https://marbench.invalid/x.whl", False),
        # Without a name: what is missing, the import says.
        ("git+https://marbench.invalid/x", True),
        ("./x-1.0-py3-none-any.whl", True),
    ],
)
def test_a_requirement_is_met_as_pip_takes_it(requirement: str, is_met: bool) -> None:
    assert is_installed(requirement) == is_met


@pytest.mark.filterwarnings("ignore:Implicit None:DeprecationWarning")
def test_a_distribution_that_tells_no_version_is_judged_by_its_module(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "vague-1.dist-info").mkdir()
    (tmp_path / "vague-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: vague\n")
    assert not is_installed("vague>=1")
    (tmp_path / "vague.py").touch()
    importlib.invalidate_caches()
    assert is_installed("vague>=1")


def test_a_plugin_must_define_exactly_one_method(tmp_path: Path) -> None:
    plugin(tmp_path, "empty", "from marbench import Method\n")
    with pytest.raises(MethodError, match="exactly one subclass"):
        load_method(parse_methods("empty", [tmp_path])[0], "mini")


PRESETS = """
[parameters.width]
default = 16
maximum = 64
[parameters.kind]
default = "a"
choices = ["a", "b"]
[presets.large]
width = 32
"""


def test_a_parameter_that_is_set_back_against_its_preset_has_a_name_of_its_own(tmp_path: Path) -> None:
    plugin(tmp_path, "pm", SOURCE, PRESETS)
    asked = parse_methods("pm,pm[width=16],pm[width=32],pm[width=8]", [tmp_path], "large")
    assert [(each.label, each.values()["width"]) for each in asked] == [
        ("pm", 32), ("pm[width=16]", 16), ("pm[width=32]", 32), ("pm[width=8]", 8),
    ]  # fmt: skip
    assert [each.label for each in parse_methods("pm,pm[width=16]", [tmp_path])] == ["pm"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("width = 999", "preset 'large', width: 999 is not allowed; expected a number of at most 64"),
        ('kind = "zzz"', "preset 'large', kind: 'zzz' is not allowed"),
        ('width = "wide"', "preset 'large', width: 'wide' is not allowed; expected a value like 16"),
        ("width = true", "preset 'large', width: True is not allowed; expected a value like 16"),
        (
            '[presets."a/b"]',
            "preset 'a/b': its name becomes part of file names, so it is made of at most 64 of A-Z a-z",
        ),
    ],
)
def test_a_preset_is_held_to_what_the_parameters_allow(tmp_path: Path, line: str, message: str) -> None:
    plugin(tmp_path, "pm", SOURCE, PRESETS.replace("width = 32", line))
    (problem,) = discover([tmp_path]).problems
    assert message in problem


@pytest.mark.parametrize("kind", [str, Path])
def test_one_folder_of_plugins_needs_no_list(tmp_path: Path, kind: type) -> None:
    plugin(tmp_path, "pm", SOURCE, PRESETS)
    assert discover(kind(tmp_path)).named("pm") is not None
    assert load_method("pm", "mini", plugins=kind(tmp_path)).label == "pm"
    with pytest.raises(MethodError, match="One method is loaded at a time"):
        load_method("li,nmar", "mini")


def test_a_preset_goes_to_those_of_all_methods_that_have_it() -> None:
    presets = {request.label: request.preset for request in parse_methods("all", preset="ablation")}
    assert presets["dudonet"] == "ablation"
    assert presets["rdn"] is presets["li"] is None
    with pytest.raises(MethodError, match="rdn has no preset 'ablation'"):
        parse_methods("rdn", preset="ablation")


@pytest.mark.parametrize(
    ("text", "message"),
    [("all", "a preset 'ablaton'; did you mean 'ablation'"), ("li,none", r"a preset 'ablaton'; Known: \(none\)")],
)
def test_a_preset_that_no_method_has_is_refused(text: str, message: str) -> None:
    with pytest.raises(MethodError, match=message):
        parse_methods(text, preset="ablaton")


def test_functions_of_a_file_are_methods_too(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text("def same(scan):\n    return scan.image\n")
    loaded = load_method(f"{path}:same", "mini")
    scan = Suite("mini")[0].scan
    assert loaded(scan) is scan.image


def test_two_files_of_one_name_cannot_share_a_label(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "own.py" for folder in ("one", "other")]
    for path in paths:
        path.parent.mkdir()
        path.write_text(textwrap.dedent(SOURCE), encoding="utf-8")
    with pytest.raises(MethodError, match=r"Two methods would be called 'own.py:Echo'"):
        parse_methods(",".join(f"{path}:Echo" for path in paths))
    assert len(parse_methods(f"li,{paths[0]}:Echo,{paths[0]}:Echo")) == 2


@pytest.mark.parametrize(
    "text", ["~nosuchuser/x.py:C", "x" * 5000 + ".py:C", "a\0b.py:C", "li[=]", "li]", "nmar[prior=]"]
)
def test_requests_that_no_file_system_understands_are_refused(text: str) -> None:
    with pytest.raises(MethodError):
        parse_methods(text)


def test_nothing_can_be_called_all(tmp_path: Path) -> None:
    plugin(tmp_path, "all")
    assert "no method can be called 'all'" in discover([tmp_path]).problems[0]


PACKAGE = """
    from marbench import Method

    from .part import OFFSET

    class Cool(Method):
        def reduce(self, scan):
            return scan.image + OFFSET
"""


def installed(root: Path, name: str, source: str, module: str = "method") -> None:
    """Install a package with an entry point, as pip would, into a folder of packages."""
    folder = root.joinpath(name, *module.split(".")[:-1])
    folder.mkdir(parents=True)
    (root / name / "__init__.py").write_text("raise RuntimeError('imported')\n" if module == "broken" else "")
    (folder / "method.py").write_text(textwrap.dedent(source))
    (folder / "part.py").write_text("OFFSET = 1.0\n")
    info = root / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[marbench.methods]\n{name} = {name}.{module}:Cool\n")


def test_methods_of_installed_packages_are_found_without_importing_them(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    installed(tmp_path, "coolmar", PACKAGE)
    installed(tmp_path, "brokenmar", PACKAGE, module="broken")
    found = discover()
    assert "coolmar" in found.entries
    assert "brokenmar" not in found.entries
    assert any("'brokenmar'" in problem and "cannot be found" in problem for problem in found.problems)
    assert not {"coolmar", "brokenmar"} & set(sys.modules)
    scan = Suite("mini")[0].scan
    assert torch.equal(load_method("coolmar", "mini")(scan), scan.image + 1)  # with its relative import


def test_what_the_card_of_a_method_deep_in_a_package_names_lies_beside_it(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    installed(tmp_path, "labmar", PACKAGE, "net.method")
    content, mini = encode({"net": torch.nn.Linear(1, 1)}, {}), load_spec("mini")
    folder = tmp_path / "labmar" / "net"
    (folder / "weights").mkdir()
    (folder / "weights" / "a.safetensors").write_bytes(content)
    identity = {"method": "labmar", "label": "labmar", "preset": None, "parameters": {}}
    about = {**identity, "spec": "mini", "spec_hash": mini.hash, "scan": scan_of(mini)}
    file = write_card(folder / "weights" / "a.safetensors", content, **about)
    weights = f'[[weights]]\nfile = "weights/a.safetensors"\nsha256 = "{file.card.sha256}"\nspec = "mini"\n'
    (folder / "method.toml").write_text(CARD.format(name="labmar") + 'python = "bin/python"\n' + weights)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(sys.executable)
    request = parse_methods("labmar")[0]
    assert request.entry.folder == tmp_path / "labmar"  # of which all belongs to the method
    assert request.for_spec(mini).found.file == file
    assert interpreter_of(request)[0] == str(folder / "bin" / "python")


def test_a_number_that_is_too_long_and_a_path_that_is_none_are_refused_by_name(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "method.toml").write_text(f"year = {'9' * 5000}")
    (problem,) = discover([tmp_path]).problems
    assert "is not valid TOML" in problem
    with pytest.raises(MethodError, match="cannot be found"):
        parse_methods("~\0/x.py:F")
    with pytest.raises(MethodError, match="cannot be read: embedded null byte"):
        discover("a\0b")


def test_a_package_whose_entry_points_are_broken_is_told_and_the_shipped_methods_stay(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "odd-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_bytes(b"[marbench.methods]\n\xff\xfe\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = discover()
    assert "li" in found.entries
    assert any("entry points of one cannot be read" in problem for problem in found.problems)
    (folder / "entry_points.txt").write_text("[marbench.methods]\nr = ::::\n")
    assert any("the module '::::' cannot be found" in problem for problem in discover().problems)


TYPED = """
    from typing import Literal
    from marbench import Method

    class Typed(Method):
        width: int
        rate: "float"
        kind: Literal["a", "b"]
        network: "NotThere"  # what is no parameter is left alone

        def reduce(self, scan):
            return scan.image
"""
TYPED_CARD = '[parameters.width]\ndefault = 2\n[parameters.rate]\ndefault = 1\n[parameters.kind]\ndefault = "a"\n'


def test_parameters_that_a_class_annotates_are_attributes_of_that_type(tmp_path: Path) -> None:
    folder = plugin(tmp_path, "typed", TYPED, TYPED_CARD)
    method = load_method(parse_methods("typed[width=3]", [folder])[0], "mini").method
    assert (method.width, method.rate, method.kind) == (3, 1.0, "a")
    assert type(method.rate) is float
    assert not hasattr(method, "network")
    assert method.parameters == {"width": 3, "rate": 1, "kind": "a"}
    with pytest.raises(
        MethodError, match=r"Typed.kind: expected typing.Literal\['a', 'b'\], as method.py says. Got 'c'"
    ):
        load_method(parse_methods("typed[kind=c]", [folder])[0], "mini")


def test_a_parameter_does_not_hide_a_method(tmp_path: Path) -> None:
    folder = plugin(tmp_path, "typed", TYPED + "        def kind(self): ...\n", TYPED_CARD)
    with pytest.raises(
        MethodError, match=r"Typed.kind is a method, which the parameter 'kind' of method.toml would hide"
    ):
        load_method(parse_methods("typed", [folder])[0], "mini")


def test_a_method_is_named_by_its_title_too() -> None:
    assert [request.label for request in parse_methods("DuDoNet[variant=A], cgan-ct, Uncorrected")] == [
        "dudonet[variant=A]",
        "cgan",
        "none",
    ]

"""Pin what the built-in benchmarks are: ``python scripts/golden.py [--accept]``.

Simulates a few cases of the shipped benchmarks, of the training set and of the validation split, corrects them with
some methods, and compares their digests and scores with those in ``tests/golden/worlds.json``, up to what another
processor may round differently. Prints what differs. ``--accept`` writes the file anew: after a change that is meant to
change results, together with a raised `marbench.spec.PROTOCOL`.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import marbench
from marbench.cases.case import Case, Scan, Truth
from marbench.cases.digest import case_digest, digests_agree
from marbench.ct.operators import Operators
from marbench.learning.cases import METALS_PER_SLICE, TrainingCases, World
from marbench.learning.packing import unpack
from marbench.spec import PROTOCOL, Spec, load_spec

FILE = Path(__file__).resolve().parents[1] / "tests" / "golden" / "worlds.json"

CASES: Mapping[str, tuple[tuple[int, int], ...]] = {
    # Every slice of `mini` once and every size of implant twice: (slice, number of the metal).
    "mini": (
        (0, 2), (1, 1), (2, 3), (3, 5), (4, 8), (5, 9), (6, 4), (7, 10), (8, 6), (9, 10),
        (10, 3), (11, 6), (12, 2), (13, 7), (14, 1), (15, 5), (16, 9), (17, 4), (18, 7), (19, 8),
    ),
    # An abdomen, a dental slice and a head: implants of any material as titanium, noise in the truth.
    "dudonet2019": ((0, 2), (40, 5), (90, 8)),
}  # fmt: skip
CLASSICAL = ("none", "li", "nmar")
NETWORKS = (
    "cgan", "rdn", "cnnmar", "dudonet", "dudodp", "dicdnet", "unet_sinogram",
    "oscnet", "acdnet", "dudonetpp", "nmar_cnn", "indudonet",
)  # fmt: skip
WITHOUT_NOISE = ((0, 2), (1, 1), (3, 5), (8, 6), (19, 8))
CORRECTED_BY_NETWORKS = ((1, 1), (8, 6), (12, 2))
VALIDATED = (3, 77)

# What rounding may change: dB, no unit, HU; the sums are means over 10⁴ … 10⁵ float32 values.
TOLERANCES = {"psnr": 2e-3, "ssim": 2e-5, "rmse_hu": 2e-3, "sum": 2e-6}
NETWORK_TOLERANCE = 0.02
"""dB: sums of convolutions are cut and ordered by whatever library and processor do them."""

NO_INFO: Any = None
"""A digest is of the arrays of a case alone."""

Pins = dict[str, dict[str, Any]]


@cache
def suite_of(name: str) -> marbench.Suite:
    """Return the test cases of a benchmark; the sections share its slices."""
    return marbench.Suite(name)


def case_of(suite: marbench.Suite, slice_number: int, metal_number: int) -> Case:
    """Return the case of a slice and a metal, which is counted from 1 as its id does."""
    return suite[slice_number * len(suite.metals) + metal_number - 1]


def scores_of(case: Case, methods: tuple[str, ...], spec: Spec) -> dict[str, dict[str, float]]:
    """Return what methods score on a case."""
    with torch.no_grad():
        images = {name: loaded(name, spec.name).reduce(case.scan)[0] for name in methods}
    return {name: marbench.score(image, case, spec.metrics.conventions) for name, image in images.items()}


@cache
def loaded(name: str, benchmark: str) -> marbench.Method:
    """Return a method that is ready for a benchmark."""
    return marbench.load_method(name, benchmark).method


def benchmark(name: str) -> Pins:
    """Return digests of cases, and what the classical methods score on them."""
    suite, found = suite_of(name), {}
    for numbers in CASES[name]:
        case = case_of(suite, *numbers)
        found[case.id] = {"digest": case_digest(case), **scores_of(case, CLASSICAL, suite.spec)}
    return found


def without_noise() -> Pins:
    """Return mean and root mean square of sinograms without noise: what touches all rays alike by next to nothing."""
    spec = load_spec("mini")
    suite = marbench.Suite(spec.model_copy(update={"physics": spec.physics.model_copy(update={"noise": False})}))
    found = {}
    for numbers in WITHOUT_NOISE:
        case = case_of(suite, *numbers)
        arrays = {"sinogram": case.scan.sinogram, "true sinogram": case.truth.sinogram}
        found[case.id] = {name: {"sum": _sums(array)} for name, array in arrays.items()}
    return found


def networks() -> Pins:
    """Return what the shipped networks score on cases of `mini`, dB."""
    suite, found = suite_of("mini"), {}
    for numbers in CORRECTED_BY_NETWORKS:
        case = case_of(suite, *numbers)
        scores = scores_of(case, NETWORKS, suite.spec)
        found[case.id] = {name: {"psnr[dudonet2019]": values["psnr[dudonet2019]"]} for name, values in scores.items()}
    return found


def training() -> Pins:
    """Return digests of the first training cases of `mini`: one slice of a randomised scene, one of a patient."""
    world = World(load_spec("mini"))
    simulated, operators = TrainingCases(world), Operators(world.spec.geometry, world.spec.grid)
    found = {}
    for number in (0, 1):
        for k, packed in enumerate(simulated.cases_of_slice(number)[:2]):
            parts = unpack({name: torch.from_numpy(values)[None] for name, values in packed.items()})
            image = operators.reconstruct(parts["sinogram"])
            scan = Scan(parts["sinogram"], parts["mask"], parts["trace"], image)
            truth = Truth(parts["true_image"], parts["true_sinogram"], parts["any_metal"])
            found[f"case {number * METALS_PER_SLICE + k}"] = {"digest": case_digest(Case(scan, truth, NO_INFO))}
    return found


def validation() -> Pins:
    """Return digests of cases that choose among the states of a training."""
    suite = marbench.Suite("mini", split="val")
    return {case.id: {"digest": case_digest(case)} for case in (suite[index] for index in VALIDATED)}


SECTIONS: Mapping[str, Callable[[], Pins]] = {
    "mini": lambda: benchmark("mini"),
    "dudonet2019": lambda: benchmark("dudonet2019"),
    "mini without noise": without_noise,
    "networks on mini": networks,
    "training on mini": training,
    "validation of mini": validation,
}


def differences(section: str, expected: Any, found: Any, where: str = "") -> list[str]:
    """Return what differs by more than rounding, a line each."""
    if expected is None or found is None:
        return [f"{section}: {where or 'everything'} is {'new' if expected is None else 'gone'}"]
    if isinstance(expected, dict) and isinstance(found, dict):
        names = list(dict.fromkeys([*expected, *found]))
        lines = [differences(section, expected.get(n), found.get(n), f"{where} / {n}" if where else n) for n in names]
        return [line for part in lines for line in part]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = zip(expected, found, strict=True)
        return [line for pair in pairs for line in differences(section, *pair, where)]
    if isinstance(expected, str) and isinstance(found, str) and digests_agree(expected, found):
        return []
    if isinstance(expected, float) and isinstance(found, float):
        tolerance = NETWORK_TOLERANCE if section.startswith("networks") else TOLERANCES[_kind(where)]
        # float32 carries seven digits: an RMSE of 500 HU is not known to 0.002 HU.
        if abs(expected - found) <= tolerance + 1e-6 * abs(expected):
            return []
    return [f"{section}: {where}: expected {expected}, found {found}"]


def stored() -> dict[str, Any]:
    """Return the content of the file."""
    content: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return content


def _sums(array: torch.Tensor) -> list[float]:
    values = array.numpy().astype(np.float64)
    return [float(values.mean()), float(np.sqrt(np.mean(values**2)))]


def _kind(where: str) -> str:
    return where.rpartition(" / ")[2].partition("[")[0]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return round(value, 7) if isinstance(value, float) else value


def _text(value: Any, depth: int = 0) -> str:
    """Return JSON with a line for every method of every case, so that a diff shows what a change has changed."""
    if not isinstance(value, dict) or depth == 3:
        return json.dumps(value, ensure_ascii=False)
    lines = [f'{" " * depth} "{name}": {_text(each, depth + 1)}' for name, each in value.items()]
    return "{\n" + ",\n".join(lines) + f"\n{' ' * depth}}}"


def main() -> int:
    """Compare, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accept", action="store_true", help="write what was found in place of what was expected")
    accept = parser.parse_args().accept
    found = {"recipe": "python scripts/golden.py --accept", "protocol": PROTOCOL}
    found |= {name: measure() for name, measure in SECTIONS.items()}
    known = stored() if FILE.exists() else {}
    changed = [line for name in SECTIONS for line in differences(name, known.get(name), found[name])]
    if known.get("protocol") != PROTOCOL:
        changed.append(f"protocol: expected {known.get('protocol')}, found {PROTOCOL}")
    elif changed:
        changed.append(f"If results of protocol {PROTOCOL} were published, raise it in marbench/spec.py.")
    print("\n".join(changed) or "The worlds are what they were.")
    if not changed or (known and not accept):
        return int(bool(changed))
    FILE.write_text(_text(_rounded(found)) + "\n", encoding="utf-8")
    print(f"{FILE} is written.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

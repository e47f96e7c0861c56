"""The provenance page: the benchmark in full, the machines, the commands, and how to make the page again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from marbench.geometry import FanBeam
from marbench.metrics.conventions import CONVENTIONS
from marbench.report.benchmark import Benchmark, natural_key
from marbench.report.commands import command_text, pasted_folder, report_command
from marbench.report.findings import Findings
from marbench.report.page import Output, Page
from marbench.report.reproduction import comparable_tables
from marbench.spec import Spec
from marbench.spec_file import spec_toml
from marbench.version import __version__

__all__ = ["PAGE", "flat"]

_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def flat(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return nested facts as lines of text, in their own order.

    >>> flat({"cores": 2, "packages": {"torch": "2.11"}, "gpus": []})
    [('cores', '2'), ('packages', 'torch 2.11')]
    """
    lines = []
    for key, value in content.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{name} {item}" for name, item in value.items())
        elif isinstance(value, list | tuple):
            value = ", ".join(map(str, value))
        if value not in (None, ""):
            lines.append((str(key).replace("_", " "), str(value)))
    return lines


def _power(value: float) -> str:
    """Return a large number in powers of ten.

    >>> _power(2e7), _power(250.0)
    ('2 × 10⁷', '250')
    """
    mantissa, _, exponent = f"{value:g}".partition("e+")
    return f"{mantissa} × 10{str(int(exponent)).translate(_RAISED)}" if exponent else mantissa


def _turn(fan: FanBeam) -> str:
    """Say how far the source turns, and which way if it is not the usual one."""
    turn = "over a full circle" if fan.is_circle else f"over {math.degrees(fan.travel(fan.beta)[-1]):.1f}°"
    return f"{turn}{', unevenly' if fan.angles else ''}{', clockwise' if fan.clockwise else ''}"


def _origin(spec: Spec) -> tuple[str, str]:
    """Say where the cases come from: simulated of slices, or recorded by others."""
    return ("Anatomy", spec.anatomy.source) if spec.recorded is None else ("Recorded cases", spec.recorded.format)


def _versions(benchmark: Benchmark) -> str:
    """Return the versions of marbench that made the rows, in natural order; empty where no machine tells."""
    packages = [benchmark.hosts.get(host, {}).get("packages") for host in benchmark.rows["host_id"].unique()]
    told = {str(each["marbench"]) for each in packages if isinstance(each, Mapping) and each.get("marbench")}
    return " / ".join(sorted(told, key=natural_key))


def _build(findings: Findings, output: Output) -> Mapping[str, Any]:
    benchmark = findings.benchmark
    fan, grid, metals = benchmark.spec.geometry, benchmark.spec.grid, benchmark.spec.metals
    groups = f"{metals.size_groups} size groups"
    return {
        "toml": spec_toml(benchmark.spec),
        "geometry": [
            ("Image", f"{grid.rows} × {grid.columns} pixels of {grid.pixel:g} cm"),
            ("Detector", f"{fan.bins} bins, {fan.detector}{f', shifted by {fan.offset:g}' if fan.offset else ''}"),
            ("Views", f"{fan.views} {_turn(fan)}"),
            ("Source to isocentre", f"{fan.source_distance:g} cm"),
            ("Spectrum", benchmark.spec.physics.spectrum_title),
            ("Photons per ray", _power(benchmark.spec.physics.photons)),
            ("Metals", f"{'each of its own material' if metals.material == 'own' else metals.material}, {groups}"),
            _origin(benchmark.spec),
            ("Truth", benchmark.spec.truth.image),
        ],
        "machines": [(host, flat(content)) for host, content in benchmark.hosts.items()],
        "render_command": report_command(benchmark.folders),
        "reproduce_commands": [
            command_text("marbench", "reproduce", table, "--run", pasted_folder(benchmark.folders[-1]))
            for table in (comparable_tables(benchmark) if len(benchmark.folders) == 1 else ())
        ],
        "conventions": [(name, CONVENTIONS.get(name)) for name in benchmark.conventions],
        "free": [measure for measure in benchmark.measures if not measure.convention],
        "versions": _versions(benchmark),
        "version": __version__,
    }


PAGE = Page("provenance", "Provenance", _build)

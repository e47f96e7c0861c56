"""The provenance page: the benchmark in full, the machines, the commands, and how to make the page again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import marbench
from marbench.bench.spec_file import spec_toml
from marbench.metrics.conventions import CONVENTIONS
from marbench.report.benchmark import Benchmark
from marbench.report.page import Output, Page

__all__ = ["PAGE", "flat"]


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


def _build(benchmark: Benchmark, output: Output) -> Mapping[str, Any]:
    fan, grid = benchmark.spec.geometry, benchmark.spec.grid
    return {
        "toml": spec_toml(benchmark.spec),
        "geometry": [
            ("Image", f"{grid.rows} × {grid.columns} pixels of {grid.pixel:g} cm"),
            ("Detector", f"{fan.bins} bins, {fan.detector}"),
            ("Views", f"{fan.views} over a full circle"),
            ("Source to isocentre", f"{fan.source_distance:g} cm"),
            ("Spectrum", benchmark.spec.physics.spectrum),
            ("Photons per ray", f"{benchmark.spec.physics.photons:g}"),
            ("Metals", f"{benchmark.spec.metals.material}, {benchmark.spec.metals.size_groups} size groups"),
            ("Anatomy", benchmark.spec.anatomy.source),
            ("Truth", benchmark.spec.truth.image),
        ],
        "machines": [(host, flat(content)) for host, content in benchmark.hosts.items()],
        "render_command": shlex.join(["marbench", "report", *(folder.name or "." for folder in benchmark.folders)]),
        "conventions": [(name, CONVENTIONS.get(name)) for name in benchmark.conventions],
        "version": marbench.__version__,
    }


PAGE = Page("provenance", "Provenance", _build)

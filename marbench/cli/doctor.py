"""``marbench doctor``."""

from __future__ import annotations

import importlib.util
import itertools
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from marbench.cli import options

__all__ = ["command"]

_OPTIONAL = {
    "pydicom": 'DICOM slices: pip install "marbench[dicom]"',
    "nibabel": 'NIfTI slices: pip install "marbench[dicom]"',
    "h5py": 'HDF5 files: pip install "marbench[hdf5]"',
    "dask": 'run --dask: pip install "marbench[cluster]"',
    "distributed": 'run --dask: pip install "marbench[cluster]"',
    "lightning_fabric": 'marbench train: pip install "marbench[train]"',
    "triton": "the kernels on a GPU: it comes with torch's CUDA wheels",
    "torch_radon": "comparisons with that package",
}


class Finding(NamedTuple):
    """One line: what was looked at, whether all is well, what was found, and what to do."""

    what: str
    well: bool
    found: str
    advice: str = ""


@click.command("doctor")
@options.plugins_option
@click.option("--spec", default="mini", show_default=True, help="The benchmark that is to run.")
@click.pass_context
def command(ctx: click.Context, plugins: tuple[Path, ...], spec: str) -> None:
    """See whether this machine is ready, and what to do. Exit code 1 if a method is broken."""
    options.start_forking()

    import torch

    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    findings = [*_software(), *_threads(), *_gpu(), *_operators(spec, devices), *_extras(), *_methods(plugins, spec)]
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        advice = f" → {finding.advice}" if finding.advice else ""
        line = f"{'ok ' if finding.well else '!  '} {finding.what:{width}}  {finding.found}{advice}"
        click.echo(options.with_spec(line))
    ctx.exit(1 if any(not finding.well and finding.what.startswith("method ") for finding in findings) else 0)


def _software() -> Iterator[Finding]:
    from marbench.machine.host import describe_host

    host = describe_host()
    yield Finding("system", True, f"{host['system']} {host['architecture']}, Python {platform.python_version()}")
    yield Finding("packages", True, ", ".join(f"{name} {version}" for name, version in host["packages"].items()))
    yield Finding("processor", True, f"{host['cpu']}, {host['usable_cores']} usable cores, {host['memory_gb']} GB")


def _threads() -> Iterator[Finding]:
    import torch

    from marbench.machine.cores import usable_cores

    usable = usable_cores()
    threads = torch.get_num_threads()
    advice = "" if threads <= usable else f"more threads than cores slow each other down: --threads {usable}"
    yield Finding("threads", threads <= usable, f"{threads} of torch on {usable} cores", advice)
    policy = os.environ.get("OMP_WAIT_POLICY", "")
    passive = policy.upper() == "PASSIVE"
    advice = "" if passive else "waiting threads take cores from working ones: export OMP_WAIT_POLICY=PASSIVE"
    yield Finding("OMP_WAIT_POLICY", passive, policy, advice)


def _gpu() -> Iterator[Finding]:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    if names:
        yield Finding("GPU", True, f"{', '.join(names)} (CUDA {torch.version.cuda})", "use it with --device cuda")
    elif torch.version.cuda is None:
        yield Finding("GPU", True, "none: this torch is built for the CPU", "for a GPU install torch with CUDA")
    else:
        yield Finding("GPU", True, "none is visible", "if there is one, see nvidia-smi and CUDA_VISIBLE_DEVICES")


def _operators(spec: str, devices: list[str]) -> Iterator[Finding]:
    from marbench.ct import backend_for
    from marbench.ct.backends import Kind, obstacles
    from marbench.spec import load_spec

    resolved = load_spec(spec)
    kinds: tuple[Kind, ...] = ("project", "invert")
    for device, kind in itertools.product(devices, kinds):
        choice = backend_for(kind, resolved.geometry, resolved.grid, device)
        slow = choice.name == "reference"
        advice = "slow; grids and numbers of views divisible by 8 are fast" if slow else ""
        yield Finding(f"{kind} ({resolved.name}, {device})", not slow, f"{choice.name}: {choice.reason}", advice)
        for backend, why_not in obstacles(kind, resolved.geometry, resolved.grid, device).items():
            if why_not:
                yield Finding(f"  not {backend}", True, why_not)
            elif backend != choice.name:
                yield Finding(f"  or {backend}", True, "serves too, where it is asked for")


def _extras() -> Iterator[Finding]:
    for package, use in _OPTIONAL.items():
        present = importlib.util.find_spec(package) is not None
        yield Finding(package, True, "present" if present else "absent", "" if present else f"only for {use}")


def _methods(plugins: tuple[Path, ...], spec: str) -> Iterator[Finding]:
    import torch

    from marbench.bench.limits import NO_LIMITS
    from marbench.bench.producers import producer_of
    from marbench.bench.work import PRELOAD
    from marbench.machine.forkserver import shared_server
    from marbench.method.availability import is_untrained
    from marbench.method.discovery import discover
    from marbench.method.request import parse_methods
    from marbench.method.weights import training_command
    from marbench.spec import load_spec

    resolved = load_spec(spec)
    found = discover(plugins)
    for problem in found.problems:
        yield Finding("method (skipped)", False, problem, "mend its method.toml, or name another folder")
    for request in parse_methods("all", found):
        fitted = request.for_spec(resolved)
        # As a run does: in the interpreter that it asks for, and a plugin that ends its process does not end this one.
        producer = producer_of(fitted, resolved, torch.device("cpu"), NO_LIMITS, "auto", shared_server(PRELOAD))
        producer.open()
        producer.close()
        failure, what = producer.failure, f"method {request.label}"
        if failure is None:
            yield Finding(what, True, "can run")
        elif failure.status == "unavailable" and is_untrained(fitted) and not fitted.found.problems:
            # Nothing is wrong with a network that nobody has trained here.
            command = training_command(
                request.label, resolved.name, resolved.hash, fitted.request.to_train().preset, fitted.found.plugins
            )
            yield Finding(what, True, "has no weights for this benchmark", f"to train it: {command}")
        else:
            yield Finding(what, False, failure.message, "mend it, or leave it out of --methods")

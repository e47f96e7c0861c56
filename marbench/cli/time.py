"""``marbench time``."""

from __future__ import annotations

from pathlib import Path

import click

from marbench.cli import options

__all__ = ["command"]


@click.command("time")
@options.spec_option
@options.methods_option
@options.out_option
@options.plugins_option
@options.preset_option
@options.device_option
@options.timeout_option
@options.memory_option
@options.threads_option
@click.pass_context
def command(
    ctx: click.Context,
    spec: str,
    methods: str,
    out: Path | None,
    plugins: tuple[Path, ...],
    preset: str | None,
    device: str,
    timeout: float | None,
    memory: float | None,
) -> None:
    """Time methods on this machine: one after another, warmed up, on the first, the middle and the last case.

    Let nothing else run meanwhile. What was measured of them before on this machine no longer counts. Exit code: 0 all
    were timed, 1 some could not be. With --methods all, a method that cannot run here counts as no failure.
    """
    options.start_forking()

    from rich.console import Console

    from marbench.bench.limits import Limits
    from marbench.bench.options import RunOptions
    from marbench.bench.run import time_benchmark
    from marbench.cli.progress import TerminalProgress
    from marbench.cli.summary import timings_for_print
    from marbench.machine.interrupts import Interrupts
    from marbench.method.availability import why_unavailable
    from marbench.results.descriptions import read_cards
    from marbench.spec import load_spec

    resolved = load_spec(spec)
    requests = options.requested(methods, plugins, preset)
    folder = options.results_folder(out, resolved.name)
    asked = RunOptions(device=device, limits=Limits(seconds=timeout, memory_gb=memory))
    with Interrupts() as interrupts, TerminalProgress() as progress:
        timings = time_benchmark(resolved, requests, folder, asked, progress, interrupts)
    titles = {label: str(card.get("title") or label) for label, card in read_cards(folder, []).items()}
    Console().print(timings_for_print(timings, titles))
    untimed = [request for request in requests if request.label not in set(timings["method"])]
    # Whoever asks for all methods asks for those that can run here.
    if any(not (request.by_all and why_unavailable(request, resolved)) for request in untimed):
        ctx.exit(1)

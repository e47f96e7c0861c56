"""``marbench shift``."""

from __future__ import annotations

from pathlib import Path

import click

from marbench.cli import options

__all__ = ["command"]


@click.command("shift")
@options.spec_option
@options.methods_option
@click.option(
    "--axes", default="all", show_default=True, metavar="LIST", help="What changes: names separated by commas, or all."
)
@click.option("--out", type=options.UserPath(), metavar="DIR", help="Folder of the runs.  [default: runs/<spec>-shift]")
@click.option(
    "--cases",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="How many cases of the benchmark, of as many slices as there are; more than it has are all.",
)
@options.plugins_option
@options.preset_option
@options.device_option
@options.images_option
@options.timeout_option
@options.memory_option
@click.option("--retry-failed", is_flag=True, help="Try everything again that is not ok.")
@click.option("--workers", type=click.IntRange(1, 1024), metavar="N", help="Processes.  [default: as many as pay]")
@options.threads_option
@click.pass_context
def command(
    ctx: click.Context,
    spec: str,
    methods: str,
    axes: str,
    out: Path | None,
    cases: int,
    plugins: tuple[Path, ...],
    preset: str | None,
    device: str,
    images: str,
    timeout: float | None,
    memory: float | None,
    retry_failed: bool,
    workers: int | None,
) -> None:
    """See how methods hold when one thing of a benchmark changes.

    Runs the benchmark, and the same with another metal mask, tube voltage, dose, metal or geometry, each in a folder
    of its own, and writes one page with the differences. Stop it at any moment: the same command goes on. With
    --methods all, the methods run that can run on the benchmark. docs/shift.md says what the axes are. Exit code: 0 all
    results are ok, 1 some failed or a case could not be made, 2 wrong use, 130 interrupted.
    """
    options.start_forking()

    from marbench.bench.limits import Limits
    from marbench.bench.options import RunOptions
    from marbench.bench.shift import able, run_shift
    from marbench.bench.shift_axes import chosen_axes
    from marbench.cli.progress import watched
    from marbench.errors import MethodError
    from marbench.report.shift_page import render_shift
    from marbench.spec import load_spec

    base, chosen = load_spec(spec), chosen_axes(axes)
    requests = options.requested(methods, plugins, preset)
    can_run = able(requests, base)
    requests = [request for request in requests if request in can_run or not request.by_all]
    if not requests:
        raise MethodError(f"No method can run on {base.name} here: marbench list says why.")
    asked = RunOptions(
        device=device,
        spread=cases,
        images=images,  # type: ignore[arg-type]  # click checks the choice
        limits=Limits(timeout, memory, options.chosen_threads(ctx) or 1),
        retry_failed=retry_failed,
        workers=workers,
        timing=False,
        command=options.command_line(ctx),
    )
    folder = options.results_folder(out, f"{base.name}-shift")
    shift = watched(folder, lambda *told: run_shift(base, chosen, requests, folder, asked, *told))
    click.echo(f"Page: {options.shown(render_shift(shift, folder))}")
    # At other points a network may have no weights that serve; on the benchmark itself whoever was named was to run.
    named = shift.base.rows["method"].isin([request.label for request in requests if not request.by_all])
    absent = (named & (shift.base.rows["status"] == "unavailable")).any()
    if failed := [one.spec.name for one in shift.runs if one.failed or (absent and one is shift.base)]:
        click.echo(f"Some results failed in {', '.join(failed)}; the pages in their folders say why.")
        ctx.exit(1)

"""``marbench run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from marbench.cli import options

if TYPE_CHECKING:
    from marbench.bench.run import RunSummary
    from marbench.spec import Spec

__all__ = ["command"]


@click.command("run")
@options.spec_option
@options.methods_option
@options.out_option
@options.limit_option
@options.plugins_option
@options.preset_option
@options.device_option
@options.images_option
@options.timeout_option
@options.memory_option
@click.option("--retry-failed", is_flag=True, help="Try everything again that is not ok.")
@click.option(
    "--force",
    metavar="METHOD",
    multiple=True,
    help="Run a method again whatever is stored, after an interrupt from the beginning.",
)
@click.option("--workers", type=click.IntRange(1, 1024), metavar="N", help="Processes.  [default: as many as pay]")
@click.option("--dask", metavar="ADDRESS", default="", help="Let a Dask cluster work: its scheduler, or its file.")
@click.option(
    "--isolation",
    type=click.Choice(["auto", "process", "inline"]),
    default="auto",
    show_default=True,
    help="Where methods run: auto gives each plugin a process; inline helps debugging.",
)
@click.option("--shard", metavar="i/n", help="Do only part i of n; run all parts into one folder, in any order.")
@click.option("--no-timing", is_flag=True, help="Do not time the methods at the end.")
@click.option("--no-report", is_flag=True, help="Do not render the page at the end.")
@options.threads_option
@click.pass_context
def command(
    ctx: click.Context,
    spec: str,
    methods: str,
    out: Path | None,
    limit: int | None,
    plugins: tuple[Path, ...],
    preset: str | None,
    device: str,
    images: str,
    timeout: float | None,
    memory: float | None,
    retry_failed: bool,
    force: tuple[str, ...],
    workers: int | None,
    dask: str,
    isolation: str,
    shard: str | None,
    no_timing: bool,
    no_report: bool,
) -> None:
    """Run methods on a benchmark and publish the comparison.

    Results that the folder holds already are not computed again: stop it at any moment, and the same command goes on.
    Exit code: 0 all results are ok, 1 some failed or a case could not be made, 2 wrong use, 130 interrupted. With
    --methods all, a method that lacks weights, a package or a device here is named and counts as no failure.
    """
    options.start_forking()

    from marbench.bench.limits import Limits
    from marbench.bench.options import RunOptions
    from marbench.bench.plan import Shard
    from marbench.bench.run import run_benchmark
    from marbench.cli.progress import watched
    from marbench.errors import is_absence
    from marbench.spec import load_spec

    resolved = load_spec(spec)
    requests = options.requested(methods, plugins, preset)
    asked = RunOptions(
        device=device,
        limit=limit,
        images=images,  # type: ignore[arg-type]  # click checks the choice
        limits=Limits(timeout, memory, options.chosen_threads(ctx) or 1),
        isolation=isolation,  # type: ignore[arg-type]
        retry_failed=retry_failed,
        force=force,
        workers=workers,
        dask=dask,
        shard=Shard.parse(shard) if shard else None,
        timing=not no_timing,
        command=options.command_line(ctx),
    )
    folder = options.results_folder(out, resolved.name)
    finished = watched(folder, lambda *told: run_benchmark(resolved, requests, folder, asked, *told))
    _print_result(finished, resolved, folder)
    if no_report:
        click.echo(f"Results: {options.shown(folder)}. Render the page with: marbench report {options.quoted(folder)}")
    else:
        from marbench.report.pages import render

        click.echo(f"Page: {options.shown(render(folder))}")
    failed = finished.rows[finished.rows["status"] != "ok"]
    # Whoever asks for all methods asks for those that can run here: without its weights, say, one has not failed.
    by_all = failed["method"].isin([request.label for request in requests if request.by_all])
    is_absent = (failed["status"] == "unavailable") & failed["error_kind"].map(is_absence).astype(bool)
    for message in failed.loc[by_all & is_absent, "message"].unique():
        click.echo(options.with_spec(f"Not run: {message}"))
    failed = failed[~(by_all & is_absent)]
    if len(failed):
        for method, message in failed.groupby("method", sort=False)["message"].first().items() if no_report else ():
            click.echo(options.with_spec(f"{method}: {message}"))
        why = "" if no_report else "; the page says why"
        click.echo(f"Some results failed{why}. Once mended, repeat the command with --retry-failed.")
    if len(finished.faults):
        first = finished.faults.iloc[0]
        count, why = len(finished.faults), f"{first['case_id']}: {first['message']}"
        click.echo(f"Cases that could not be made, and on which no method ran: {count}. {why}")
    if len(failed) or len(finished.faults):
        ctx.exit(1)


def _print_result(finished: RunSummary, spec: Spec, folder: Path) -> None:
    from rich.console import Console

    from marbench.cli.summary import summary_table, time_line
    from marbench.results.descriptions import read_cards

    console = Console()
    console.print(summary_table(finished.rows, spec, read_cards(folder, []), console.width))
    click.echo(time_line(finished))

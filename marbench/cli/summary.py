"""What a run says at its end: mean scores by method and size group, and where the time went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd

    from marbench.bench.run import RunSummary
    from marbench.spec import Spec

__all__ = ["summary_table", "time_line", "timing_table"]


def summary_table(rows: pd.DataFrame, spec: Spec) -> Table:
    """Return mean PSNR and SSIM of the first convention, by method and metal-size group, the best method first."""
    convention = spec.metrics.conventions[0]
    psnr, ssim = f"psnr[{convention}]", f"ssim[{convention}]"
    groups = sorted(rows["size_group"].unique().tolist())
    table = Table(title=f"{escape(spec.title)}: PSNR (dB) above SSIM, {escape(convention)}; metals from large to small")
    table.add_column("method")
    for group in groups:
        table.add_column(f"group {group}", justify="right")
    table.add_column("all", justify="right")
    table.add_column("ok", justify="right")
    good = rows[rows["status"] == "ok"]
    means = good.groupby("method")[psnr].mean()
    for method in sorted(rows["method"].unique().tolist(), key=lambda name: (-means.get(name, -1e9), name)):
        own = good[good["method"] == method]
        cells = [_cell(own[own["size_group"] == group], psnr, ssim) for group in groups]
        total = int((rows["method"] == method).sum())
        table.add_row(escape(method), *cells, _cell(own, psnr, ssim), f"{len(own)}/{total}")
    return table


def time_line(finished: RunSummary) -> str:
    """Return where the time went, in one line."""
    spent = finished.stopwatch.spent
    parts = ", ".join(
        f"{what} {spent[what]:.1f} s" for what in ("simulation", "methods", "scoring", "storing", "timing")
    )
    shared = f" (over {finished.workers} workers)" if finished.workers > 1 else ""
    return f"{finished.new} new results in {finished.stopwatch.total:.1f} s: {parts}{shared}"


def timing_table(timings: pd.DataFrame) -> Table:
    """Return the median and the quartiles of the seconds per call, by method and hardware."""
    table = Table(title="Milliseconds per case; the middle half of the calls in brackets")
    for column in ("method", "device", "hardware", "threads"):
        table.add_column(column)
    for column in ("median", "peak MB", "parameters"):
        table.add_column(column, justify="right")
    for group, rows in timings.groupby(["method", "device", "device_name", "threads", "host_id"]):
        method, device, hardware, threads, _ = map(str, group)
        low, median, high = 1000 * rows["seconds"].quantile([0.25, 0.5, 0.75])
        parameters = rows["parameters"].max()
        table.add_row(
            escape(method),
            device,
            escape(hardware),
            threads,
            f"{median:.1f} [{low:.1f}, {high:.1f}]",
            f"{rows['peak_mb'].max():.0f}",
            "–" if parameters != parameters else f"{parameters:.0f}",
        )
    return table


def _cell(rows: pd.DataFrame, psnr: str, ssim: str) -> str:
    return f"{rows[psnr].mean():.2f}\n{rows[ssim].mean():.3f}" if len(rows) else "–"

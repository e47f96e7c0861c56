"""``marbench train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from marbench.cli import options

if TYPE_CHECKING:
    from marbench.method.request import MethodRequest

__all__ = ["command"]


@click.command("train")
@click.argument("method")
@options.spec_option
@click.option("--preset", metavar="NAME", help="A preset of the method.  [default: its first one]")
@click.option(
    "--hours",
    type=options.FiniteRange(min=0, min_open=True),
    metavar="H",
    help="Train for this long; waiting for cases does not count.",
)
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="Train for this many steps.")
@click.option("--out", type=options.UserPath(), metavar="DIR", help="[default: runs/train/<method>-<preset>-<spec>]")
@options.plugins_option
@options.device_option
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of networks and cases.")
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    metavar="N",
    help="Simulating processes of a rank.  [default: one for each core, as far as memory goes]",
)
@click.option("--batch", type=click.IntRange(min=1), default=8, show_default=True, metavar="B", help="Cases per step.")
@click.option("--pool", type=click.IntRange(min=1), metavar="N", help="Cases to hold at a time.  [default: by device]")
@click.option(
    "--scenes", type=options.FiniteRange(0, 1), default=0.5, show_default=True, help="Share of random scenes."
)
@click.option("--start-from", metavar="FILE|SPEC", help="Begin from weights: a safetensors file, or a benchmark's.")
@click.option(
    "--learning-rate-factor",
    type=options.FiniteRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    metavar="F",
    help="Multiplies the method's learning rates; small where --start-from is to be refined.",
)
@click.option("--precision", metavar="32-true|bf16-mixed", help="[default: the faster one on this machine]")
@click.option("--no-install", is_flag=True, help="Leave the weights in the folder only.")
@options.threads_option
def command(
    method: str,
    spec: str,
    preset: str | None,
    hours: float | None,
    steps: int | None,
    out: Path | None,
    plugins: tuple[Path, ...],
    device: str,
    seed: int,
    workers: int | None,
    batch: int,
    pool: int | None,
    scenes: float,
    start_from: str | None,
    learning_rate_factor: float,
    precision: str | None,
    no_install: bool,
) -> None:
    """Train METHOD, e.g. dudonet or 'dudonet[variant=E]', on cases simulated while it trains.

    Stop it at any moment: the same command goes on. For several GPUs start it with torchrun and --device cuda.
    Simulated cases are kept in MARBENCH_CACHE (or your cache folder), where other trainings find them, until none has
    used them for a month.
    """
    from marbench.cases.sources import bind
    from marbench.learning.artefact import artefact_name
    from marbench.learning.feeder import default_workers
    from marbench.learning.ranks import ranks_here
    from marbench.learning.recipe import Recipe, faster_precision, pool_sizes, stored_recipe
    from marbench.learning.start import start_and_name
    from marbench.learning.training import train
    from marbench.machine.devices import device_of
    from marbench.spec import load_spec

    place = device_of(device)
    resolved = bind(load_spec(spec))
    request = _one_method(method, plugins, preset)
    folder = out or Path("runs").absolute() / "train" / artefact_name(request.label, request.preset, resolved.name)
    # What the machine decides is decided once: a run that goes on keeps it.
    stored: dict[str, Any] = stored_recipe(folder)
    sizes = pool_sizes(resolved, device, pool, steps and steps * batch)
    start, begun = start_and_name(start_from, request, stored.get("start")) if start_from else (None, None)
    if begun and start is None:
        click.echo(f"--start-from {start_from}: not read, the training goes on from its checkpoint.", err=True)
    if pool is None or stored.get("pool_blocks") == sizes["pool_blocks"]:
        sizes = {name: stored.get(name, value) for name, value in sizes.items()}
    recipe = Recipe.of(
        request,
        resolved,
        seed=seed,
        hours=hours,
        steps=steps,
        batch=batch,
        mix={"spec": 1 - scenes, "scenes": scenes},
        learning_rate_factor=learning_rate_factor,
        start=begun,
        precision=precision or stored.get("precision") or faster_precision(place),
        **sizes,
    )
    train(
        request,
        resolved,
        recipe,
        folder,
        start=start,
        device=device,
        workers=workers if workers is not None else default_workers(ranks_here()),
        installed=not no_install,
        note=lambda line: click.echo(line, err=True),
    )


def _one_method(method: str, plugins: tuple[Path, ...], preset: str | None) -> MethodRequest:
    """Return the method to train, with its preset."""
    from marbench.method.request import only_one, parse_methods

    return only_one(parse_methods(method, plugins, preset), "Methods are trained one at a time").to_train()

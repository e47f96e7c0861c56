"""The process of one method: it loads the method, is given scans, and gives back images or why there is none.

What it receives comes from marbench; what it sends is read as data of a stranger. It never holds a truth.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter

from marbench.bench.calls import call_method, seed_of
from marbench.bench.limits import limit_memory
from marbench.bench.outcome import Failure, Outcome, describe
from marbench.bench.parameters import parameter_count
from marbench.cases.case import Scan
from marbench.errors import MethodError
from marbench.machine.channel import Channel, ChannelClosed
from marbench.machine.generators import seed_generators
from marbench.machine.interrupts import Interrupted
from marbench.machine.memory import release_free_memory
from marbench.machine.threads import set_threads
from marbench.method.discovery import MethodEntry
from marbench.method.request import FittedMethod, LoadedMethod, MethodRequest, load_method
from marbench.method.weights import WeightsSearch
from marbench.results.rows import Status
from marbench.spec import Spec

__all__ = ["FIELDS", "describe_load", "fitted_from", "fitted_message", "serve"]

FIELDS = ("sinogram", "metal_mask", "metal_trace", "image")

_ENTRY, _FOUND = TypeAdapter(MethodEntry), TypeAdapter(WeightsSearch)


def fitted_message(fitted: FittedMethod) -> dict[str, Any]:
    """Return a method as JSON, so that an interpreter with other versions of libraries can take it."""
    request = fitted.request
    return {
        "entry": _ENTRY.dump_python(request.entry, mode="json"),
        "parameters": dict(request.parameters),
        "preset": request.preset,
        "found": _FOUND.dump_python(fitted.found, mode="json"),
    }


def fitted_from(message: dict[str, Any]) -> FittedMethod:
    """Return the method of a message."""
    entry = _ENTRY.validate_python(message["entry"])
    found = _FOUND.validate_python(message["found"])
    return FittedMethod(MethodRequest(entry, message["parameters"], message["preset"]), found)


def describe_load(error: BaseException, fitted: FittedMethod) -> Failure:
    """Return why a method could not be loaded."""
    # What the plugin raised says more than what was made of it, but for messages that were written for the user.
    cause = error.__cause__ if isinstance(error, MethodError) and error.__cause__ else error
    said = describe(cause, fitted.request.entry.home)
    status: Status = "oom" if said.status == "oom" else "unavailable"
    message = describe(error).message if isinstance(error, MethodError) else said.message
    return Failure(status, said.error_kind, message, said.trace)


def serve(channel: Channel) -> None:
    """Load the method that the first message names, then answer calls until the channel is closed."""
    own_pid = os.getpid()
    # The first message comes from marbench itself, before any code of the plugin has run.
    # Without a line to the world a plugin that forks, and returns twice, cannot answer twice.
    os.register_at_fork(after_in_child=channel.close)
    opening, _ = channel.receive()
    set_threads(opening["threads"])
    limit_memory(opening["memory_gb"])
    os.environ["TMPDIR"] = tempfile.tempdir = opening["scratch"]
    fitted, device = fitted_from(opening["method"]), torch.device(opening["device"])
    try:
        # What a method draws while it loads is the same in every process that it ever has.
        seed_generators(seed_of(fitted.label, ""))
        loaded = load_method(fitted, Spec.model_validate(opening["spec"]), device)
    except BaseException as error:  # sys.exit() in a plugin is a failure to load, not an end in order
        _answer(channel, own_pid, {"failure": dataclasses.asdict(describe_load(error, fitted))})
        return
    _answer(channel, own_pid, {"parameters": _parameters(loaded)})
    while True:
        try:
            call, arrays = channel.receive()
        except ChannelClosed:
            return
        if call["tidy"]:
            release_free_memory()
        outcome = _call(loaded, device, call["seed"], arrays)
        described = {
            "call": call["call"],
            "seconds": outcome.seconds,
            "peak_mb": outcome.peak_mb,
            "failure": dataclasses.asdict(outcome.failure) if outcome.failure else None,
        }
        _answer(channel, own_pid, described, {} if outcome.image is None else {"image": outcome.image})


def _parameters(loaded: LoadedMethod) -> int | None:
    try:
        return parameter_count(loaded.method)
    except Exception:  # attributes of a plugin may be anything
        return None


def _call(loaded: LoadedMethod, device: torch.device, seed: int, arrays: dict[str, np.ndarray[Any, Any]]) -> Outcome:
    home = loaded.fitted.request.entry.home
    try:
        scan = Scan(*(torch.from_numpy(arrays[name]) for name in FIELDS))
        return call_method(loaded.method, scan, device, seed, home, alone=True)
    # Signals end this process, so that it is the plugin that has raised an interrupt; and a scan that came through the
    # channel is none only to a torch in which the plugin has replaced something.
    except (Interrupted, Exception) as error:
        return Outcome(failure=describe(error, home))


def _answer(
    channel: Channel, pid: int, header: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]] | None = None
) -> None:
    if os.getpid() != pid:  # a copy of this process that a plugin has forked
        os._exit(0)
    channel.send(header, arrays)

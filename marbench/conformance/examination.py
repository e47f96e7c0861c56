"""All checks of one method, in an order in which one that fails explains those after it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from marbench.bench.calls import own_state, seed_of
from marbench.bench.limits import Limits
from marbench.bench.outcome import Failure, Outcome, describe
from marbench.bench.producers import Producer, producer_of
from marbench.bench.work import PRELOAD
from marbench.conformance.inside import CHECKS, check_inside, difference, guarded, tolerance
from marbench.conformance.learned import check_training, check_weights, untrained
from marbench.conformance.plausible import check_plausible
from marbench.conformance.specimens import Specimens
from marbench.conformance.verdict import Finding, failed, ok, skipped
from marbench.errors import is_absence
from marbench.machine.forkserver import shared_server
from marbench.machine.text import few
from marbench.method.fingerprint import is_uncounted, local_packages, own_files
from marbench.method.images import Image
from marbench.method.request import FittedMethod, MethodRequest, load_method

__all__ = ["Examination"]

_State = tuple[int, int]

_ELSEWHERE = "it runs in an interpreter of its own"
_ADVICE = {
    "unavailable": "mend it; marbench show NAME prints what the card says",
    "invalid": "return one image per scan, (batch, rows, columns), in HU",
    "timeout": "wait longer with --timeout, or do less in a call",
    "oom": "use less memory: marbench calls it with one case at a time",
    "crashed": "marbench run --isolation inline keeps it in marbench's process, for a debugger",
    "error": "mend the line that it names",
}


class Examination:
    """A method under examination; its processes end with it."""

    def __init__(
        self, request: MethodRequest, home: Specimens, elsewhere: Specimens, device: torch.device, limits: Limits
    ) -> None:
        self._request, self._home, self._elsewhere = request, home, elsewhere
        self._device, self._limits = device, limits
        self._stack = ExitStack()
        self._is_trained = True

    def __enter__(self) -> Examination:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def findings(self) -> Iterator[Finding]:
        """Yield what every check finds, in an order in which one that fails explains those after it."""
        yield self._card()
        entry = self._request.entry
        files, modules, local = _states(entry.folder), set(sys.modules), local_packages(entry.module, entry.folder)
        fitted, producer = self._opened(self._request.for_spec(self._home.spec), self._home)
        if producer.failure is not None:
            yield self._failed("load", producer.failure)
            return
        yield ok("load", "in a process of its own")
        yield check_weights(fitted, self._home.spec, self._is_trained)
        outcomes = [producer.produce(case, tidy=True) for case in self._home.cases]
        images = [outcome.image for outcome in outcomes if outcome.image is not None]
        if len(images) < len(outcomes):
            yield self._without_image(outcomes)
            return
        yield ok("image", f"{len(images)} of shape {images[0].shape}, finite")
        plausible = self._plausible(images)
        yield plausible
        yield self._repeated(producer, images)
        yield from self._inside(fitted, images)
        if plausible.outcome == "failed":
            yield skipped("geometry", "to be seen once all is well in this one")
        else:
            yield self._other_geometry(fitted)
        yield self._other_device(fitted)
        yield self._training()
        yield self._files(files, modules, local)
        yield _cost(outcomes)

    @property
    def _in_this_interpreter(self) -> bool:
        return not self._request.entry.card.own_interpreter

    def _failed(self, check: str, failure: Failure) -> Finding:
        advice = _ADVICE[failure.status]
        if failure.status == "crashed" and not self._in_this_interpreter:
            advice = "try its code in that interpreter by hand"
        return failed(check, f"{failure.status}: {failure.message}", advice)

    def _card(self) -> Finding:
        card = self._request.entry.card
        if self._request.entry.folder is None:
            return skipped("card", "a single file has none")
        blank = [key for key in ("title", "summary") if not getattr(card, key).strip()]
        if blank:
            return failed("card", f"{' and '.join(blank)} of method.toml are empty", "tables and pages print them")
        empty = [key for key in ("authors", "cite", "url", "year", "licence") if not getattr(card, key)]
        return ok("card", f"{card.title}, {card.domain}" + (f"; without {', '.join(empty)}" if empty else ""))

    def _opened(self, fitted: FittedMethod, where: Specimens) -> tuple[FittedMethod, Producer]:
        """Return the method in a process of its own; where it only lacks weights, with those that it begins with."""
        producer = self._start(fitted, where)
        lacks = producer.failure is not None and is_absence(producer.failure.error_kind)
        if not lacks or fitted.found.file is not None or not self._in_this_interpreter:
            return fitted, producer
        try:
            begun = untrained(self._request, where.spec, self._folder, self._limits.seconds)
        except Exception as error:
            producer.failure = describe(error, self._request.entry.home)
            return fitted, producer
        if begun is None:
            return fitted, producer
        self._is_trained = False
        return begun, self._start(begun, where)

    def _start(self, fitted: FittedMethod, where: Specimens, device: torch.device | None = None) -> Producer:
        server = shared_server(PRELOAD)
        producer = producer_of(fitted, where.spec, device or self._device, self._limits, "process", server)
        self._stack.callback(producer.close)
        producer.open()
        return producer

    def _without_image(self, outcomes: Sequence[Outcome]) -> Finding:
        failures = [
            (case.id, outcome.failure)
            for case, outcome in zip(self._home.cases, outcomes, strict=True)
            if outcome.failure is not None
        ]
        case_id, first = failures[0]
        finding = self._failed("image", first)
        return failed("image", f"{len(failures)} of {len(outcomes)} cases; {case_id}: {finding.found}", finding.advice)

    def _plausible(self, images: Sequence[Image]) -> Finding:
        if not self._is_trained:
            return skipped("plausible", "its networks are not trained")
        # Of large metal even a good method may leave little.
        small = slice(1, None) if len(images) > 1 else slice(None)
        return check_plausible(self._home.cases[small], images[small])

    def _repeated(self, producer: Producer, images: Sequence[Image]) -> Finding:
        """Call it again with what it has seen, after other scans, from the same seeds."""
        again = [producer.produce(case).image for case in self._home.cases[:2]]
        apart = max(
            np.inf if one is None else difference(one, before) for one, before in zip(again, images, strict=False)
        )
        if apart > tolerance(self._device):
            found = f"the same scan and seed gave images that differ by up to {apart:.3g} HU"
            advice = "keep nothing from call to call, and draw from the generators of torch, numpy.random or random"
            return failed("repeat", found, advice)
        return ok("repeat", "the same scan gives the same image" + ("" if apart else ", to the bit"))

    def _inside(self, fitted: FittedMethod, images: Sequence[Image]) -> Iterator[Finding]:
        if not self._in_this_interpreter:
            yield from (skipped(name, _ELSEWHERE) for name in CHECKS)
            return
        try:
            with guarded(self._limits.seconds), own_state(seed_of(fitted.label, "")):
                loaded = load_method(fitted, self._home.spec, self._device)
        except Exception as error:
            yield failed("isolation", f"cannot be loaded here, but in its own process: {error}", _ADVICE["error"])
            return
        yield from check_inside(loaded, self._home.cases, images, self._device, self._limits.seconds)

    def _other_geometry(self, home: FittedMethod) -> Finding:
        """Try it where nothing has the size that it has at home."""
        name, where = "geometry", self._elsewhere
        fitted = self._request.for_spec(where.spec)
        if self._is_trained and home.found.file is not None and fitted.found.file is None:
            return skipped(name, f"its weights are for the geometry of {home.found.file.card.spec} alone")
        _, producer = self._opened(fitted, where)
        outcome = producer.produce(where.cases[0])
        if outcome.failure is not None:
            wrong = [outcome.failure.message]
        elif outcome.image is not None and self._is_trained:
            finding = check_plausible(where.cases, [outcome.image])
            wrong = [finding.found] if finding.outcome == "failed" else []
        else:
            wrong = []
        geometry = f"{where.spec.geometry.views} views, {where.spec.grid.rows} × {where.spec.grid.columns} pixels"
        if wrong:
            advice = "take sizes from the scan and from self.context.geometry and .grid, never from one benchmark"
            return failed(name, f"{geometry}: {wrong[0]}", advice)
        return ok(name, f"{geometry} as well")

    def _other_device(self, fitted: FittedMethod) -> Finding:
        """Try it on a GPU as well, or, of a check on a GPU, on the CPU."""
        name, other = "device", torch.device("cuda" if self._device.type == "cpu" else "cpu")
        if other.type == "cuda" and not torch.cuda.is_available():
            return skipped(name, "there is no GPU here")
        producer = self._start(fitted, self._home, other)
        if producer.failure is not None:
            return self._failed(name, producer.failure)
        case = self._home.cases[-1]
        outcome = producer.produce(case)
        if outcome.image is None:
            assert outcome.failure is not None  # there is one of the two
            return self._failed(name, outcome.failure)
        # Random numbers and rounding differ from device to device: images are not compared, but looked at.
        finding = check_plausible([case], [outcome.image]) if self._is_trained else ok(name, "")
        if finding.outcome == "failed":
            return failed(name, f"on {other}: {finding.found}", "make every tensor on self.context.device")
        return ok(name, f"on {other} as well")

    def _training(self) -> Finding:
        if not self._in_this_interpreter:
            return skipped("training", _ELSEWHERE)
        return check_training(self._request, self._home.spec, self._home.cases[-2:], self._limits.seconds)

    def _files(self, before: Mapping[str, _State], modules: Container[str], local: Container[str]) -> Finding:
        """See that results stay those of what the plugin is made of."""
        entry = self._request.entry
        after, home = _states(entry.folder), entry.folder or entry.module
        written = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        if written:
            found = f"it wrote {few(written, 3)} into its own folder: every run would be another version"
            return failed("files", found, "write to tempfile.gettempdir() or a cache of the user's")
        if not self._in_this_interpreter:
            return ok("files", "its folder stays as it is")
        loaded = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
        strange = sorted(
            name
            for name, file in loaded.items()
            if name.partition(".")[0] not in modules
            and isinstance(file, str)
            and is_uncounted(name, Path(file), home, local)
        )
        if strange:
            found = f"it imports {few(strange, 3)} from elsewhere: results of another version would pass for its own"
            return failed("files", found, "put them into the plugin's folder, or install them")
        return ok("files", "what it is made of lies in its folder or is installed, and stays as it is")


def _states(folder: Path | None) -> dict[str, _State]:
    """Return size and time of every file that counts; of a single file nothing beside it does."""
    found = own_files(folder) if folder is not None else ()
    states = {name: path.stat() for name, path in found}
    return {name: (state.st_size, state.st_mtime_ns) for name, state in states.items()}


def _cost(outcomes: Sequence[Outcome]) -> Finding:
    seconds = float(np.median([outcome.seconds for outcome in outcomes]))
    told = [outcome.peak_mb for outcome in outcomes if not np.isnan(outcome.peak_mb)]
    memory = f"at most {max(told):.0f} MB beyond what it holds" if told else "its memory is not known"
    return ok("cost", f"{seconds:.3g} s a case, {memory}")

"""Work: what a worker is told to do, and what it tells back. Both can be pickled, and hold ids, never arrays.

`do` is a function of the work alone: the same rows, bit for bit, whoever runs it, in whichever order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace

from marbench.anatomy.slices import Split
from marbench.bench.limits import NO_LIMITS, Limits
from marbench.bench.outcome import Failure, Outcome, describe
from marbench.bench.plan import Task, Unit
from marbench.bench.producers import Isolation, Producer, producer_of
from marbench.bench.stopwatch import Stopwatch
from marbench.cases.case import CaseSource
from marbench.cases.digest import case_digest
from marbench.cases.opening import open_cases
from marbench.machine.devices import device_of
from marbench.machine.forkserver import ForkServer, shared_server
from marbench.machine.host import describe_host, host_id
from marbench.machine.interrupts import Interrupted
from marbench.machine.memory import release_free_memory
from marbench.machine.threads import threads
from marbench.method.request import FittedMethod
from marbench.metrics.measure import measures_of
from marbench.metrics.scoring import Scorer
from marbench.results.images import case_picture, method_picture
from marbench.results.rows import Key, Row, properties
from marbench.spec import PROTOCOL, Spec

__all__ = ["PRELOAD", "Began", "Conditions", "Ended", "Event", "HostSeen", "Result", "Session", "Work", "do", "row_of"]

# What the processes of methods and of workers import: once, in the server that they are forked from.
PRELOAD = ("marbench.bench.child", "marbench.bench.worker")


@dataclass(frozen=True)
class Conditions:
    """On what, where and how methods are called: the same for all work of a run.

    Attributes
    ----------
    spec : Spec
    methods : tuple of FittedMethod
    device : str
    limits : Limits
    isolation : str
        See `marbench.bench.producers.producer_of`.
    pictures : frozenset of str
        The cases whose pictures are wanted.
    split : str
        Which cases: those to test with, but where a method is being made.
    """

    spec: Spec
    methods: tuple[FittedMethod, ...]
    device: str = "cpu"
    limits: Limits = NO_LIMITS
    isolation: Isolation = "auto"
    pictures: frozenset[str] = frozenset()
    split: Split = "test"


@dataclass(frozen=True)
class Work:
    """A unit of a run.

    Attributes
    ----------
    suspects : frozenset of str
        Labels of methods during whose calls a worker has ended: they get processes of their own.
    scratch : str
        Where a worker process writes for a while: it may be killed, and whoever started it removes that.
    """

    conditions: Conditions
    unit: Unit
    suspects: frozenset[str] = frozenset()
    scratch: str = ""


@dataclass(frozen=True)
class Began:
    """A call, or with an empty case id the loading of a method, begins."""

    key: Key


@dataclass(frozen=True)
class Ended:
    """The loading of a method has ended; a call ends with its `Result`."""

    key: Key


@dataclass(frozen=True)
class HostSeen:
    """The machine on which the results that follow come about."""

    id: str
    description: Mapping[str, object]


@dataclass(frozen=True, eq=False)
class Result:
    """A row, the files that belong to it by their name below ``images/``, and where the time went."""

    row: Row
    files: Mapping[str, bytes] = field(default_factory=dict)
    spent: Mapping[str, float] = field(default_factory=dict)


# In the order in which they come about: whoever reads them knows at any moment what a worker is doing, so that its end
# can be laid to a call.
Event = Began | Ended | HostSeen | Result


class Session:
    """What a worker keeps between units: simulated slices, loaded methods, a server of processes.

    Parameters
    ----------
    conditions : Conditions
    server : ForkServer, optional
        Starts the processes of methods; by default the one that this process shares.
    producers : mapping, optional
        Of methods that are there already, by (label, whether it is suspect).
    suite : CaseSource, optional
        Where the cases come from; by default from the benchmark, which knows nothing of a folder that was exported.
    """

    def __init__(
        self,
        conditions: Conditions,
        server: ForkServer | None = None,
        producers: Mapping[tuple[str, bool], Producer] | None = None,
        suite: CaseSource | None = None,
    ) -> None:
        self.conditions = conditions
        self.device = device_of(conditions.device)
        self.suite = suite or open_cases(conditions.spec, conditions.split, self.device)
        self.spec_hash = conditions.spec.hash
        self.server = server or shared_server(PRELOAD)
        self.host = describe_host()
        self.host_id = host_id(self.host)
        self._producers: dict[tuple[str, bool], Producer] = dict(producers or {})
        self._methods = {fitted.label: fitted for fitted in conditions.methods}
        self._too_large: set[str] = set()

    def method(self, label: str) -> FittedMethod:
        """Return a method of the run."""
        return self._methods[label]

    def producer(self, label: str, suspect: bool = False) -> Producer:
        """Return the producer of a method; of a suspect one in a process of its own."""
        # A method may become a suspect while it is open inline: then it is loaded a second time, elsewhere.
        key = (label, suspect)
        if key not in self._producers:
            asked = self.conditions
            isolation: Isolation = "process" if suspect else asked.isolation
            self._producers[key] = producer_of(
                self._methods[label], asked.spec, self.device, asked.limits, isolation, self.server
            )
        return self._producers[key]

    def attempt(self, label: str, suspect: bool, act: Callable[[Producer], Outcome]) -> Outcome:
        """Let a method act; one that ran out of memory once more, after all others have let go of what they hold.

        On a GPU torch keeps in each process what it has once used there; and of the processes of a machine that is full
        the system kills the one that it likes.
        """
        outcome = act(self.producer(label, suspect))
        if label not in self._too_large and self._lacks_room(outcome):
            outcome = act(self._alone(label, suspect))
            if self._lacks_room(outcome):
                self._too_large.add(label)  # its next cases would cost all others their loading, for nothing
        return outcome

    def _lacks_room(self, outcome: Outcome) -> bool:
        failure = outcome.failure
        if failure is None or failure.status != "oom":
            return False
        return self.device.type == "cuda" or failure.error_kind == "SIGKILL"

    def _alone(self, label: str, suspect: bool) -> Producer:
        """Return the producer of a method after all others were closed; a new one, where it could not be loaded."""
        own = self._producers.pop((label, suspect))
        for other in self._producers.values():
            other.close()
        release_free_memory()
        if not (own.is_open and own.failure is not None):
            self._producers[label, suspect] = own
        return self.producer(label, suspect)

    def row(self, task: Task, label: str, outcome: Outcome) -> Row:
        """Return the row of a call here; without a label that of a case that could not be made."""
        fitted = self._methods[label] if label else None
        where = {"spec_hash": self.spec_hash, "device": self.conditions.device, "host": self.host_id}
        return row_of(task, self.suite.places[task.index], fitted, outcome, **where)

    def close(self) -> None:
        """End the processes of methods."""
        for producer in self._producers.values():
            producer.close()
        self._producers = {}


def do(work: Work, session: Session) -> Iterator[Event]:
    """Yield what comes of a unit: each case is simulated once, and every method that still needs it runs on it.

    Raises
    ------
    Interrupted
    """
    yield HostSeen(session.host_id, session.host)
    # The number is one of the process, so it is given back: a notebook or the timing wants its own.
    with threads(session.conditions.limits.threads):
        for task in work.unit.tasks:
            # Methods are opened before the case is made: where none can run there is nothing to simulate.
            ready = []
            for label in task.attempts:
                producer = session.producer(label, label in work.suspects)
                if not producer.is_open:
                    loading = Key(label, session.method(label).hash, "")
                    yield Began(loading)
                    session.attempt(label, label in work.suspects, _opened)
                    producer = session.producer(label, label in work.suspects)
                    yield Ended(loading)
                if producer.failure is None:
                    ready.append(label)
                else:
                    yield Result(session.row(task, label, Outcome(failure=producer.failure)))
            if ready:
                yield from _do_case(task, ready, work, session)


def _opened(producer: Producer) -> Outcome:
    producer.open()
    return Outcome(failure=producer.failure)


def _do_case(task: Task, labels: list[str], work: Work, session: Session) -> Iterator[Event]:
    spent = Stopwatch()
    try:
        with spent.of("simulation"):
            case = session.suite[task.index]
        with spent.of("scoring"):
            scorer = Scorer(case, measures_of(work.conditions.spec.metrics.conventions), work.conditions.spec)
    except Interrupted:
        raise
    except Exception as error:  # damaged data end this case, not the run, and are no fault of a method
        yield Result(session.row(task, "", Outcome(failure=replace(describe(error), status="error"))))
        return
    wanted = case.id in work.conditions.pictures
    # The digest is taken before any method is called: it says what the methods were given.
    with spent.of("scoring"):
        known = {**properties(case.info), "case_digest": case_digest(case)}
    files = case_picture(case, scorer.regions) if wanted else {}
    for label in labels:
        key = Key(label, session.method(label).hash, case.id)
        yield Began(key)
        # With the way to another process and back; the time in the row is the method's own.
        with spent.of("methods"):
            outcome = session.attempt(label, label in work.suspects, lambda producer: producer.produce(case))
        with spent.of("scoring"):
            scores = {} if outcome.image is None else scorer.score(outcome.image)
        if wanted and outcome.image is not None:
            with spent.of("storing"):
                files |= method_picture(key, outcome.image)
        row = replace(session.row(task, label, outcome), **known, scores=scores)
        # The picture of the case goes with its first row, and no row comes before its pictures.
        yield Result(row, files, spent.taken())
        files = {}


def row_of(
    task: Task, place: int, fitted: FittedMethod | None, outcome: Outcome, *, spec_hash: str, device: str, host: str
) -> Row:
    """Return the row of a call, as far as it is known without the case; without a method that of the case itself.

    ``place`` is where the case stands in the benchmark, see `marbench.cases.case.CaseSource.places`.
    """
    failure = outcome.failure or Failure("ok", "", "")
    label = fitted.label if fitted else ""
    return Row(
        spec_hash=spec_hash,
        protocol=PROTOCOL,
        method=label,
        method_hash=fitted.hash if fitted else "",
        preset=(fitted.request.preset if fitted else None) or "",
        **asdict(task.case),
        case_index=place,
        # NaN where there was no call.
        seconds=outcome.seconds,
        peak_mb=outcome.peak_mb,
        device=device,
        host_id=host,
        attempt=task.attempts.get(label, 1),
        status=failure.status,
        error_kind=failure.error_kind,
        message=failure.message,
        trace=failure.trace,
    )

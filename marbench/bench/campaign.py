"""What a run is about: a benchmark, methods, a folder; and what of it is still to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import pandas as pd

from marbench.bench.options import RunOptions
from marbench.bench.plan import Stored, Unit, cases_of, plan
from marbench.bench.spread import spread
from marbench.bench.work import Conditions
from marbench.cases.case import CaseSource
from marbench.cases.info import CaseKey
from marbench.cases.opening import open_cases
from marbench.cases.sources import check_cases
from marbench.errors import DataError, MethodError, nearest
from marbench.machine.devices import device_of
from marbench.machine.host import describe_host, host_id
from marbench.method.discovery import Discovery
from marbench.method.request import FittedMethod, MethodRequest, parse_methods
from marbench.metrics.measure import measures_of
from marbench.results.images import Gallery, wanted_cases
from marbench.results.representative import telling_of_run
from marbench.results.rows import Key
from marbench.results.store import Store
from marbench.spec import Spec, refuse_borrowed_name

__all__ = [
    "Campaign",
    "changed_methods",
    "pending",
    "pending_pictures",
    "prepare",
    "register",
    "rows_of",
    "with_telling_cases",
]


@dataclass(frozen=True, eq=False)
class Campaign:
    """What a run is about; nothing in it changes."""

    options: RunOptions
    store: Store
    suite: CaseSource
    keys: tuple[CaseKey, ...]
    positions: tuple[int, ...]
    hashes: Mapping[str, str]
    conditions: Conditions
    gallery: Gallery


def prepare(spec: Spec, requests: Sequence[MethodRequest], folder: Path, options: RunOptions) -> Campaign:
    """Return what a run is about; raises `MarbenchError` where data, device, methods or folder do not allow it."""
    refuse_borrowed_name(spec)
    # Of the devices of a cluster only its workers know.
    device = device_of("cpu" if options.dask else options.device)
    suite = open_cases(spec, device=device)
    check_cases(suite)
    if not suite.has_truth:
        raise DataError(
            f"{suite.spec.name}: its files hold no truth of the kind truth.image = {suite.spec.truth.image!r}, so "
            "nothing can be ranked. Describe where it lies, or run methods with marbench.evaluate, which needs none."
        )
    fitted = tuple(request.for_spec(suite.spec) for request in requests)
    hashes = {each.label: each.hash for each in fitted}
    options = replace(options, force=_forced(options.force, [each.request for each in fitted]))
    # The first ones, of an order, so that a larger limit later adds to what is there.
    every = suite.case_keys[: options.limit]
    positions = tuple(range(len(every))) if options.spread is None else spread(every, options.spread)
    keys = tuple(every[position] for position in positions)
    gallery = Gallery(folder / "images", wanted_cases(options.images, suite, keys) | options.pictures)
    # A picture that is there is made anew with its number, though it was drawn of a case that is not wanted by now.
    gallery = replace(gallery, cases=gallery.cases | gallery.holding(keys, options.force))
    where = options.device if options.dask else str(device)
    conditions = Conditions(suite.spec, fitted, where, options.limits, options.isolation, gallery.cases)
    return Campaign(options, Store(folder, suite.spec), suite, keys, positions, hashes, conditions, gallery)


def _forced(texts: Sequence[str], requests: Sequence[MethodRequest]) -> tuple[str, ...]:
    """Return the labels that ``--force`` means: it takes methods as ``--methods`` does, and of a name alone all."""
    forced: dict[str, None] = {}
    for text in texts:
        # As results call them; of a single file they do not tell the folder, in which it would be looked for.
        own = [each.label for each in requests if text in (each.label, each.entry.name)]
        try:
            asked = [] if own else parse_methods(text, Discovery({each.entry.name: each.entry for each in requests}))
        except MethodError:
            asked = []
        # With the preset of the run: a label leaves out what is as the preset has it.
        own += [
            each.label
            for one, each in product(asked, requests)
            if one.entry == each.entry and (not one.parameters or replace(one, preset=each.preset).label == each.label)
        ]
        if not own:
            labels = [each.label for each in requests]
            raise MethodError(f"--force takes methods of this run. Got {text!r}; {nearest(text, labels)}")
        forced |= dict.fromkeys(own)
    return tuple(forced)


def pending(campaign: Campaign, stored: Stored) -> list[Unit]:
    """Return what is still to do."""
    # Pictures may be lost or damaged where rows are not: what is missing of them is made again.
    asked, labels = {case.case_id for case in campaign.keys}, campaign.hashes.items()
    good = (key for key in stored.good() if key.case_id in asked and (key.method, key.method_hash) in labels)
    options = campaign.options
    return list(
        plan(
            campaign.keys,
            campaign.hashes,
            stored,
            retry_failed=options.retry_failed,
            force=options.force,
            without_image=campaign.gallery.missing(good),
            shard=options.shard,
            positions=campaign.positions,
        )
    )


def with_telling_cases(campaign: Campaign, rows: pd.DataFrame) -> Campaign:
    """Return the campaign with the cases that tell most, by their scores, among those whose pictures are wanted."""
    uncorrected = {each.label for each in campaign.conditions.methods if each.request.entry.card.role == "uncorrected"}
    measure = measures_of(campaign.suite.spec.metrics.conventions)[0]
    # By a rule on the scores, so that nobody picks pictures by their looks.
    telling = telling_of_run(rows, campaign.keys, measure, uncorrected)
    gallery = replace(campaign.gallery, cases=campaign.gallery.cases | telling)
    return replace(campaign, gallery=gallery, conditions=replace(campaign.conditions, pictures=gallery.cases))


def pending_pictures(campaign: Campaign, rows: pd.DataFrame) -> list[Unit]:
    """Return what is to be done once more for pictures that are not there."""
    # Of the versions of the methods that have rows now; a method that has failed has no picture to draw.
    stored = Stored(rows)
    good = list(stored.good())
    methods = {key.method: key.method_hash for key in good}
    missing = campaign.gallery.missing(good)
    planned = plan(campaign.keys, methods, stored, without_image=missing, positions=campaign.positions)
    # What has no good result is planned as well, and has no picture to draw.
    units = (
        unit.only(lambda task, label: Key(label, methods[label], task.case.case_id) in missing) for unit in planned
    )
    return [unit for unit in units if unit.tasks]


def register(campaign: Campaign, new_rows: bool, table: pd.DataFrame) -> None:
    """Write who runs what, where; first see whether rows can be written, if there will be any.

    ``table`` are the rows of the folder, as of `Store.stored`.
    """
    if new_rows:
        campaign.store.prepare()  # before hours of work that could not be kept
    # This machine may add no rows itself, as of a cluster, but it is where the run was asked for.
    host = describe_host()
    campaign.store.write_host(host_id(host), host)
    # Of a version that may prove unable to run here, the card takes the place of none whose results are there.
    good = set(table.loc[table["status"] == "ok", "method"])
    ran = set(table.loc[table["status"] != "unavailable", ["method", "method_hash"]].itertuples(index=False, name=None))
    for fitted in campaign.conditions.methods:
        is_open = fitted.label in good and (fitted.label, fitted.hash) not in ran
        campaign.store.write_method(fitted.label, _card(fitted), with_rows=is_open)
    campaign.store.write_notices(campaign.suite.notices)
    if campaign.options.command:
        campaign.store.write_command(campaign.options.command)


def _card(fitted: FittedMethod) -> dict[str, object]:
    request, file = fitted.request, fitted.found.file
    # The path of an interpreter names folders of this machine.
    card: dict[str, object] = request.entry.card.model_dump(mode="json", exclude={"python"})
    card |= {"method_hash": fitted.hash, "preset": request.preset or "", "values": request.values()}
    if file is not None:
        card["trained"] = file.card.model_dump(mode="json")
    return card


def changed_methods(campaign: Campaign) -> list[str]:
    """Return which methods are made of other files by now: their results are of no use to the next run."""
    return [each.label for each in campaign.conditions.methods if each.hash_now() != each.hash]


def rows_of(campaign: Campaign) -> pd.DataFrame:
    """Return the rows that were asked for, of the versions that were, whichever others the folder shows."""
    rows = campaign.store.run(campaign.hashes).rows
    cases = {case.case_id for case in cases_of(campaign.keys, campaign.options.shard)}
    return rows[rows["method"].isin(campaign.hashes) & rows["case_id"].isin(cases)].reset_index(drop=True)

"""Small results folders, filled in a test or in a process of their own."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from pathlib import Path

from marbench.cli import main
from marbench.errors import StoreError
from marbench.results import merge
from marbench.results.parts import write_part
from marbench.results.rows import Row
from marbench.results.store import Store
from marbench.spec import PROTOCOL, Spec


def row(spec: Spec, method: str = "m", case: str = "c", **changes: object) -> Row:
    values = {"method_hash": "h", "preset": "", "patient_id": "p", "slice_id": "s", "metal_id": "x", "size_group": 1}
    return Row(spec.hash, PROTOCOL, method, case_id=case, **{**values, **changes})  # type: ignore[arg-type]


def fill(folder: Path, spec: Spec, *rows: Row) -> Store:
    store = Store(folder, spec)
    store.prepare()
    for one in rows:
        store.add(one)
    store.flush()
    return store


def write_parts(folder: Path, spec: Spec, cases: Sequence[str]) -> None:
    """Write one part per case."""
    for case in cases:
        write_part(folder / "results", "results", spec.hash, [row(spec, case=case).record()])


def claim(folder: str, spec: Spec, barrier: object) -> None:
    """Claim a folder at the same moment as others; exit code 3 if it is another's."""
    barrier.wait()  # type: ignore[attr-defined]
    try:
        Store(Path(folder), spec).prepare()
    except StoreError as error:
        assert "Choose another --out" in str(error)
        raise SystemExit(3) from None


def keep_commands(folder: str, spec: Spec, number: int, barrier: object) -> None:
    """Fill a folder by several commands, at the same moment as others."""
    barrier.wait()  # type: ignore[attr-defined]
    for each in range(5):
        store = Store(Path(folder), spec)
        store.prepare()
        store.write_command(f"marbench run {number} {each}")
        store.add(row(spec, case=f"{number}-{each}"))
        store.flush()


def merge_slowly(folder: Path) -> None:
    """Merge the runs ``a`` and ``b`` of a folder into ``c``, with time to be killed between its files."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    write = merge.write_atomically

    def slowly(*arguments: object, **options: object) -> None:
        write(*arguments, **options)  # type: ignore[arg-type]
        time.sleep(0.2)

    merge.write_atomically = slowly  # type: ignore[assignment]
    main(["merge", str(folder / "a"), str(folder / "b"), "--out", str(folder / "c")])

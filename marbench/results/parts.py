"""Parquet parts: immutable files that processes add to a folder, none ever rewriting another's."""

from __future__ import annotations

import io
import json
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from marbench.machine.files import write_atomically
from marbench.results.rows import ROW_SCHEMA, TIMING_SCHEMA

__all__ = ["Kind", "Parts", "read_parts", "write_part"]

Kind = Literal["results", "timing"]

_SCHEMAS: dict[Kind, pa.Schema] = {"results": ROW_SCHEMA, "timing": TIMING_SCHEMA}
_KEY = b"marbench"


@dataclass(frozen=True, eq=False)
class Parts:
    """What a folder of parts holds: all rows, oldest part first, and the files that were skipped, and why."""

    table: pd.DataFrame
    problems: list[str]


def write_part(folder: Path, kind: Kind, spec_hash: str, records: Sequence[dict[str, Any]]) -> Path:
    """Write rows as one new part, and return its path.

    Columns beyond the fixed ones are metrics (float64).

    Raises
    ------
    StoreError
        The folder cannot be written, or the disk is full.
    """
    metrics = dict.fromkeys(name for record in records for name in record if name not in _SCHEMAS[kind].names)
    schema = pa.schema([*_SCHEMAS[kind], *((name, pa.float64()) for name in metrics)])
    created = time.time_ns()
    about = {"kind": kind, "spec_hash": spec_hash, "created": created}
    table = pa.Table.from_pylist(list(records), schema.with_metadata({_KEY: json.dumps(about).encode()}))
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    path = folder / f"{created}-{secrets.token_hex(4)}.parquet"
    write_atomically(path, buffer.getvalue())
    return path


def read_parts(folder: Path, kind: Kind, spec_hash: str) -> Parts:
    """Read all parts of a folder. A file that cannot be used is named among the problems, and left alone."""
    tables: list[tuple[int, str, pa.Table]] = []
    problems = []
    for path in sorted(folder.glob("*.parquet")):
        try:
            created, table = _read_part(path, kind, spec_hash)
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            problems.append(f"{path.parent.name}/{path.name} is skipped, its rows count as missing: {error}")
        else:
            tables.append((created, path.name, table))
    ordered = [table for _, _, table in sorted(tables, key=lambda entry: entry[:2])]
    return Parts(_join(ordered, _SCHEMAS[kind]), problems)


def _read_part(path: Path, kind: Kind, spec_hash: str) -> tuple[int, pa.Table]:
    """Return the time of creation and the rows of a part. Raises ValueError where it is not what it should be."""
    table = pq.ParquetFile(path).read()
    metadata = (table.schema.metadata or {}).get(_KEY)
    if metadata is None:
        raise ValueError("it was not written by marbench")
    about = json.loads(metadata)
    if about["kind"] != kind:
        raise ValueError(f"expected {kind}, got {about['kind']}")
    if about["spec_hash"] != spec_hash:
        raise ValueError(f"it belongs to another benchmark or protocol (hash {about['spec_hash'][:12]})")
    for column in _SCHEMAS[kind]:
        if column.name not in table.schema.names or table.schema.field(column.name).type != column.type:
            raise ValueError(f"expected the column {column.name!r} of type {column.type}")
    return int(about["created"]), table.replace_schema_metadata(None)


def _join(tables: Iterable[pa.Table], schema: pa.Schema) -> pd.DataFrame:
    joined: pd.DataFrame = pa.concat_tables([schema.empty_table(), *tables], promote_options="default").to_pandas()
    return joined

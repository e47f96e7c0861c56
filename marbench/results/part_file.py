"""One Parquet part as bytes: rows, what they are rows of, and the pieces that were merged into it.

Every part carries a small JSON text under the key ``marbench`` of its schema: kind, benchmark, time of creation, and,
of a merged part, its pieces. A piece is a part that was written as such; its name identifies it for ever, wherever
its rows lie.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from marbench.machine.files import read_file
from marbench.machine.text import clean
from marbench.results.rows import ROW_SCHEMA, TIMING_SCHEMA

__all__ = ["SCHEMAS", "Kind", "Piece", "encode", "join", "read_pieces", "reduced", "table_of", "table_of_frame"]

Kind = Literal["results", "timing"]

SCHEMAS: dict[Kind, pa.Schema] = {"results": ROW_SCHEMA, "timing": TIMING_SCHEMA}
"""The columns that every part has; further ones are measures, float64."""

_KEY = b"marbench"
_FEW_ROWS = 1000
# Bounds of a foreign file: a page of a few kB may claim to hold billions of rows.
_FILE_BYTES, _ROWS, _MEASURES, _BYTES = 2**30, 50_000_000, 200, 2**32


@dataclass(frozen=True, eq=False)
class Piece:
    """The rows of one writing.

    Attributes
    ----------
    name : str
        The name of the file in which they were written.
    created : int
        When, in ns since 1970; decides the order of rows.
    table : pyarrow Table
    """

    name: str
    created: int
    table: pa.Table


def table_of(kind: Kind, records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows, column → value, as a table. Keys beyond the fixed columns are measures."""
    # In the order in which they come: the columns of a table are those of its first complete row.
    measures = dict.fromkeys(name for record in records for name in record if name not in SCHEMAS[kind].names)
    schema = pa.schema([*SCHEMAS[kind], *((name, pa.float64()) for name in measures)])
    try:
        return pa.Table.from_pylist(list(records), schema)
    except UnicodeEncodeError:  # a lone surrogate, as from a file name that is no UTF-8
        return pa.Table.from_pylist([_encodable(record) for record in records], schema)


def table_of_frame(kind: Kind, rows: pd.DataFrame) -> pa.Table:
    """Return a DataFrame as a table. Integers that pandas holds as floats, where some lack, are integers again."""
    fixed = SCHEMAS[kind]
    measures = [(name, pa.float64()) for name in map(str, rows.columns) if name not in fixed.names]
    return pa.Table.from_pandas(rows, pa.schema([*fixed, *measures]), preserve_index=False)


def encode(kind: Kind, spec_hash: str, created: int, table: pa.Table, pieces: Sequence[Piece] = ()) -> bytes:
    """Return a part as a Parquet file. ``pieces`` are those of which ``table`` was joined, in its order."""
    about: dict[str, Any] = {"kind": kind, "spec_hash": spec_hash, "created": created}
    if pieces:
        about["pieces"] = [[piece.name, piece.created, piece.table.num_rows] for piece in pieces]
    # Of a few rows a dictionary, statistics and zstd cost more to read than they save: four times as much.
    few = table.num_rows < _FEW_ROWS
    buffer = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata({_KEY: json.dumps(about).encode()}),
        buffer,
        compression="snappy" if few else "zstd",
        use_dictionary=not few,
        write_statistics=False,
        write_page_checksum=True,
    )
    return buffer.getvalue()


def read_pieces(path: Path, kind: Kind, spec_hash: str) -> list[Piece]:
    """Return the pieces of a part, its checksums verified.

    Raises
    ------
    FileNotFoundError
    OSError, ValueError, KeyError, TypeError, MemoryError, RecursionError, pyarrow.ArrowException
        It is no part of this kind and benchmark, or is damaged.
    """
    source = pa.BufferReader(read_file(path, _FILE_BYTES))
    file = pq.ParquetFile(source, page_checksum_verification=True)
    schema = file.schema_arrow
    about = _about(schema.metadata or {}, kind, spec_hash)
    _check_columns(schema.remove_metadata(), kind)
    table = _bounded(file, source)
    # A part that was never merged is its own only piece, and is not told its name by what stands in it.
    listed = about.get("pieces", [[path.name, about["created"], table.num_rows]])
    pieces, start = [], 0
    for name, created, rows in listed:
        # Files of these names are removed once the pieces are merged: no name may lead elsewhere.
        named = isinstance(name, str) and re.fullmatch(r"[^/\\\x00]+\.parquet", name)
        if not (named and _is_count(created) and _is_count(rows)):
            raise ValueError("its list of pieces is damaged")
        pieces.append(Piece(name, created, table.slice(start, rows)))
        start += rows
    if start != table.num_rows:
        raise ValueError(f"it lists pieces of {start} rows, and has {table.num_rows}")
    return pieces


def join(pieces: Sequence[Piece], kind: Kind, columns: Sequence[str] = ()) -> pa.Table:
    """Return the rows of pieces as one table; a measure that a piece lacks is null there.

    With ``columns``, the pieces are `reduced` to them.
    """
    # The empty one first: a folder without parts has the columns too, and their order is always the same.
    empty = SCHEMAS[kind].empty_table()
    tables = [reduced(empty, columns) if columns else empty, *(piece.table for piece in pieces)]
    return pa.concat_tables(tables, promote_options="default").unify_dictionaries().combine_chunks()


def reduced(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Return some columns of a table, every text as a number into a list of the texts there are."""
    some = {name: table[name].combine_chunks() for name in columns}
    return pa.table({name: pc.dictionary_encode(v) if pa.types.is_string(v.type) else v for name, v in some.items()})


def _about(metadata: Mapping[bytes, bytes], kind: Kind, spec_hash: str) -> dict[str, Any]:
    if _KEY not in metadata:
        raise ValueError("it was not written by marbench")
    about = json.loads(metadata[_KEY])
    if not isinstance(about, dict) or not isinstance(about.get("spec_hash"), str) or not _is_count(about["created"]):
        raise ValueError("what it says of itself is damaged")
    if about["kind"] != kind:
        raise ValueError(f"expected {kind}, got {about['kind']}")
    if about["spec_hash"] != spec_hash:
        raise ValueError(f"it belongs to another benchmark or protocol (hash {about['spec_hash'][:12]})")
    return about


@lru_cache(maxsize=64)  # the parts of a run have one schema
def _check_columns(schema: pa.Schema, kind: Kind) -> None:
    # pandas would keep both, and hand out a table where a column is meant.
    names = schema.names
    if len(set(names)) != len(names):
        raise ValueError("two of its columns have one name")
    for column in SCHEMAS[kind]:
        if column.name not in names or schema.field(column.name).type != column.type:
            raise ValueError(f"expected the column {column.name!r} of type {column.type}")
    measures = [column for column in schema if column.name not in SCHEMAS[kind].names]
    if len(measures) > _MEASURES:
        raise ValueError(f"it has {len(measures)} measures")
    for column in measures:
        if column.type != pa.float64() or not column.name.isprintable():
            raise ValueError(f"expected measures of type double, got {column.name!r} of type {column.type}")


def _bounded(file: pq.ParquetFile, source: pa.BufferReader) -> pa.Table:
    """Return the rows of a file, unless they would take more memory than any run's."""
    # Both figures come from the footer, so nothing is unpacked yet; both may be lies, which the two ways below survive.
    rows = file.metadata.num_rows
    packed = sum(file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups))
    if rows > _ROWS or packed > _BYTES:
        raise ValueError(f"it claims {rows:,} rows, {packed:,} bytes")
    if rows * packed < _BYTES:  # even if every row held all of it
        return file.read(use_threads=False).replace_schema_metadata(None)
    # One long text, repeated: how large it is unpacked is known only from the dictionary.
    texts = [column.name for column in file.schema_arrow if column.type == pa.string()]
    table = pq.ParquetFile(source, page_checksum_verification=True, read_dictionary=texts).read(use_threads=False)
    chunks = [chunk for name in texts for chunk in table[name].chunks]
    unpacked = sum(pc.sum(pc.binary_length(chunk.dictionary).take(chunk.indices)).as_py() or 0 for chunk in chunks)
    if unpacked > _BYTES:
        raise ValueError(f"its {rows:,} rows hold {unpacked:,} bytes of text")
    return table.replace_schema_metadata(None).cast(file.schema_arrow.remove_metadata())


def _encodable(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: clean(value) if isinstance(value, str) else value for name, value in record.items()}


def _is_count(value: object) -> bool:
    # JSON's true is an int in Python; beyond 63 bits Arrow has no integer.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63

"""Tables as CSV that spreadsheets open as it is meant: UTF-8 by its byte-order mark, and no text that is a formula."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence

__all__ = ["csv_text"]


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""Return a table as CSV: None and NaN are empty cells, and a text that would be a formula begins with ``'``.

    >>> csv_text(["point", "db"], [["+1 px", -0.5], ["1 px", None]])
    "\ufeffpoint,db\n'+1 px,-0.5\n1 px,\n"
    """
    text = io.StringIO()
    text.write("\ufeff")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, float) and math.isnan(value):
        return None
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t")) else value

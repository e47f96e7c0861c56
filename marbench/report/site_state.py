"""What a site says of itself in ``index.json``: its runs and benchmarks, and what the next publication builds upon."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from marbench.errors import StoreError
from marbench.machine.files import read_file
from marbench.machine.text import said_by

__all__ = ["RUN_ID", "SLUG", "Board", "PublishedEntry", "Record", "State", "read_state"]

RUN_ID = r"^[a-z0-9][a-z0-9_-]*-[0-9a-f]{12}$"
SLUG = r"^[a-z0-9][A-Za-z0-9_-]*$"
"""Names of folders; nothing else may enter a path."""

_FILE_BYTES = 2**27


class _Part(BaseModel):
    # Strict, so that what is read is what is written again.
    model_config = ConfigDict(extra="forbid", strict=True)


class PublishedEntry(_Part):
    """What a run says of one method; scores by column."""

    method: str
    title: str = ""
    method_hash: str
    rank: int | None
    good: int
    total: int
    scores: dict[str, Annotated[float, Field(allow_inf_nan=False)] | Literal["inf", "-inf"] | None]
    evidence: str = ""
    current: bool = False


class Record(_Part):
    """A published run."""

    id: Annotated[str, Field(pattern=RUN_ID)]
    benchmark: Annotated[str, Field(pattern=SLUG)]
    published: Annotated[str, Field(max_length=64)]
    path: str
    cases: int
    entries: list[PublishedEntry]


class Board(_Part):
    """A benchmark and the entries that its leaderboard shows."""

    slug: Annotated[str, Field(pattern=SLUG)]
    name: str
    title: str
    summary: str
    spec_hash: str
    protocol: int
    conventions: list[str]
    cases: int
    expected: int | None = None
    path: str
    picture: str = ""
    entries: list[PublishedEntry]


class State(_Part):
    """The whole of ``index.json``."""

    marbench_site: Literal[1] = 1
    url: str = ""
    benchmarks: dict[Annotated[str, Field(pattern=SLUG)], Board] = {}
    runs: list[Record] = []

    def text(self) -> str:
        """Return the state as it is stored."""
        return json.dumps(self.model_dump(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_state(site: Path) -> State:
    """Return the state of a site, an empty one for a new site.

    Raises
    ------
    StoreError
        The folder has an ``index.json`` that is none of a site of this version.
    """
    path = site / "index.json"
    try:
        return State.model_validate_json(read_file(path, _FILE_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        return State()
    except OSError as error:
        why = said_by(error)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        why = f"{where}: {fault['msg']}" if where else fault["msg"]
    raise StoreError(f"{path} is no index of a marbench site ({why}). Choose another --site.")

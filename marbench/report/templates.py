"""The Jinja2 environment: every value is escaped, an undefined one is an error."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from marbench.report import formats
from marbench.resources import resource_folder

__all__ = ["asset_files", "render_template"]


def render_template(name: str, **context: Any) -> str:
    """Return a filled template of ``reports/templates``."""
    return _environment().get_template(name).render(context)


def asset_files() -> list[Path]:
    """Return the style sheet, the scripts and the icon that every report carries."""
    folder = resource_folder("reports") / "assets"
    return sorted(path for path in folder.iterdir() if path.suffix in (".css", ".js", ".png"))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(resource_folder("reports") / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        number=formats.number,
        signed=formats.signed,
        duration=formats.duration,
        tick_time=formats.tick_time,
        megabytes=formats.byte_size,
        thousands=formats.count,
        compact=formats.compact,
        plain=formats.plain,
        p_value=formats.p_value,
        data_script=formats.data_script,
    )
    return environment

"""Figures for papers as files: exact widths, fonts that travel, the same bytes of the same run."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marbench.errors import StoreError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["WIDTHS_INCHES", "figure_bytes", "figure_kind"]

WIDTHS_INCHES = {"single": 3.5, "double": 7.16}
"""Of one column and of two columns of a journal's page (IEEE)."""

# Nothing about the day or the software.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
}
# A label is no mathematics, whatever signs it has. Fonts travel in the file: TrueType in PDF, outlines in SVG, which
# has no way of its own to carry fonts that all programs read.
_STYLE: Any = {
    "font.size": 7,
    "text.parse_math": False,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "marbench",
}
# The first that is installed writes, and what it lacks the next that has it. matplotlib brings DejaVu Sans.
_FONTS = (
    *("Arial", "Helvetica", "Liberation Sans", "DejaVu Sans"),
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Source Han Sans SC", "WenQuanYi Zen Hei"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo"),
)


def figure_kind(out: Path) -> str:
    """Return the format that a file's ending asks for, ``png``, ``pdf`` or ``svg``; StoreError for another."""
    kind = out.suffix.lower().lstrip(".")
    if kind not in _METADATA:
        raise StoreError(f"{out}: a figure is a file that ends in .png, .pdf or .svg. Got {out.suffix or 'no ending'}.")
    return kind


def figure_bytes(draw: Callable[[Figure], None], kind: str, width: float, height: float) -> bytes:
    """Return what is drawn as the content of a file of a kind; width and height in inches."""
    import matplotlib as mpl  # which the other pages do without
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.font_manager import get_font_names

    buffer, installed = io.BytesIO(), set(get_font_names())
    families = [name for name in _FONTS if name in installed]
    with mpl.rc_context({**_STYLE, "font.family": families}), warnings.catch_warnings():
        # A sign that no font here has is drawn as a box, and seen.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure = Figure(figsize=(width, height), dpi=300, facecolor="white")
        FigureCanvasAgg(figure)
        draw(figure)
        figure.savefig(buffer, format=kind, metadata=_METADATA[kind])
    return buffer.getvalue()

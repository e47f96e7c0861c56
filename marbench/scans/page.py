"""The page of a scan without truth: pictures of all methods, what they change, what can be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from marbench.anatomy.native import DEFAULT_WINDOW
from marbench.machine.files import safe_name
from marbench.report.page import Output
from marbench.report.pictures import METAL_COLOUR, frame_of, png, windowed
from marbench.report.templates import asset_files, render_template
from marbench.scans.applied import Applied
from marbench.scans.measures import CLEAN_CM, RING_CM, Regions
from marbench.scans.series import RESEARCH, Change

__all__ = ["Gallery", "write_page"]

ASSETS = frozenset({"style.css", "theme.js", "icon.png"})
MOST_SLICES = 12
CHANGE_HU, RESIDUAL = 150.0, 0.05
"""Where the colours of the maps end: HU, and line integrals."""

BLUE, WHITE, RED = np.array([5.0, 48.0, 97.0]), np.array([247.0, 247.0, 247.0]), np.array([103.0, 0.0, 31.0])
"""Told apart by almost everybody."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Panel:
    """The pictures of a method on a slice, by their files: the slice, its change, the residual of its sinogram."""

    label: str
    image: str
    change: str
    residual: str


@dataclass(frozen=True)
class ShownSlice:
    """A slice on the page."""

    label: str
    original: str
    panels: tuple[Panel, ...]


@dataclass(eq=False)
class Gallery:
    """Draws some of the slices with metal, evenly through all of them.

    Parameters
    ----------
    output : Output
    with_metal : sequence of int
    """

    output: Output
    with_metal: Sequence[int]
    slices: list[ShownSlice] = field(default_factory=list)

    @property
    def chosen(self) -> frozenset[int]:
        """Which slices are drawn."""
        count = min(MOST_SLICES, len(self.with_metal))
        places = np.linspace(0, len(self.with_metal) - 1, count).round().astype(int)
        return frozenset(self.with_metal[place] for place in places)

    def draw(
        self,
        index: int,
        label: str,
        regions: Regions,
        methods: Mapping[str, tuple[Change, NDArray[np.float32]]],
    ) -> None:
        """Write the pictures of a slice.

        Parameters
        ----------
        index : int
        label : str
        regions : Regions
        methods : mapping
            Label → (change in HU, residual of the sinogram).
        """
        folder = f"pictures/slice-{index + 1:05d}"
        top, bottom, left, right = frame_of(regions.body | regions.metal)
        image, nothing = regions.picture.native.image, np.zeros_like(regions.metal)

        def write(name: str, pixels: Pixels) -> str:
            return self.output.write(f"{folder}/{name}.png", png(pixels, RESEARCH))

        def shown(picture: NDArray[np.float32]) -> Pixels:
            return windowed(picture, nothing, DEFAULT_WINDOW)[top:bottom, left:right]

        panels = []
        for method, (change, residual) in methods.items():
            name = safe_name(method)
            colours = _signed(change, CHANGE_HU)
            colours[regions.metal] = METAL_COLOUR
            panels.append(
                Panel(
                    method,
                    write(name, shown(image + change)),
                    write(f"{name}-change", colours[top:bottom, left:right]),
                    write(f"{name}-residual", _signed(residual, RESIDUAL)),
                )
            )
        self.slices.append(ShownSlice(label, write("_original", shown(image)), tuple(panels)))


def write_page(applied: Applied, gallery: Gallery, output: Output) -> None:
    """Write ``index.html``, which opens from disk, and its assets."""
    for path in asset_files():
        if path.name in ASSETS:
            output.write(f"assets/{path.name}", path.read_bytes())
    # A method that failed later is not shown.
    slices = [
        ShownSlice(one.label, one.original, tuple(panel for panel in one.panels if panel.label in applied.measures))
        for one in gallery.slices
    ]
    page = render_template(
        "applied.html",
        root="",
        applied=applied,
        slices=slices,
        notice=RESEARCH,
        window=DEFAULT_WINDOW,
        change_hu=CHANGE_HU,
        residual=RESIDUAL,
        ring=RING_CM,
        clean=CLEAN_CM,
    )
    output.write("index.html", page)


def _signed(values: NDArray[np.float32], limit: float) -> Pixels:
    """Return values as colours: blue below 0, white, red above."""
    share = np.clip(values.astype(np.float64) / limit, -1, 1)[..., None]
    colours = WHITE + np.abs(share) * (np.where(share < 0, BLUE, RED) - WHITE)
    return np.asarray(np.rint(colours), dtype=np.uint8)

// @ts-check
// The line profile: what every picture holds along one line, as a chart below the panes.
"use strict";
(() => {
  const G = window.marbenchGallery;
  // Of the drawing that the page begins with.
  const SVG = document.querySelector("#profile-chart svg")?.namespaceURI ?? null;
  const HEIGHT = 190;
  const MARGIN = { left: 52, right: 12, top: 10, bottom: 34 };
  const PER_PIXEL = 2;
  // As in the style sheet: with each stroke all colours come again.
  const [COLOURS, STROKES] = [8, 4];

  /** @type {Gallery["along"]} */
  const along = (array, [row0, column0, row1, column1], reference, count) => {
    /** @type {(row: number, column: number) => number} */
    const at = (row, column) => {
      const index = G.between(row, 0, array.rows - 1) * array.columns + G.between(column, 0, array.columns - 1);
      return array.values[index] - (reference ? reference.values[index] : 0);
    };
    return Float64Array.from({ length: count }, (_, index) => {
      const part = index / (count - 1);
      const [row, column] = [row0 + (row1 - row0) * part, column0 + (column1 - column0) * part];
      const [r, c] = [Math.floor(row), Math.floor(column)];
      const [y, x] = [row - r, column - c];
      return (1 - y) * ((1 - x) * at(r, c) + x * at(r, c + 1)) + y * ((1 - x) * at(r + 1, c) + x * at(r + 1, c + 1));
    });
  };

  /** Round numbers that divide a range into a handful of parts. @type {(low: number, high: number) => number[]} */
  const ticks = (low, high) => {
    const raw = (high - low) / 5;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = power * ([1, 2, 5].find((part) => part * power >= raw) ?? 10);
    const first = Math.ceil(low / step);
    return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, index) => (first + index) * step);
  };

  /** @type {(name: string, attributes: Record<string, string | number>, text?: string) => SVGElement} */
  const shape = (name, attributes, text) => {
    const made = /** @type {SVGElement} */ (document.createElementNS(SVG, name));
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
    if (text !== undefined) made.textContent = text;
    return made;
  };

  /** @type {Gallery["makeProfile"]} */
  const makeProfile = (viewer) => {
    const figure = G.find("profile");
    const box = G.find("profile-chart");
    const { state, pictures, change } = viewer;

    /** @type {(line: Box) => number} */
    const lengthOf = ([row0, column0, row1, column1]) => Math.hypot(row1 - row0, column1 - column0);

    /** Every picture's values along the line, and how it is drawn. @type {(line: Box, count: number) => Array<{ picture: Picture, values: Float64Array, kind: string }>} */
    const curves = (line, count) => viewer.listed().filter((entry) => !state().hide.includes(entry.key)).flatMap((entry) => {
      const picture = pictures().get(entry.key);
      if (!picture) return [];
      // Of all pictures, also where one or two are on show; those stand out.
      const chosen = state().layout !== "grid" && viewer.shown().some(({ key }) => key === entry.key) ? " chosen" : "";
      const kind = (entry.number ? `c${(entry.number - 1) % COLOURS} d${Math.floor((entry.number - 1) / COLOURS) % STROKES}` : `plain-${entry.key}`) + chosen;
      return [{ picture, values: along(picture.values, line, viewer.referenceOf(picture), count), kind }];
    });

    /** The values off the metal, as far as the display window or the range of errors goes, and a little beyond. @type {(all: Array<{ values: Float64Array }>, metal: Float64Array) => Pair} */
    const limits = (all, metal) => {
      const seen = all.flatMap(({ values }) => [...values].filter((_, index) => metal[index] <= 0.01));
      const [from, to] = G.isDifference(state().view) ? [-viewer.range(), viewer.range()] : viewer.windowNow();
      const beyond = 0.15 * (to - from);
      const low = Math.max(seen.reduce((a, b) => Math.min(a, b), Infinity), from - beyond);
      const high = Math.min(seen.reduce((a, b) => Math.max(a, b), -Infinity), to + beyond);
      const margin = 0.05 * (high - low);
      return low < high ? [low - margin, high + margin] : [from - beyond, to + beyond];
    };

    const draw = () => {
      const line = state().profile;
      figure.hidden = !line;
      const first = viewer.first();
      if (!line || !first) return;
      const unit = G.unitOf(state().view);
      const count = Math.max(2, Math.ceil(lengthOf(line) * PER_PIXEL) + 1);
      const all = curves(line, count);
      const [low, high] = limits(all, along(first.mask, line, null, count));
      const sinogram = G.isSinogram(state().view);
      const extent = lengthOf(line) * (sinogram ? 1 : viewer.data.scan.pixel * 10);
      const width = Math.max(280, box.clientWidth);
      /** @type {(part: number) => number} */
      const x = (part) => MARGIN.left + part * (width - MARGIN.left - MARGIN.right);
      /** @type {(value: number) => number} */
      const y = (value) => MARGIN.top + ((high - value) / (high - low)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
      const svg = shape("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, "aria-hidden": "true" });
      const { print } = window.marbench;
      for (const value of ticks(low / unit.scale, high / unit.scale)) {
        svg.append(shape("line", { class: "grid", x1: x(0), x2: x(1), y1: y(value * unit.scale), y2: y(value * unit.scale) }));
        svg.append(shape("text", { class: "tick", x: x(0) - 6, y: y(value * unit.scale) + 4, "text-anchor": "end" }, print(value, high - low < 5 * unit.scale ? 2 : 0)));
      }
      for (const value of ticks(0, extent)) svg.append(shape("text", { class: "tick", x: x(value / extent), y: HEIGHT - 18, "text-anchor": "middle" }, print(value, extent < 5 ? 1 : 0)));
      svg.append(shape("text", { class: "axis", x: x(0.5), y: HEIGHT - 3, "text-anchor": "middle" }, sinogram ? "samples along the line" : "mm along the line"));
      // What lies beyond is cut off at the border, not drawn along it.
      const inside = shape("svg", { x: x(0), y: MARGIN.top, width: x(1) - x(0), height: HEIGHT - MARGIN.top - MARGIN.bottom, viewBox: `${x(0)} ${MARGIN.top} ${x(1) - x(0)} ${HEIGHT - MARGIN.top - MARGIN.bottom}` });
      svg.append(inside);
      for (const { values, kind } of [...all].reverse()) {
        const points = [...values].map((value, index) => `${x(index / (count - 1)).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
        inside.append(shape("polyline", { class: `curve ${kind}`, points }));
      }
      const part = partOfProbe(line);
      if (part !== null) svg.append(shape("line", { class: "cursor", x1: x(part), x2: x(part), y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }));
      box.replaceChildren(svg);
      box.setAttribute("aria-valuenow", String(Math.round(100 * (part ?? 0))));
      legend(all, part === null ? null : Math.round(part * (count - 1)), unit);
      const [from, to] = [line.slice(0, 2), line.slice(2)].map((end) => end.map((value) => print(value, 0)).join(", "));
      G.find("profile-about").textContent = `${unit.name ? `${unit.name} along` : "Along"} a line of ${print(extent, 1)} ${sinogram ? "samples" : "mm"}, from row, column ${from} to ${to}`;
    };

    /** How far along the line the probe is; null where it is beside it. @type {(line: Box) => number | null} */
    const partOfProbe = ([row0, column0, row1, column1]) => {
      const probe = state().probe;
      const square = (row1 - row0) ** 2 + (column1 - column0) ** 2;
      if (!probe || square === 0) return null;
      const part = G.between(((probe[0] - row0) * (row1 - row0) + (probe[1] - column0) * (column1 - column0)) / square, 0, 1);
      const beside = Math.hypot(probe[0] - row0 - part * (row1 - row0), probe[1] - column0 - part * (column1 - column0));
      return beside <= 1 ? part : null;
    };

    /** @type {(all: Array<{ picture: Picture, values: Float64Array, kind: string }>, at: number | null, unit: Unit) => void} */
    const legend = (all, at, unit) => {
      G.find("profile-legend").replaceChildren(...all.map(({ picture, values, kind }) => {
        const item = G.element("li", kind);
        const mark = shape("svg", { width: 30, height: 6, "aria-hidden": "true" });
        mark.append(shape("line", { class: "curve", x2: 30, y1: 3, y2: 3 }));
        const name = G.element("span");
        G.tell(name, picture.label);
        item.append(mark, name);
        const value = at === null ? "" : `${window.marbench.print(values[at] / unit.scale, unit.digits)}${unit.name ? ` ${unit.name}` : ""}`;
        item.append(G.element("output", "", value));
        return item;
      }));
    };

    /** Put the probe on the line. @type {(part: number) => void} */
    const go = (part) => {
      const line = state().profile;
      if (!line) return;
      const [row0, column0, row1, column1] = line;
      change({ probe: [Math.round(row0 + (row1 - row0) * part), Math.round(column0 + (column1 - column0) * part)] });
    };
    /** @param {PointerEvent} event */
    const follow = (event) => {
      const place = box.getBoundingClientRect();
      go(G.between((event.clientX - place.left - MARGIN.left) / (place.width - MARGIN.left - MARGIN.right), 0, 1));
    };
    box.addEventListener("pointermove", follow);
    box.addEventListener("pointerdown", follow);
    box.addEventListener("keydown", (event) => {
      const line = state().profile;
      const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      if (!line || !by) return;
      event.preventDefault();
      // From one row or column to the next, whichever the line crosses more of. Its ends may lie between two.
      const axis = Math.abs(line[3] - line[1]) < Math.abs(line[2] - line[0]) ? 0 : 1;
      const [from, to] = [line[axis], line[axis + 2]];
      const { probe } = state();
      const at = probe && partOfProbe(line) !== null ? probe[axis] : Math.round(from);
      go(from === to ? 0 : G.between((at + by * Math.sign(to - from) - from) / (to - from), 0, 1));
    });
    return { draw };
  };

  Object.assign(window.marbenchGallery, { along, makeProfile });
})();

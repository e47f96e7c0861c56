// @ts-check
// What a gesture or a key does to the state: zoom, pan, window, probe, circle, line, case, flip.
"use strict";
(() => {
  const G = window.marbenchGallery;

  /** @type {Gallery["makeMoves"]} */
  const makeMoves = (viewer) => {
    const { data, state, view, frameNow, first, current, listed, change, redraw, dragMode } = viewer;

    /** @type {Moves["setWindow"]} */
    const setWindow = (low, high) => {
      const middle = G.between((low + high) / 2, -32000, 32000);
      const half = G.between(high - low, 2, 64000) / 2;
      change({ window: [Math.round(middle - half), Math.round(middle + half)] });
    };

    /** @type {Moves["zoomAt"]} */
    const zoomAt = (factor, place) => {
      const [left, top, width, height] = frameNow();
      const [x, y] = [(place[0] - left) / width, (place[1] - top) / height];
      const zoom = G.between(state().zoom * factor, 1, 40);
      const keepRatio = state().zoom / zoom;
      change({ zoom, x: x + (state().x - x) * keepRatio, y: y + (state().y - y) * keepRatio });
    };

    /** The pixel at a place; null beside the picture. @type {(place: Pair) => Pair | null} */
    const pixelAt = ([x, y]) => {
      const picture = first();
      if (!picture || x < 0 || y < 0 || x >= 1 || y >= 1) return null;
      return [Math.floor(y * picture.rows), Math.floor(x * picture.columns)];
    };
    /** @type {(place: Pair) => void} */
    const probe = (place) => {
      const at = pixelAt(place);
      if (at) change({ probe: at });
    };
    /** An end of a line, in pixels and parts of them. @type {(picture: Picture, place: Pair) => Pair} */
    const end = (picture, [x, y]) => [
      Math.round(10 * G.between(y * picture.rows - 0.5, 0, picture.rows - 1)) / 10,
      Math.round(10 * G.between(x * picture.columns - 0.5, 0, picture.columns - 1)) / 10,
    ];

    /** @type {(key: string | undefined) => void} */
    const flipTo = (key) => {
      if (key && listed().some((entry) => entry.key === key)) change({ layout: "flip", pick: key });
    };
    /** @type {(by: number) => void} */
    const flipBy = (by) => {
      const keys = listed().map((entry) => entry.key);
      flipTo(keys[(keys.indexOf(state().pick) + by + keys.length) % keys.length]);
    };

    /** @type {Hooks} */
    const hooks = {
      state: view,
      picture: first,
      window: viewer.windowNow,
      dragMode,
      pan: (dx, dy) => change({ x: state().x - dx / state().zoom, y: state().y - dy / state().zoom }),
      zoomAt,
      setWindow: (low, high) => { if (!G.isDifference(state().view)) setWindow(low, high); },
      divide: (at) => change({ at: G.between(at, 0, 1) }),
      probe,
      tap: (place) => {
        const [at, roi] = [pixelAt(place), state().roi];
        if (at) change({ probe: at, roi: roi && [...at, roi[2]] });
      },
      inset: (at) => { if (!G.isSinogram(state().view)) change({ inset: true, insetAt: [G.between(at[0], 0, 1), G.between(at[1], 0, 1)] }); },
      line: (from, to) => {
        const picture = first();
        if (picture) change({ profile: [...end(picture, from), ...end(picture, to)], probe: pixelAt(to) });
      },
      flipBy,
    };

    /** @type {Moves["step"]} */
    const step = (by) => change({ case: G.beside(data, current(), by).id });

    /** Where the probe is, or else the middle of what is shown. @type {(picture: Picture) => Pair} */
    const place = (picture) => state().probe ?? [Math.floor(view().y * picture.rows), Math.floor(view().x * picture.columns)];

    /** @type {Moves["moveProbe"]} */
    const moveProbe = (rows, columns) => {
      const picture = first();
      if (!picture) return;
      const [row, column] = place(picture);
      change({ probe: [G.between(row + rows, 0, picture.rows - 1), G.between(column + columns, 0, picture.columns - 1)] });
    };

    const reset = () => change({ zoom: 1, x: 0.5, y: 0.5, window: null });
    // About the probe, where there is one.
    /** @type {Moves["zoomBy"]} */
    const zoomBy = (factor) => {
      const picture = first();
      if (!picture) return;
      const [row, column] = place(picture);
      zoomAt(factor, state().probe ? [(column + 0.5) / picture.columns, (row + 0.5) / picture.rows] : [view().x, view().y]);
    };
    const zoomToMetal = () => {
      const picture = first();
      if (!picture || !picture.edges.length) return;
      const [left, top, width, height] = frameNow();
      const [x, y, w, h] = G.extent(picture.edges, picture);
      const zoom = G.between(Math.min(width / w, height / h) / 2, 1, 40);
      change({ zoom, x: (x + w / 2 - left) / width, y: (y + h / 2 - top) / height });
    };

    const toggleRoi = () => {
      const picture = first();
      if (picture) change({ roi: state().roi ? null : [...place(picture), Math.max(2, Math.round(picture.columns / 40))] });
    };
    /** @type {Moves["growRoi"]} */
    const growRoi = (factor) => {
      const roi = state().roi;
      if (roi) change({ roi: [roi[0], roi[1], G.between(G.short(roi[2] * factor), 0.5, 500)] });
    };
    // Across through the probe, down through it, none: any line is drawn with the pointer.
    const toggleProfile = () => {
      const picture = first();
      if (!picture) return;
      const [left, top, width, height] = frameNow();
      const [row, column] = place(picture);
      // From pixel to pixel: the frame ends between two.
      const low = end(picture, [left, top]).map(Math.ceil);
      const high = end(picture, [left + width, top + height]).map(Math.floor);
      /** @type {Box} */
      const across = [row, low[1], row, high[1]];
      const was = state().profile;
      if (!was) change({ profile: across });
      else change({ profile: was[0] === was[2] && was[1] !== was[3] ? [low[0], column, high[0], column] : null });
    };

    const exchangeDrag = () => {
      G.find(dragMode() === "window" ? "drag-pan" : "drag-window", HTMLInputElement).checked = true;
      redraw();
    };
    /** @type {Moves["show"]} */
    const show = (wanted) => change({ view: wanted });
    /** @type {Moves["flipToNumber"]} */
    const flipToNumber = (number) => flipTo(listed().find((entry) => entry.number === number)?.key);
    return { setWindow, zoomAt, hooks, step, flipTo, flipBy, moveProbe, reset, zoomBy, zoomToMetal, toggleRoi, growRoi, toggleProfile, exchangeDrag, show, flipToNumber };
  };

  Object.assign(window.marbenchGallery, { makeMoves });
})();

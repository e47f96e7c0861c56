// What a gesture or a key does to the state: zoom, pan, window, probe, circle, case, flip.
"use strict";
window.marbenchGallery = window.marbenchGallery || {};
(() => {
  const G = window.marbenchGallery;
  const find = (id) => document.getElementById(id);

  const makeMoves = (viewer) => {
    const { data, state, view, frameNow, pictures, current, listed, change, redraw, dragMode } = viewer;

    const setWindow = (low, high) => {
      const middle = G.between((low + high) / 2, -32000, 32000);
      const half = G.between(high - low, 2, 64000) / 2;
      change({ window: [Math.round(middle - half), Math.round(middle + half)] });
    };

    const zoomAt = (factor, place) => {
      const [left, top, width, height] = frameNow();
      const [x, y] = [(place[0] - left) / width, (place[1] - top) / height];
      const zoom = G.between(state().zoom * factor, 1, 40);
      const keepRatio = state().zoom / zoom;
      change({ zoom, x: x + (state().x - x) * keepRatio, y: y + (state().y - y) * keepRatio });
    };

    const probe = ([x, y]) => {
      const picture = [...pictures().values()][0];
      if (!picture || x < 0 || y < 0 || x >= 1 || y >= 1) return;
      change({ probe: [Math.floor(y * picture.rows), Math.floor(x * picture.columns)] });
    };

    const hooks = {
      state: view,
      window: viewer.windowNow,
      dragMode,
      pan: (dx, dy) => change({ x: state().x - dx / state().zoom, y: state().y - dy / state().zoom }),
      zoomAt,
      setWindow: (low, high) => { if (state().view !== "error") setWindow(low, high); },
      divide: (at) => change({ at: G.between(at, 0, 1) }),
      probe,
      tap: (at) => { probe(at); if (state().roi && state().probe) change({ roi: [...state.probe, state().roi[2]] }); },
      inset: (at) => { if (state().view !== "sinogram") change({ inset: true, insetAt: at.map((value) => G.between(value, 0, 1)) }); },
    };

    const step = (by) => {
      const at = data.cases.findIndex((item) => item.id === state().case);
      change({ case: data.cases[(at + by + data.cases.length) % data.cases.length].id });
    };

    const flipTo = (key) => {
      if (listed().some((entry) => entry.key === key)) change({ layout: "flip", pick: key });
    };

    const flipBy = (by) => {
      const keys = listed().map((entry) => entry.key);
      flipTo(keys[(keys.indexOf(state().pick) + by + keys.length) % keys.length]);
    };

    const moveProbe = (rows, columns) => {
      const picture = [...pictures().values()][0];
      if (!picture) return;
      const [row, column] = state().probe || [Math.floor(picture.rows / 2), Math.floor(picture.columns / 2)];
      change({ probe: [G.between(row + rows, 0, picture.rows - 1), G.between(column + columns, 0, picture.columns - 1)] });
    };

    const reset = () => change({ zoom: 1, x: 0.5, y: 0.5, window: null });
    // About the probe, where there is one.
    const zoomBy = (factor) => {
      const { x, y } = view();
      const picture = [...pictures().values()][0];
      zoomAt(factor, state().probe && picture ? [(state().probe[1] + 0.5) / picture.columns, (state().probe[0] + 0.5) / picture.rows] : [x, y]);
    };
    const zoomToMetal = () => {
      const picture = [...pictures().values()][0];
      if (!picture || !picture.edges.length) return;
      const [left, top, width, height] = frameNow();
      const [x, y, w, h] = G.extent(picture.edges, picture);
      const zoom = G.between(Math.min(width / w, height / h) / 2, 1, 40);
      change({ zoom, x: (x + w / 2 - left) / width, y: (y + h / 2 - top) / height });
    };
    const toggleRoi = () => {
      const picture = [...pictures().values()][0];
      if (!picture) return;
      const { x, y } = view();
      const at = state().probe || [Math.floor(y * picture.rows), Math.floor(x * picture.columns)];
      change({ roi: state().roi ? null : [...at, Math.max(2, Math.round(picture.columns / 40))] });
    };
    const growRoi = (factor) => { if (state().roi) change({ roi: [state().roi[0], state().roi[1], G.between(G.short(state().roi[2] * factor), 0.5, 500)] }); };
    const exchangeDrag = () => {
      find(dragMode() === "window" ? "drag-pan" : "drag-window").checked = true;
      redraw();
    };
    const sinogram = () => { if (current().sinograms) change({ view: "sinogram" }); };
    const flipToNumber = (number) => flipTo(listed().find((entry) => entry.key_number === number)?.key);
    return { setWindow, zoomAt, probe, hooks, step, flipTo, flipBy, moveProbe, reset, zoomBy, zoomToMetal, toggleRoi, growRoi, exchangeDrag, sinogram, flipToNumber };
  };

  Object.assign(window.marbenchGallery, { makeMoves });
})();

// What is on show, as the fragment of the page's address: a link shows the same again.
"use strict";
window.marbenchGallery = window.marbenchGallery || {};
(() => {
  const DEFAULTS = {
    case: "", view: "image", layout: "grid", window: null, zoom: 1, x: 0.5, y: 0.5,
    pick: "", left: "", right: "", at: 0.5, contour: true, inset: false, insetAt: null, probe: null, hide: [],
    columns: 0, field: "body", against: "truth", range: 0, roi: null,
  };
  const VIEWS = ["image", "error", "sinogram"];
  const LAYOUTS = ["grid", "flip", "swipe"];

  const numbers = (text, count) => {
    const values = (text || "").split(",").map(Number);
    return text && values.length === count && values.every(Number.isFinite) ? values : null;
  };
  const between = (value, low, high) => Math.min(high, Math.max(low, value));
  // As exact as a link carries it: a millionth of a picture is far below a pixel.
  const short = (value) => Math.round(value * 1e6) / 1e6;
  const number = (text, low, high, missing) => (text !== null && text !== "" && Number.isFinite(Number(text)) ? between(Number(text), low, high) : missing);
  const oneOf = (text, allowed, missing) => (allowed.includes(text) ? text : missing);

  const read = () => {
    const query = new URLSearchParams(location.hash.slice(1));
    const state = { ...DEFAULTS };
    for (const name of ["case", "pick", "left", "right"]) state[name] = query.get(name) || "";
    state.view = oneOf(query.get("view"), VIEWS, DEFAULTS.view);
    state.layout = oneOf(query.get("layout"), LAYOUTS, DEFAULTS.layout);
    state.zoom = number(query.get("zoom"), 1, 40, 1);
    state.at = number(query.get("at"), 0, 1, 0.5);
    [state.x, state.y] = numbers(query.get("centre"), 2) || [0.5, 0.5];
    const range = numbers(query.get("window"), 2);
    state.window = range && range[0] < range[1] ? range : null;
    state.probe = numbers(query.get("probe"), 2);
    state.insetAt = numbers(query.get("inset"), 2);
    state.inset = query.has("inset");
    state.contour = query.get("contour") !== "0";
    state.hide = query.getAll("hide");
    state.columns = number(query.get("columns"), 0, 8, 0);
    state.field = oneOf(query.get("field"), ["body", "whole"], DEFAULTS.field);
    state.against = query.get("against") || DEFAULTS.against;
    state.range = number(query.get("range"), 0, 4000, 0);
    const roi = numbers(query.get("roi"), 3);
    state.roi = roi && roi[2] > 0 ? roi : null;
    return state;
  };

  const write = (state) => {
    const query = new URLSearchParams();
    query.set("case", state.case);
    if (state.view !== DEFAULTS.view) query.set("view", state.view);
    if (state.layout !== DEFAULTS.layout) query.set("layout", state.layout);
    if (state.window) query.set("window", state.window.map((value) => Math.round(value)).join(","));
    if (state.zoom > 1) {
      query.set("zoom", String(state.zoom));
      query.set("centre", `${state.x},${state.y}`);
    }
    if (state.layout === "flip") query.set("pick", state.pick);
    if (state.layout === "swipe") {
      query.set("left", state.left);
      query.set("right", state.right);
      query.set("at", String(state.at));
    }
    if (!state.contour) query.set("contour", "0");
    if (state.inset) query.set("inset", state.insetAt ? state.insetAt.join(",") : "");
    if (state.probe) query.set("probe", state.probe.join(","));
    for (const name of ["columns", "field", "against", "range"]) if (state[name] !== DEFAULTS[name]) query.set(name, String(state[name]));
    if (state.roi) query.set("roi", state.roi.join(","));
    for (const name of state.hide) query.append("hide", name);
    return `#${query}`;
  };

  Object.assign(window.marbenchGallery, { readState: read, writeState: write, between, short });
})();

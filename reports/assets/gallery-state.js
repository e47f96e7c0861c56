// @ts-check
// What is on show, as the fragment of the page's address: a link shows the same again. The switch of the keys is the reader's.
"use strict";
(() => {
  /** @type {State} */
  const DEFAULTS = {
    case: "", view: "image", layout: "grid", window: null, zoom: 1, x: 0.5, y: 0.5,
    pick: "", left: "", right: "", at: 0.5, contour: true, regions: false, inset: false, insetAt: null, probe: null, hide: [],
    columns: 0, field: "body", against: "truth", range: 0, colours: "light", roi: null, profile: null, keys: true,
  };
  const KEYS = "marbench-keys";
  let keys = DEFAULTS.keys;
  // Some browsers refuse storage to files.
  try { keys = localStorage.getItem(KEYS) !== "off"; } catch { /* as they are by default */ }
  /** @type {Gallery["keepKeys"]} */
  const keepKeys = (on) => {
    keys = on;
    try { localStorage.setItem(KEYS, on ? "on" : "off"); } catch { /* the choice lasts for this page */ }
    return on;
  };
  /** @type {View[]} */
  const VIEWS = ["image", "error", "sinogram", "residual"];
  /** @type {Layout[]} */
  const LAYOUTS = ["grid", "flip", "swipe"];
  /** @type {Colours[]} */
  const COLOURS = ["light", "dark", "viridis"];

  /** @type {(text: string | null, count: number) => number[] | null} */
  const numbers = (text, count) => {
    const values = (text || "").split(",").map(Number);
    return text && values.length === count && values.every(Number.isFinite) ? values : null;
  };
  /** @type {(text: string | null) => Pair | null} */
  const pair = (text) => /** @type {Pair | null} */ (numbers(text, 2));
  /** @type {Gallery["between"]} */
  const between = (value, low, high) => Math.min(high, Math.max(low, value));
  // As exact as a link carries it: a millionth of a picture is far below a pixel.
  /** @type {Gallery["short"]} */
  const short = (value) => Math.round(value * 1e6) / 1e6;
  /** @type {(text: string | null, low: number, high: number, missing: number) => number} */
  const number = (text, low, high, missing) => (text !== null && text !== "" && Number.isFinite(Number(text)) ? between(Number(text), low, high) : missing);
  /** @template T @param {string | null} text @param {T[]} allowed @param {T} missing @returns {T} */
  const oneOf = (text, allowed, missing) => allowed.find((value) => value === text) ?? missing;

  /** @type {Gallery["readState"]} */
  const readState = () => {
    const query = new URLSearchParams(location.hash.slice(1));
    const window = pair(query.get("window"));
    const [x, y] = pair(query.get("centre")) || [0.5, 0.5];
    const roi = numbers(query.get("roi"), 3);
    /** @type {(name: string) => string} */
    const text = (name) => query.get(name) || "";
    return {
      case: text("case"), pick: text("pick"), left: text("left"), right: text("right"),
      view: oneOf(query.get("view"), VIEWS, DEFAULTS.view),
      layout: oneOf(query.get("layout"), LAYOUTS, DEFAULTS.layout),
      window: window && window[0] < window[1] ? window : null,
      zoom: number(query.get("zoom"), 1, 40, 1), x, y,
      at: number(query.get("at"), 0, 1, 0.5),
      probe: pair(query.get("probe")),
      insetAt: pair(query.get("inset")),
      inset: query.has("inset"),
      contour: query.get("contour") !== "0",
      regions: query.has("regions"),
      hide: query.getAll("hide"),
      keys,
      columns: Math.round(number(query.get("columns"), 0, 8, 0)),
      field: oneOf(query.get("field"), ["body", "whole"], DEFAULTS.field),
      against: query.get("against") || DEFAULTS.against,
      range: number(query.get("range"), 0, 4000, 0),
      colours: oneOf(query.get("colours"), COLOURS, DEFAULTS.colours),
      roi: roi && roi[2] > 0 ? [roi[0], roi[1], between(roi[2], 0.5, 500)] : null,
      profile: /** @type {Box | null} */ (numbers(query.get("line"), 4)?.map((value) => between(value, 0, 8192)) ?? null),
    };
  };

  /** @type {Gallery["writeState"]} */
  const writeState = (state) => {
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
    if (state.regions) query.set("regions", "1");
    if (state.inset) query.set("inset", state.insetAt ? state.insetAt.join(",") : "");
    if (state.probe) query.set("probe", state.probe.join(","));
    for (const name of /** @type {const} */ (["columns", "field", "against", "range", "colours"])) {
      if (state[name] !== DEFAULTS[name]) query.set(name, String(state[name]));
    }
    if (state.roi) query.set("roi", state.roi.join(","));
    if (state.profile) query.set("line", state.profile.join(","));
    for (const key of state.hide) query.append("hide", key);
    return `#${query}`;
  };

  /** @type {Gallery["isSinogram"]} */
  const isSinogram = (view) => view === "sinogram" || view === "residual";
  /** @type {Gallery["isDifference"]} */
  const isDifference = (view) => view === "error" || view === "residual";
  // Line integrals come in thousandths.
  /** @type {Gallery["unitOf"]} */
  const unitOf = (view) => (isSinogram(view) ? { scale: 1000, digits: 3, name: "" } : { scale: 1, digits: 0, name: "HU" });

  // Line integrals have a window of their own.
  /** @type {Gallery["ownWindow"]} */
  const ownWindow = (item, view) => (view === "sinogram" ? [0, 6000] : item.window);

  // Places in views and bins, and a window in line integrals, mean nothing in an image.
  const UNPLACED = { window: null, zoom: 1, probe: null, roi: null, profile: null };
  // A case without sinograms shows its image, until a case comes that has what was wanted.
  /** @type {Gallery["fitView"]} */
  const fitView = (state, item, wanted) => {
    const asked = wanted || (isSinogram(state.view) ? state.view : "");
    if (asked && item.sinograms !== isSinogram(state.view)) Object.assign(state, UNPLACED, { view: item.sinograms ? asked : "image" });
    return item.sinograms ? "" : asked;
  };

  Object.assign(window.marbenchGallery, { UNPLACED, ownWindow, fitView, readState, writeState, keepKeys, between, short, isSinogram, isDifference, unitOf });
})();

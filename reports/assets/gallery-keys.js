// @ts-check
// The keys of the gallery. What they do is the caller's.
"use strict";
(() => {
  /** @type {Record<string, Pair>} */
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  /** @type {Gallery["bindKeys"]} */
  const bindKeys = (viewer) => {
    const { state, change } = viewer;
    /** @type {Record<string, () => void>} */
    const KEYS = {
      t: () => viewer.flipTo("truth"), u: () => viewer.flipTo("uncorrected"), ",": () => viewer.flipBy(-1), ".": () => viewer.flipBy(1),
      g: () => change({ layout: "grid" }), f: () => change({ layout: "flip" }), s: () => change({ layout: "swipe" }), escape: () => change({ layout: "grid" }),
      i: () => viewer.show("image"), e: () => viewer.show("error"), n: () => viewer.show("sinogram"), d: () => viewer.show("residual"),
      c: () => change({ contour: !state().contour }), z: () => change({ inset: !state().inset }), w: viewer.exchangeDrag, r: viewer.reset,
      "+": () => viewer.zoomBy(1.25), "=": () => viewer.zoomBy(1.25), "-": () => viewer.zoomBy(0.8),
      b: () => change({ field: state().field === "body" ? "whole" : "body" }), m: viewer.zoomToMetal, o: viewer.toggleRoi, l: viewer.toggleProfile,
      x: viewer.fullScreen, h: viewer.fold, p: viewer.save, "<": () => viewer.growRoi(0.8), ">": () => viewer.growRoi(1.25),
      "[": () => viewer.step(-1), "]": () => viewer.step(1),
    };

    /** @type {(by: Pair, shift: boolean) => void} */
    const move = ([across, down], shift) => {
      const { x, y, zoom, at, layout } = state();
      if (shift) change({ x: x + (0.08 * across) / zoom, y: y + (0.08 * down) / zoom });
      else if (layout === "swipe" && across) change({ at: Math.min(1, Math.max(0, at + 0.02 * across)) });
      else viewer.moveProbe(down, across);
    };

    // As Caps Lock or Shift may have it; where the layout has no Latin letters, that of the key's place.
    /** @type {(event: KeyboardEvent) => string} */
    const named = ({ key, code }) => (/^[\x20-\x7e]+$/.test(key) ? key : code.replace(/^Key/, "")).toLowerCase();

    document.addEventListener("keydown", (event) => {
      const target = event.target instanceof Element ? event.target : document.body;
      const typing = target.matches("input:not([type=radio]):not([type=checkbox]), select, textarea");
      // Who speaks to the machine types letters by chance.
      if (!state().keys && event.key.length === 1) return;
      if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
      if (ARROWS[event.key]) {
        if (target.tagName !== "CANVAS") return;
        move(ARROWS[event.key], event.shiftKey);
      } else if (/^[1-9]$/.test(event.key)) viewer.flipToNumber(Number(event.key));
      else if (KEYS[named(event)]) KEYS[named(event)]();
      else return;
      event.preventDefault();
    });
  };

  Object.assign(window.marbenchGallery, { bindKeys });
})();

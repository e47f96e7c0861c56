// @ts-check
// Pointer gestures on panes: pan, pinch, window, divider, line, flip, probe. What they change is the caller's.
"use strict";
(() => {
  const G = window.marbenchGallery;
  const DIVIDER = 22;
  const FLIP = 44;

  /** @typedef {"pinch" | "divide" | "flip" | DragMode | ""} Gesture */

  /** @type {Gallery["listen"]} */
  const listen = (canvas, hooks) => {
    /** @type {Map<number, PointerEvent>} */
    const pointers = new Map();
    /** @type {Gesture} */
    let gesture = "";
    let began = { x: 0, y: 0, low: 0, high: 1, moved: false, place: /** @type {Pair} */ ([0, 0]), flips: 0 };

    /** @type {(event: { clientX: number, clientY: number }) => Pair} */
    const fraction = (event) => G.locate(canvas, hooks.state(), event);
    /** @type {(event: { clientX: number, clientY: number }) => Pair} */
    const seen = (event) => G.look(canvas, hooks.state(), hooks.picture(), event);
    /** @type {(both: PointerEvent[]) => number} */
    const apart = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    /** @type {(both: PointerEvent[]) => { clientX: number, clientY: number }} */
    const centre = ([a, b]) => ({ clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 });

    /** @type {(event: PointerEvent) => Gesture} */
    const kind = (event) => {
      const box = canvas.getBoundingClientRect();
      const { layout, at, zoom } = hooks.state();
      if (layout === "swipe" && Math.abs(event.clientX - box.left - at * box.width) < DIVIDER) return "divide";
      if (event.button === 2 || event.shiftKey) return "window";
      if (event.altKey) return "line";
      // All is in sight, so there is nothing to pan: a thumb leafs through the pictures, or moves the divider.
      if (event.pointerType === "touch" && zoom === 1 && hooks.dragMode() === "pan") {
        if (layout === "flip") return "flip";
        if (layout === "swipe") return "divide";
      }
      return hooks.dragMode();
    };

    canvas.addEventListener("pointerdown", (event) => {
      pointers.set(event.pointerId, event);
      canvas.setPointerCapture(event.pointerId);
      gesture = pointers.size === 2 ? "pinch" : kind(event);
      const [low, high] = hooks.window();
      began = { x: event.clientX, y: event.clientY, low, high, moved: false, place: fraction(event), flips: 0 };
    });

    /** @type {Record<string, (event: PointerEvent, before: PointerEvent, box: DOMRect) => void>} */
    const drags = {
      pinch: (event) => {
        const was = [...pointers.values()];
        pointers.set(event.pointerId, event);
        const both = [...pointers.values()];
        const box = canvas.getBoundingClientRect();
        const [from, to] = [centre(was), centre(both)];
        hooks.pan((to.clientX - from.clientX) / box.width, (to.clientY - from.clientY) / box.height);
        if (apart(was) > 0) hooks.zoomAt(apart(both) / apart(was), fraction(to));
      },
      divide: (event, _, box) => hooks.divide((event.clientX - box.left) / box.width),
      // Across the pane: the width grows twofold; up: brighter, by one width.
      window: (event, _, box) => {
        const width = began.high - began.low;
        const wider = width * 2 ** ((event.clientX - began.x) / box.width);
        const level = (began.low + began.high) / 2 + ((event.clientY - began.y) / box.height) * width;
        hooks.setWindow(level - wider / 2, level + wider / 2);
      },
      pan: (event, before, box) => hooks.pan((event.clientX - before.clientX) / box.width, (event.clientY - before.clientY) / box.height),
      line: (event) => { if (began.moved) hooks.line(began.place, fraction(event)); },
      flip: (event) => {
        const flips = Math.trunc((began.x - event.clientX) / FLIP);
        if (flips !== began.flips) hooks.flipBy(flips - began.flips);
        began.flips = flips;
      },
    };

    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) {
        if (event.pointerType !== "touch") hooks.probe(seen(event));
        return;
      }
      if (Math.hypot(event.clientX - began.x, event.clientY - began.y) > 4) began.moved = true;
      drags[gesture]?.(event, before, canvas.getBoundingClientRect());
      pointers.set(event.pointerId, event);
    });

    /** @param {PointerEvent} event */
    const end = (event) => {
      // A tap or a click puts the probe; a finger has no hover.
      if (pointers.has(event.pointerId) && event.type === "pointerup" && !began.moved && gesture !== "pinch") hooks.tap(seen(event));
      pointers.delete(event.pointerId);
      if (pointers.size === 1) gesture = "";
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", (event) => hooks.inset(seen(event)));
    canvas.addEventListener("wheel", (event) => {
      // Without a key the wheel scrolls the page, until the reader has gone to a pane.
      if (!event.ctrlKey && !event.metaKey && document.activeElement !== canvas) return;
      event.preventDefault();
      hooks.zoomAt(2 ** (-event.deltaY / 400), fraction(event));
    }, { passive: false });
  };

  Object.assign(window.marbenchGallery, { listen });
})();

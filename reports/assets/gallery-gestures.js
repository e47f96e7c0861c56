// Pointer gestures on panes: pan, pinch, window, divider, probe. What they change is the caller's.
"use strict";
window.marbenchGallery = window.marbenchGallery || {};
(() => {
  const DIVIDER = 22;

  // hooks: state(), window(), dragMode(), pan(dx, dy), zoomAt(factor, [x, y]), setWindow(low, high), divide(at), probe([x, y]), inset([x, y]).
  const listen = (canvas, hooks) => {
    const pointers = new Map();
    let gesture = "";
    let began = null;

    const fraction = (event) => window.marbenchGallery.locate(canvas, hooks.state(), event);
    const apart = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    const centre = ([a, b]) => ({ clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 });

    const kind = (event) => {
      const box = canvas.getBoundingClientRect();
      if (hooks.state().layout === "swipe" && Math.abs(event.clientX - box.left - hooks.state().at * box.width) < DIVIDER) return "divide";
      if (event.button === 2 || event.shiftKey) return "window";
      return hooks.dragMode();
    };

    canvas.addEventListener("pointerdown", (event) => {
      pointers.set(event.pointerId, event);
      canvas.setPointerCapture(event.pointerId);
      gesture = pointers.size === 2 ? "pinch" : kind(event);
      const [low, high] = hooks.window();
      began = { x: event.clientX, y: event.clientY, low, high, moved: false };
    });

    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) {
        if (event.pointerType !== "touch") hooks.probe(fraction(event));
        return;
      }
      const box = canvas.getBoundingClientRect();
      if (Math.hypot(event.clientX - began.x, event.clientY - began.y) > 4) began.moved = true;
      if (gesture === "pinch") {
        const was = [...pointers.values()];
        pointers.set(event.pointerId, event);
        const both = [...pointers.values()];
        const [from, to] = [centre(was), centre(both)];
        hooks.pan((to.clientX - from.clientX) / box.width, (to.clientY - from.clientY) / box.height);
        if (apart(was) > 0) hooks.zoomAt(apart(both) / apart(was), fraction(to));
        return;
      }
      pointers.set(event.pointerId, event);
      if (gesture === "divide") hooks.divide((event.clientX - box.left) / box.width);
      else if (gesture === "window") {
        // Across the pane: the width grows twofold; up: brighter, by one width.
        const width = began.high - began.low;
        const wider = width * 2 ** ((event.clientX - began.x) / box.width);
        const level = (began.low + began.high) / 2 + ((event.clientY - began.y) / box.height) * width;
        hooks.setWindow(level - wider / 2, level + wider / 2);
      } else if (gesture === "pan") hooks.pan((event.clientX - before.clientX) / box.width, (event.clientY - before.clientY) / box.height);
    });

    const end = (event) => {
      // A tap or a click puts the probe; a finger has no hover.
      if (pointers.has(event.pointerId) && event.type === "pointerup" && !began.moved && gesture !== "pinch") hooks.tap(fraction(event));
      pointers.delete(event.pointerId);
      if (pointers.size === 1) gesture = "";
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", (event) => hooks.inset(fraction(event)));
    canvas.addEventListener("wheel", (event) => {
      // Without a key the wheel scrolls the page, until the reader has gone to a pane.
      if (!event.ctrlKey && !event.metaKey && document.activeElement !== canvas) return;
      event.preventDefault();
      hooks.zoomAt(2 ** (-event.deltaY / 400), fraction(event));
    }, { passive: false });
  };

  Object.assign(window.marbenchGallery, { listen });
})();

// @ts-check
// What a point of a chart stands for, under the pointer and under the keyboard's focus, in a line below the chart.
"use strict";
(() => {
  for (const figure of document.querySelectorAll("figure.chart")) {
    const line = figure.querySelector(".reading");
    if (!line) continue;
    const resting = [...line.childNodes];
    const rest = () => line.replaceChildren(...resting);
    /** @param {Event} event */
    const tell = (event) => {
      if (!(event.target instanceof Element) || line.contains(event.target)) return;
      // The focus that a finger or a mouse brings comes after what it hit was told.
      if (event.type === "focusin" && !event.target.matches(":focus-visible")) return;
      const point = event.target.closest("[aria-label].reading-point");
      if (point) line.textContent = point.getAttribute("aria-label");
      else rest();
    };
    for (const kind of ["pointerover", "pointerdown", "focusin"]) figure.addEventListener(kind, tell);
    for (const kind of ["pointerleave", "focusout"]) {
      figure.addEventListener(kind, (event) => {
        // A finger leaves when it is lifted: what it chose stays.
        const touched = event instanceof PointerEvent && event.pointerType === "touch";
        const within = event instanceof FocusEvent && event.relatedTarget instanceof Node && line.contains(event.relatedTarget);
        if (!touched && !within) rest();
      });
    }
  }
})();

// What a point of a chart stands for, under the pointer and under the keyboard's focus, in a line below the chart.
"use strict";
(() => {
  for (const figure of document.querySelectorAll("figure.chart")) {
    const line = figure.querySelector(".reading");
    if (!line) continue;
    const resting = line.textContent;
    /** @param {Event} event */
    const tell = (event) => {
      const point = event.target instanceof Element ? event.target.closest("[aria-label].reading-point") : null;
      line.textContent = point ? point.getAttribute("aria-label") : resting;
    };
    for (const kind of ["pointerover", "pointerdown", "focusin"]) figure.addEventListener(kind, tell);
    for (const kind of ["pointerleave", "focusout"]) figure.addEventListener(kind, () => { line.textContent = resting; });
  }
})();

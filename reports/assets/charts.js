// @ts-check
// What a point of a chart stands for, under the pointer and under the keyboard's focus, in a line below the chart.
"use strict";
(() => {
  /** Lines down, and marks along a line. @type {Record<string, [number, number]>} */
  const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -Infinity], End: [0, Infinity] };
  /** @type {(index: number, list: { length: number }) => number} */
  const nearest = (index, { length }) => Math.max(0, Math.min(length - 1, index));

  // One stop of Tab for all marks of a drawing, and arrows from mark to mark; but for marks that have keys of their own.
  /** @param {SVGElement} svg */
  const rove = (svg) => {
    const marks = /** @type {SVGElement[]} */ ([...svg.querySelectorAll(".reading-point:not([tabindex])")]);
    const lines = [...new Set(marks.map((mark) => mark.parentNode))].map((line) => marks.filter((mark) => mark.parentNode === line));
    const stop = (/** @type {SVGElement} */ chosen) => { for (const mark of marks) mark.setAttribute("tabindex", mark === chosen ? "0" : "-1"); };
    if (marks.length) stop(marks[0]);
    for (const mark of marks) mark.addEventListener("focus", () => stop(mark));
    svg.addEventListener("keydown", (event) => {
      const step = STEPS[event.key];
      const at = lines.findIndex((line) => line.some((mark) => mark === event.target));
      if (!step || at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const [down, along] = lines.length > 1 ? step : [0, step[0] + step[1]];
      const line = lines[nearest(at + down, lines)];
      line[nearest(lines[at].findIndex((mark) => mark === event.target) + along, line)].focus();
    });
  };

  for (const figure of document.querySelectorAll("figure.chart")) {
    for (const svg of figure.querySelectorAll("svg")) rove(svg);
    const line = figure.querySelector(".reading");
    if (!line) continue;
    const resting = [...line.childNodes];
    const rest = () => line.replaceChildren(...resting);
    /** @param {Event} event */
    const tell = (event) => {
      if (!(event.target instanceof Element) || line.contains(event.target)) return;
      // The focus that a finger or a mouse brings comes after what it hit was told.
      if (event.type === "focusin" && !event.target.matches(":focus-visible")) return;
      // Whoever hears the mark that has the focus does not hear the line, too.
      line.setAttribute("aria-live", event.type === "focusin" ? "off" : "polite");
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

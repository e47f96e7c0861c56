// @ts-check
// The cases behind the dots of the explorer's charts: each tells itself, and leads to its pictures.
"use strict";
(() => {
  /** @typedef {{ at: number, x: number, y: number, score: number }} Point */
  const { load, parse, print, one } = window.marbench;
  /** @type {ExplorerData} */
  const data = JSON.parse(one("#explorer-data").textContent ?? "");
  const measure = data.measures[0];
  const STEPS = new Map([["ArrowLeft", -1], ["ArrowRight", 1], ["Home", -Infinity], ["End", Infinity], ["Enter", 0]]);
  /** @type {Map<Element, Point[]>} */
  const drawn = new Map();

  /**
   * What the charts are drawn of; loaded once, at the first need.
   * @returns {Promise<{ cases: Cases, scores: Stored[][] }>}
   */
  const content = async () => {
    await Promise.all([load("explorer/cases.js"), load(measure.file)]);
    return { cases: window.marbenchCases.cases, scores: window.marbenchCases[measure.key] };
  };

  /**
   * An axis as the page carries it: low, high, start, end, and whether it is logarithmic.
   * @param {string} text
   * @returns {(value: number) => number}
   */
  const axis = (text) => {
    const [low, high, start, end, log] = text.split(" ").map(Number);
    return (value) => start + (((log ? Math.log10(value) : value) - low) / (high - low)) * (end - start);
  };

  /**
   * The cases of a method in its chart, from left to right.
   * @param {SVGElement} mark the row or panel of a method
   * @returns {Promise<Point[]>}
   */
  const pointsOf = async (mark) => {
    const known = drawn.get(mark);
    if (known) return known;
    const { cases, scores } = await content();
    const svg = mark.ownerSVGElement ?? mark;
    const across = axis(svg.dataset.x ?? "");
    const up = svg.dataset.y ? axis(svg.dataset.y) : null;
    /** @type {Point[]} */
    const points = [];
    scores[Number(mark.dataset.method)].forEach((stored, at) => {
      const score = parse(stored);
      const area = cases.areas[at];
      if (score === null || !Number.isFinite(score) || (up && !(area > 0))) return;
      points.push({ at, score, x: across(up ? area : score), y: up ? up(score) : Number(mark.dataset.middle) });
    });
    points.sort((a, b) => a.x - b.x || a.y - b.y || a.at - b.at);
    drawn.set(mark, points);
    return points;
  };

  /** @param {Cases} cases @param {number} at */
  const address = (cases, at) => (cases.pictures.includes(at) ? `gallery.html#${new URLSearchParams({ case: cases.ids[at] })}` : "");

  /**
   * Mark a case in its chart, and tell it below.
   * @param {SVGElement} mark @param {Point} point
   */
  const pick = async (mark, point) => {
    const { cases } = await content();
    const svg = mark.ownerSVGElement ?? mark;
    const ring = svg.querySelector(".picked") ?? svg.appendChild(document.createElementNS(svg.namespaceURI, "circle"));
    for (const [name, value] of Object.entries({ class: "picked", r: 5, cx: point.x.toFixed(1), cy: point.y.toFixed(1) })) ring.setAttribute(name, String(value));
    mark.dataset.at = String(point.at);
    const line = mark.closest("figure")?.querySelector(".reading");
    line?.setAttribute("aria-live", "polite");
    const score = `${data.titles[Number(mark.dataset.method)]}: ${print(point.score, measure.digits)} ${measure.unit}`.trim();
    line?.replaceChildren(`${score} on ${cases.ids[point.at]}, ${cases.regionNames[cases.regions[point.at]]}, ${print(cases.areas[point.at], 0)} mm² of metal. `);
    const target = address(cases, point.at);
    if (!target) return;
    const link = document.createElement("a");
    link.href = target;
    link.textContent = "Pictures";
    line?.append(link);
  };

  /** @param {Event} event @returns {SVGElement | null} */
  const markOf = (event) => {
    const found = event.target instanceof Element ? event.target.closest("[data-method]") : null;
    return found instanceof SVGElement ? found : null;
  };

  /** @param {PointerEvent} event */
  const point = async (event) => {
    const mark = markOf(event);
    const svg = mark?.ownerSVGElement ?? mark;
    if (!mark || !(svg instanceof SVGSVGElement)) return;
    const matrix = svg.getScreenCTM();
    if (!matrix) return;
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    const flat = !svg.dataset.y;
    /** @param {Point} each */
    const distance = (each) => (each.x - x) ** 2 + (flat ? 0 : (each.y - y) ** 2);
    const points = await pointsOf(mark);
    if (points.length) await pick(mark, points.reduce((best, each) => (distance(each) < distance(best) ? each : best)));
  };

  /** @param {SVGElement} mark */
  const follow = async (mark) => {
    const { cases } = await content();
    const target = mark.dataset.at === undefined ? "" : address(cases, Number(mark.dataset.at));
    if (target) location.href = target;
  };

  /** @param {KeyboardEvent} event */
  const step = async (event) => {
    const mark = markOf(event);
    const by = STEPS.get(event.key);
    if (!mark || by === undefined) return;
    event.preventDefault();
    if (event.key === "Enter") { await follow(mark); return; }
    const points = await pointsOf(mark);
    const now = points.findIndex((each) => String(each.at) === mark.dataset.at);
    const next = now < 0 && by === 1 ? 0 : Math.max(0, Math.min(points.length - 1, now + by));
    if (points.length) await pick(mark, points[next]);
  };

  for (const figure of document.querySelectorAll("figure.chart")) {
    if (!(figure instanceof HTMLElement)) continue;
    figure.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse") point(event); });
    figure.addEventListener("pointerdown", point);
    figure.addEventListener("click", (event) => {
      // A finger first sees what it hit, and the link below.
      const mark = event instanceof PointerEvent && event.pointerType === "touch" ? null : markOf(event);
      if (mark) follow(mark);
    });
    figure.addEventListener("keydown", step);
  }
})();

// @ts-check
// What the scripts of all pages share: finding parts of the page, loading data that lie beside it, printing numbers.
"use strict";
window.marbench = window.marbench || {};
(() => {
  const MISSING = "–";
  // From here on digits would fill a table's column and say nothing.
  const BEYOND = 1e7;
  /** @type {Map<string, Promise<void>>} */
  const scripts = new Map();

  // A script element is the only way to data beside a page that was opened from disk. Each is loaded once.
  /** @type {Shared["load"]} */
  const load = (url) => {
    const known = scripts.get(url);
    if (known) return known;
    /** @type {Promise<void>} */
    const loading = new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = url;
      script.addEventListener("load", () => { script.remove(); done(); });
      script.addEventListener("error", () => { scripts.delete(url); script.remove(); failed(new Error(url)); });
      document.head.append(script);
    });
    scripts.set(url, loading);
    return loading;
  };

  // What was forgotten loads again when it is wanted.
  /** @type {Shared["forget"]} */
  const forget = (url) => { scripts.delete(url); };

  // A number as JSON carries it: infinities are texts, what is missing is null.
  /** @type {Shared["parse"]} */
  const parse = (value) => (value === "inf" ? Infinity : value === "-inf" ? -Infinity : /** @type {number | null} */ (value));

  // As the tables are printed: fixed digits, a true minus, no sign of zero, short where it is beyond reason.
  /** @type {Shared["print"]} */
  const print = (value, digits) => {
    if (value === null || value === undefined || Number.isNaN(value)) return MISSING;
    if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
    if (Math.abs(value) >= BEYOND) return value.toExponential(1).replace("e+", "e").replace("-", "−");
    const text = value.toFixed(digits);
    return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
  };

  /** @type {Shared["all"]} */
  const all = (selector, root = document) => /** @type {HTMLElement[]} */ ([...root.querySelectorAll(selector)]);

  /** @type {Shared["one"]} */
  const one = (selector, root = document) => {
    const found = root.querySelector(selector);
    if (!found) throw new Error(`The page has no ${selector}.`);
    return /** @type {HTMLElement} */ (found);
  };

  Object.assign(window.marbench, { MISSING, load, forget, parse, print, one, all });
})();

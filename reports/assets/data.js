// What the scripts of all pages share: loading data that lie beside a page, and printing numbers.
"use strict";
window.marbench = window.marbench || {};
(() => {
  const MISSING = "–";
  // From here on digits would fill a table's column and say nothing.
  const BEYOND = 1e7;
  const scripts = new Map();

  // A script element is the only way to data beside a page that was opened from disk. Each is loaded once.
  const load = (url) => {
    if (!scripts.has(url)) {
      scripts.set(url, new Promise((done, failed) => {
        const script = document.createElement("script");
        script.src = url;
        script.addEventListener("load", () => { script.remove(); done(); });
        script.addEventListener("error", () => { scripts.delete(url); script.remove(); failed(new Error(url)); });
        document.head.append(script);
      }));
    }
    return scripts.get(url);
  };

  // What was forgotten loads again when it is wanted.
  const forget = (url) => scripts.delete(url);

  // A number as JSON carries it: infinities are texts, what is missing is null.
  const parse = (value) => (value === "inf" ? Infinity : value === "-inf" ? -Infinity : value);

  // As the tables are printed: fixed digits, a true minus, no sign of zero, short where it is beyond reason.
  const print = (value, digits) => {
    if (value === null || value === undefined || Number.isNaN(value)) return MISSING;
    if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
    if (Math.abs(value) >= BEYOND) return value.toExponential(1).replace("e+", "e").replace("-", "−");
    const text = value.toFixed(digits);
    return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
  };

  Object.assign(window.marbench, { MISSING, load, forget, parse, print });
})();

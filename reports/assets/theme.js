// @ts-check
// The colour scheme: the system's, or the one that the reader chose, before the first paint. And the skip link.
"use strict";
(() => {
  const KEY = "marbench-theme";
  const root = document.documentElement;
  const stored = () => {
    // Some browsers refuse storage to files.
    try { return localStorage.getItem(KEY); } catch { return null; }
  };
  /** @type {(theme: string | null) => void} */
  const apply = (theme) => {
    if (theme === "dark" || theme === "light") root.dataset.theme = theme;
    else delete root.dataset.theme;
  };
  root.classList.add("js");
  apply(stored());
  // The skip link moves the focus, and leaves what the address says of the page.
  document.addEventListener("click", (event) => {
    const content = document.getElementById("content");
    if (!content || !(event.target instanceof Element) || !event.target.closest("a.skip")) return;
    event.preventDefault();
    content.focus();
  });
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    if (!button) return;
    const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
    const label = () => {
      button.textContent = isDark() ? "Light" : "Dark";
      button.setAttribute("aria-label", isDark() ? "Switch to light colours" : "Switch to dark colours");
    };
    label();
    button.addEventListener("click", () => {
      const theme = isDark() ? "light" : "dark";
      apply(theme);
      try { localStorage.setItem(KEY, theme); } catch { /* the choice lasts for this page */ }
      label();
    });
  });
})();

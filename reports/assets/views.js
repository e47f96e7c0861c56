// @ts-check
// What a page shows, under a name that the reader gives it. The browser keeps it where it keeps anything for this page.
"use strict";
(() => {
  const { one, all } = window.marbench;
  /** @typedef {{ name: string, hash: string }} View */
  const box = document.getElementById("views");
  if (!(box instanceof HTMLDetailsElement)) return;
  // Pages that were opened from disk share one storage.
  const { spec, protocol } = document.documentElement.dataset;
  const KEY = `marbench-views ${box.dataset.page} ${spec} ${protocol}`;
  const name = /** @type {HTMLInputElement} */ (one("#view-name"));
  const link = /** @type {HTMLInputElement} */ (one("#view-link"));
  const said = one("#view-said");

  /** @param {any} value @returns {value is View} */
  const isView = (value) => typeof value?.name === "string" && /^(#|$)/.test(value?.hash);
  /** @returns {View[]} */
  const stored = () => {
    try {
      const found = JSON.parse(localStorage.getItem(KEY) ?? "[]");
      return Array.isArray(found) ? found.filter(isView) : [];
    } catch { return []; }
  };
  let views = stored();

  /** @type {() => boolean} */
  const keep = () => {
    try { localStorage.setItem(KEY, JSON.stringify(views)); return true; } catch { return false; }
  };

  const list = () => {
    const [page] = location.href.split("#");
    link.value = page + location.hash;
    const place = one("#view-list");
    // Whoever is at a view stays at it.
    const at = all("a", place).findIndex((each) => each === document.activeElement);
    place.replaceChildren(...views.map((view) => {
      const item = document.createElement("li");
      const target = Object.assign(document.createElement("a"), { href: page + view.hash, textContent: view.name });
      if (view.hash === location.hash) target.setAttribute("aria-current", "true");
      const remove = Object.assign(document.createElement("button"), { type: "button", textContent: "Remove" });
      remove.setAttribute("aria-label", `Remove the view ${view.name}`);
      remove.addEventListener("click", () => {
        views = views.filter((other) => other !== view);
        keep();
        said.textContent = `“${view.name}” is removed.`;
        list();
        name.focus();
      });
      item.append(target, remove);
      return item;
    }));
    all("a", place)[at]?.focus();
  };

  const save = () => {
    const called = name.value.trim();
    if (!called) {
      said.textContent = "Give it a name first.";
      name.focus();
      return;
    }
    // Another tab may have saved meanwhile.
    views = [...(stored().length ? stored() : views).filter((view) => view.name !== called), { name: called, hash: location.hash }];
    said.textContent = keep() ? `“${called}” is saved in this browser.` : "This browser keeps nothing for this page: the view is gone when you leave. Copy the link instead.";
    name.value = "";
    list();
  };

  box.addEventListener("toggle", list);
  one("#view-save").addEventListener("click", save);
  name.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    save();
  });
  // What is typed here is no choice of the page's.
  for (const kind of ["input", "keydown"]) box.addEventListener(kind, (event) => event.stopPropagation());
  one("#view-copy").addEventListener("click", async () => {
    list();
    link.select();
    try {
      await navigator.clipboard.writeText(link.value);
      said.textContent = "The link is copied.";
    } catch {
      said.textContent = "Press Ctrl+C (⌘C) to copy the selected link.";
    }
  });
  window.addEventListener("hashchange", list);
  document.addEventListener("click", (event) => {
    // Also when what was pressed is gone by now.
    if (!event.composedPath().includes(box)) box.open = false;
  });
})();

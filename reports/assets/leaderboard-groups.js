// @ts-check
// Groups of methods, and variants of one method folded under its best one: rows move and hide, ranks and numbers stay.
"use strict";
window.marbench = window.marbench || {};
(() => {
  const { one, all } = window.marbench;
  /** @typedef {HTMLTableRowElement} Row */
  /** @typedef {{ title: string, order: number, rows: Row[] }} Group */
  /** @type {Record<string, string>} */
  const DOMAINS = { dual: "Dual domain", image: "Image domain", sinogram: "Sinogram domain", none: "No correction", "": "Domain not told" };
  const SPAN = 5;
  /** @type {WeakMap<Row, HTMLButtonElement>} */
  const buttons = new WeakMap();

  const rowsOf = (/** @type {HTMLElement} */ part) => /** @type {Row[]} */ (all("tr[data-method]", part));
  // The unranked come after all places.
  const placeOf = (/** @type {Row} */ row) => Number(row.cells[0].dataset.value || Infinity);
  const fieldOf = (/** @type {HTMLFormElement} */ form, /** @type {string} */ name) => {
    const field = form.elements.namedItem(name);
    return field instanceof HTMLInputElement || field instanceof HTMLSelectElement ? field : null;
  };

  /** @type {(row: Row, by: string) => { title: string, order: number }} */
  const groupOf = (row, by) => {
    const { domain = "", year } = row.dataset;
    // The group of the best method first.
    if (by === "domain") return { title: DOMAINS[domain] ?? domain, order: placeOf(row) };
    if (!year) return { title: "Without a year", order: Infinity };
    const start = Number(year) - (Number(year) % SPAN);
    return { title: `${start}–${start + SPAN - 1}`, order: -start };
  };

  /** @type {(rows: Row[], by: string) => Group[]} */
  const groups = (rows, by) => {
    /** @type {Map<string, Group>} */
    const found = new Map();
    for (const row of rows) {
      const { title, order } = groupOf(row, by);
      const group = found.get(title) ?? { title, order, rows: [] };
      group.rows.push(row);
      group.order = Math.min(group.order, order);
      found.set(title, group);
    }
    return [...found.values()].sort((a, b) => a.order - b.order);
  };

  /** @type {(table: HTMLTableElement, group: Group) => HTMLTableSectionElement} */
  const bodyOf = (table, { title, rows }) => {
    const body = document.createElement("tbody");
    const heading = document.createElement("th");
    const count = rows.filter((row) => !row.hidden).length;
    body.className = "group-of-methods";
    body.hidden = count === 0;
    heading.scope = "rowgroup";
    heading.colSpan = all("thead th", table).length;
    heading.append(`${title} `, Object.assign(document.createElement("small"), { textContent: `${count} method${count === 1 ? "" : "s"}` }));
    const row = body.insertRow();
    row.className = "divider heading";
    row.append(heading);
    body.append(...rows);
    return body;
  };

  // Put the ranked methods into one body, or into one for each group.
  /** @type {Shared["groupMethods"]} */
  const groupMethods = (table, form) => {
    const by = fieldOf(form, "group")?.value ?? "";
    const [home] = table.tBodies;
    if (home.classList.contains("incomplete")) return;
    for (const body of all(".group-of-methods", table)) {
      home.append(...rowsOf(body));
      body.remove();
    }
    const rows = rowsOf(home).sort((a, b) => placeOf(a) - placeOf(b));
    if (by) home.after(...groups(rows, by).map((group) => bodyOf(table, group)));
  };

  /** @type {(best: Row, count: number, open: boolean, toggle: () => void) => HTMLButtonElement} */
  const buttonOf = (best, count, open, toggle) => {
    const button = buttons.get(best) ?? document.createElement("button");
    button.type = "button";
    button.className = "unfold";
    button.textContent = `${count} variant${count === 1 ? "" : "s"}`;
    button.setAttribute("aria-expanded", String(open));
    button.onclick = () => { toggle(); button.focus(); };
    buttons.set(best, button);
    return button;
  };

  // Fold the variants of every method under the best of them that is on show; those that are open follow it.
  /** @type {Shared["foldVariants"]} */
  const foldVariants = (table, form) => {
    const folds = fieldOf(form, "fold");
    const named = fieldOf(form, "open");
    for (const row of rowsOf(table)) {
      row.classList.remove("folded", "variant");
      row.querySelector(".unfold")?.remove();
    }
    if (!(folds instanceof HTMLInputElement) || !folds.checked || !named) return;
    const open = new Set(named.value.split(",").filter(Boolean));
    for (const body of table.tBodies) {
      const shown = rowsOf(body).filter((row) => !row.hidden);
      for (const family of new Set(shown.map((row) => row.dataset.family ?? ""))) {
        const members = shown.filter((row) => row.dataset.family === family);
        if (members.length < 2) continue;
        const best = members.reduce((one, other) => (placeOf(other) < placeOf(one) ? other : one));
        const others = members.filter((row) => row !== best);
        const key = encodeURIComponent(family);
        best.after(...others);
        for (const row of others) {
          row.classList.add("variant");
          row.classList.toggle("folded", !open.has(key));
        }
        one("th", best).append(buttonOf(best, others.length, open.has(key), () => {
          if (!open.delete(key)) open.add(key);
          named.value = [...open].sort().join(",");
          form.dispatchEvent(new Event("input"));
        }));
      }
    }
  };

  Object.assign(window.marbench, { groupMethods, foldVariants });
})();

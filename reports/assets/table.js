// @ts-check
// Tables that sort by a click or a key on their headings. Rows stay within their body; missing values come last.
"use strict";
(() => {
  /** @typedef {{ number: number | null, text: string }} Key */
  /** @type {(text: string | undefined) => number | null} */
  const number = (text) => (text === "" || text === undefined || Number.isNaN(Number(text)) ? null : Number(text));
  /** @type {(table: HTMLTableElement) => HTMLCollectionOf<HTMLTableCellElement>} */
  const headingsOf = (table) => /** @type {HTMLTableSectionElement} */ (table.tHead).rows[0].cells;

  // What a cell sorts by: a number where both cells have one, else its text.
  /** @type {(cell: HTMLTableCellElement) => Key} */
  const cellKey = (cell) => {
    const values = /** @type {HTMLElement[]} */ ([...cell.querySelectorAll(".v")]);
    const shown = values.find((span) => span.offsetParent !== null) || cell;
    const text = shown.dataset.value ?? cell.dataset.value ?? (cell.textContent ?? "").trim();
    return { number: number(text), text };
  };

  /** @type {(a: Key, b: Key, sign: number) => number} */
  const compare = (a, b, sign) => {
    if (a.text === b.text) return 0;
    if (a.text === "" || a.text === "–") return 1;
    if (b.text === "" || b.text === "–") return -1;
    if (a.number !== null && b.number !== null) return sign * (a.number - b.number);
    return sign * a.text.localeCompare(b.text, "en", { numeric: true });
  };

  /** @type {Shared["sort"]} */
  const sort = (table, column, direction) => {
    const sign = direction === "descending" ? -1 : 1;
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("divider"));
      const keyed = rows.map((row) => ({ row, key: cellKey(row.cells[column]) }));
      keyed.sort((a, b) => compare(a.key, b.key, sign));
      body.append(...keyed.map((entry) => entry.row));
    }
    for (const heading of headingsOf(table)) {
      if (heading.cellIndex === column) heading.setAttribute("aria-sort", direction);
      else heading.removeAttribute("aria-sort");
    }
  };

  /** @type {(table: HTMLTableElement) => void} */
  const enable = (table) => {
    for (const heading of headingsOf(table)) {
      if (heading.dataset.sort === "none") continue;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const wanted = heading.dataset.start === "score" ? table.dataset.start : heading.dataset.start;
        const start = wanted === "descending" ? "descending" : "ascending";
        const other = start === "ascending" ? "descending" : "ascending";
        sort(table, heading.cellIndex, heading.getAttribute("aria-sort") === start ? other : start);
        table.dispatchEvent(new Event("sorted", { bubbles: true }));
      });
    }
  };

  for (const table of document.querySelectorAll("table.sortable")) enable(/** @type {HTMLTableElement} */ (table));
  window.marbench = { ...window.marbench, sort };
})();

// Tables that sort by a click or a key on their headings. Rows stay within their body; missing values come last.
"use strict";
(() => {
  const number = (text) => (text === "" || text === undefined || Number.isNaN(Number(text)) ? null : Number(text));

  // What a cell sorts by: a number where both cells have one, else its text.
  const cellKey = (cell) => {
    const shown = [...cell.querySelectorAll(".v")].find((span) => span.offsetParent !== null) || cell;
    const text = shown.dataset.value ?? cell.dataset.value ?? cell.textContent.trim();
    return { number: number(text), text };
  };

  const compare = (a, b, sign) => {
    if (a.text === b.text) return 0;
    if (a.text === "" || a.text === "–") return 1;
    if (b.text === "" || b.text === "–") return -1;
    if (a.number !== null && b.number !== null) return sign * (a.number - b.number);
    return sign * a.text.localeCompare(b.text, "en", { numeric: true });
  };

  const sort = (table, column, direction) => {
    const sign = direction === "descending" ? -1 : 1;
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("divider"));
      const keyed = rows.map((row) => ({ row, key: cellKey(row.cells[column]) }));
      keyed.sort((a, b) => compare(a.key, b.key, sign));
      body.append(...keyed.map((entry) => entry.row));
    }
    for (const heading of table.tHead.rows[0].cells) {
      if (heading.cellIndex === column) heading.setAttribute("aria-sort", direction);
      else heading.removeAttribute("aria-sort");
    }
  };

  const enable = (table) => {
    for (const heading of table.tHead.rows[0].cells) {
      if (heading.dataset.sort === "none") continue;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const start = (heading.dataset.start === "score" ? table.dataset.start : heading.dataset.start) || "ascending";
        const other = start === "ascending" ? "descending" : "ascending";
        sort(table, heading.cellIndex, heading.getAttribute("aria-sort") === start ? other : start);
        table.dispatchEvent(new Event("sorted", { bubbles: true }));
      });
    }
  };

  document.querySelectorAll("table.sortable").forEach(enable);
  window.marbench = { ...window.marbench, sort };
})();

// The leaderboard: views, conventions, filters, and copies for papers.
"use strict";
(() => {
  const tools = document.getElementById("tools");
  if (!tools) return;
  const data = JSON.parse(document.getElementById("board-data").textContent);
  const boards = [...document.querySelectorAll("section.board")];
  const status = document.getElementById("status");
  const { parse, print } = window.marbench;

  // What a board's numbers are: { convention, measures: name → { id, title, caption, digits, up }, views }.
  const aboutOf = (board) => data.boards[Number(board.dataset.index)];
  const measureOf = (board, span) => aboutOf(board).measures[span.dataset.measure];
  const leading = (board) => Object.keys(aboutOf(board).measures)[0];
  const valueOf = (span) => (span.dataset.value === "" ? null : Number(span.dataset.value));
  const spans = (row) => [...row.querySelectorAll(".cell .v, .apart .v")];
  const rowsOf = (board) => [...board.querySelectorAll("tr[data-method]")];
  const shownRows = (board) => rowsOf(board).filter((row) => !row.hidden);

  // What the server computed, to return to when no filter is set.
  for (const board of boards) {
    board.count = board.querySelector(".count").textContent;
    board.original = new Map();
    board.covers = rowsOf(board).map((row) => [row.querySelector(".cover"), row.querySelector(".cover").firstChild.textContent]);
    for (const row of rowsOf(board)) {
      const place = row.querySelector(".place");
      if (place) board.original.set(place, { text: place.textContent });
      for (const span of spans(row)) board.original.set(span, { text: span.textContent, value: span.dataset.value, name: span.className });
    }
  }

  const mean = (method, column, chosen) => {
    const counts = data.cells.counts[column][method];
    const sums = data.cells.sums[column][method];
    if (!counts) return null;
    let count = 0;
    let sum = 0;
    for (const index of chosen) {
      if (!counts[index]) continue;
      count += counts[index];
      sum += parse(sums[index]);
    }
    return count ? sum / count : null;
  };

  const strata = (region, material, group) => data.cells.strata
    .map((cell, index) => ({ cell, index }))
    .filter(({ cell }) => (!region || cell[0] === region) && (!material || cell[1].split(",").includes(material)))
    .filter(({ cell }) => group === "0" || String(cell[2]) === group)
    .map(({ index }) => index);

  const restore = (board) => {
    board.querySelector(".count").textContent = board.count;
    board.querySelector(".scope").textContent = "";
    for (const [cell, text] of board.covers) cell.firstChild.textContent = text;
    for (const [element, was] of board.original) {
      element.textContent = was.text;
      if (was.value !== undefined) { element.dataset.value = was.value; element.className = was.name; }
      else element.closest("td").dataset.value = was.text;
    }
  };

  const recompute = (board, region, material) => {
    const groups = new Map();
    const everywhere = strata(region, material, "0");
    const cases = Object.values(data.cells.counts[aboutOf(board).measures[leading(board)].id])
      .map((counts) => everywhere.reduce((sum, index) => sum + counts[index], 0));
    board.querySelector(".count").textContent = `${Math.max(0, ...cases).toLocaleString("en")} case${Math.max(0, ...cases) === 1 ? "" : "s"}`;
    board.querySelector(".scope").textContent = ` cases of ${[region, material].filter(Boolean).join(", ")} only`;
    const total = Math.max(0, ...cases);
    for (const row of shownRows(board)) {
      const good = data.cells.counts[aboutOf(board).measures[leading(board)].id][row.dataset.method] || [];
      row.querySelector(".cover").firstChild.textContent = `${everywhere.reduce((sum, index) => sum + (good[index] || 0), 0).toLocaleString("en")}/${total.toLocaleString("en")}`;
      for (const span of spans(row)) {
        const measure = measureOf(board, span);
        const group = span.closest("td").dataset.group ?? "0";
        if (!groups.has(group)) groups.set(group, strata(region, material, group));
        const value = mean(row.dataset.method, measure.id, groups.get(group));
        span.dataset.value = value === null ? "" : String(value);
        span.textContent = print(value, measure.digits);
      }
    }
  };

  // Best and second among the rows shown; equal printed digits are equal.
  const remark = (board) => {
    const columns = new Map();
    for (const row of shownRows(board)) {
      spans(row).forEach((span, place) => {
        span.className = "v";
        if (row.classList.contains("unranked") || valueOf(span) === null) return;
        if (!columns.has(place)) columns.set(place, []);
        columns.get(place).push(span);
      });
    }
    for (const column of columns.values()) {
      const { digits, up } = measureOf(board, column[0]);
      const printed = (span) => (Number.isFinite(valueOf(span)) ? Number(valueOf(span).toFixed(digits)) : valueOf(span));
      const levels = [...new Set(column.map(printed))].sort((a, b) => (up ? b - a : a - b));
      for (const span of column) {
        if (printed(span) === levels[0]) span.classList.add("best");
        else if (printed(span) === levels[1]) span.classList.add("second");
      }
    }
  };

  const rerank = (board) => {
    const ranked = shownRows(board).filter((row) => !row.classList.contains("unranked"));
    const name = leading(board);
    const sign = aboutOf(board).measures[name].up ? 1 : -1;
    const score = (row) => {
      const value = valueOf(row.querySelector(`.all [data-measure="${name}"]`));
      return value === null ? -Infinity : sign * value;
    };
    for (const row of ranked) {
      const rank = 1 + ranked.filter((other) => score(other) > score(row)).length;
      row.querySelector(".place").textContent = String(rank);
      row.cells[0].dataset.value = String(rank);
    }
  };

  const choice = (name) => tools.elements[name]?.value ?? "";

  // The order as an address carries it; that by rank needs no word.
  const sortOf = (board) => {
    const heading = board.querySelector("thead [aria-sort]");
    const up = heading.getAttribute("aria-sort") === "ascending";
    return heading.cellIndex || !up ? { column: String(heading.cellIndex), up } : null;
  };

  // Show the measures of a view; those that have a column of their own leave it to the view.
  const look = (board, view) => {
    const { measures, views } = aboutOf(board);
    const seen = views[view] || views.both;
    const table = board.querySelector("table");
    table.dataset.view = view;
    table.dataset.start = measures[seen[0]].up ? "descending" : "ascending";
    for (const span of table.querySelectorAll(".cell .v, .interval .v")) span.classList.toggle("aside", !seen.includes(span.dataset.measure));
    for (const cell of table.querySelectorAll(".apart")) cell.classList.toggle("aside", seen.includes(cell.dataset.measure));
    board.querySelector(".what").textContent = seen.map((name) => measures[name].title).join(" and ");
  };

  const update = () => {
    const view = choice("view");
    const chosen = choice("convention") || "0";
    const region = choice("region");
    const material = choice("material");
    const search = choice("search").trim().toLowerCase();
    for (const board of boards) {
      board.hidden = board.dataset.index !== chosen;
      const table = board.querySelector("table");
      restore(board);
      for (const row of rowsOf(board)) {
        row.hidden = (search !== "" && !`${row.dataset.title} ${row.dataset.method}`.toLowerCase().includes(search))
          || (choice("domain") !== "" && row.dataset.domain !== choice("domain"))
          || (choice("kind") !== "" && row.dataset.kind !== choice("kind"));
      }
      const filtered = rowsOf(board).some((row) => row.hidden) || region !== "" || material !== "";
      if (region || material) recompute(board, region, material);
      if (filtered) { remark(board); rerank(board); }
      look(board, view);
      window.marbench.showColumns(table, tools);
      board.classList.toggle("filtered", filtered);
      const divider = board.querySelector(".incomplete");
      if (divider) divider.hidden = ![...divider.querySelectorAll("tr[data-method]")].some((row) => !row.hidden);
      const sorted = table.tHead.querySelector("[aria-sort]");
      if (sorted) window.marbench.sort(table, sorted.cellIndex, sorted.getAttribute("aria-sort"));
      if (board.dataset.index === chosen) {
        // Ranks by size are of all methods on all cases.
        for (const figure of document.querySelectorAll("figure.ranks")) figure.hidden = filtered || figure.dataset.index !== chosen;
        report(board, filtered, region, material);
        window.marbench.writeAddress(tools, sortOf(board));
      }
    }
  };

  const report = (board, filtered, region, material) => {
    const shown = shownRows(board).length;
    const cases = [region, material].filter(Boolean).join(", ");
    status.textContent = filtered
      ? `Filtered: ${shown} of ${rowsOf(board).length} methods${cases ? `, cases of ${cases} only` : ""}. Ranks and marks refer to what is shown; intervals and tests refer to everything and are hidden.`
      : "";
  };

  for (const part of document.querySelectorAll(".later")) part.classList.remove("later");
  tools.addEventListener("input", update);
  tools.addEventListener("reset", () => setTimeout(() => {
    for (const board of boards) window.marbench.sort(board.querySelector("table"), 0, "ascending");
    update();
  }));
  tools.addEventListener("submit", (event) => event.preventDefault());
  // On a phone there is room for the means over all cases; the sizes are a tap away.
  if (matchMedia("(max-width: 600px)").matches) {
    tools.elements["column-sizes"].defaultChecked = false;
    tools.elements["column-sizes"].checked = false;
  }
  const order = window.marbench.readAddress(tools);
  for (const board of boards) {
    const headings = board.querySelectorAll("thead th");
    const sorted = order && headings[Number(order.column)];
    (sorted || headings[0]).setAttribute("aria-sort", !sorted || order.up ? "ascending" : "descending");
    board.addEventListener("sorted", () => window.marbench.writeAddress(tools, sortOf(board)));
  }
  update();

  window.marbench.bindCopies({ boards, aboutOf, shownRows, choice });
})();

// @ts-check
// The leaderboard: views, conventions, filters, and copies for papers.
"use strict";
(() => {
  const tools = document.getElementById("tools");
  if (!(tools instanceof HTMLFormElement)) return;
  const { MISSING, counted, one, all } = window.marbench;
  /** @type {BoardData} */
  const data = JSON.parse(one("#board-data").textContent ?? "");
  const boards = all("section.board");
  const FILTERS = ["search", "domain", "kind", "region", "material"];
  const status = one("#status");

  /** @type {(board: HTMLElement) => BoardInfo} */
  const aboutOf = (board) => data.boards[Number(board.dataset.index)];
  /** @type {(board: HTMLElement, span: HTMLElement) => MeasureInfo} */
  const measureOf = (board, span) => aboutOf(board).measures[span.dataset.measure ?? ""];
  /** @type {(board: HTMLElement) => string} */
  const leading = (board) => Object.keys(aboutOf(board).measures)[0];
  /** @type {(span: HTMLElement) => number | null} */
  const valueOf = (span) => (span.dataset.value === "" ? null : Number(span.dataset.value));
  /** @type {(row: HTMLElement) => HTMLElement[]} */
  const spans = (row) => all(".cell .v, .apart .v", row);
  const rowsOf = (/** @type {HTMLElement} */ board) => /** @type {HTMLTableRowElement[]} */ (all("tr[data-method]", board));
  const shownRows = (/** @type {HTMLElement} */ board) => rowsOf(board).filter((row) => !row.hidden);
  const tableOf = (/** @type {HTMLElement} */ board) => /** @type {HTMLTableElement} */ (one("table", board));
  // How many cases went well, of how many.
  const coverOf = (/** @type {HTMLElement} */ row) => /** @type {Text} */ (one(".cover", row).firstChild);
  const cellOf = (/** @type {HTMLElement} */ part) => /** @type {HTMLElement} */ (part.closest("td"));

  // What the server computed, to return to when no filter is set.
  const originals = new Map(boards.map((board) => {
    const places = all(".place", board).map((place) => ({ place, text: place.textContent }));
    const scores = rowsOf(board).flatMap(spans).map((span) => ({ span, parts: [...span.childNodes], value: span.dataset.value, name: span.className }));
    const covers = rowsOf(board).map((row) => ({ row, text: coverOf(row).data, value: one(".cover", row).dataset.value }));
    return [board, { count: one(".count", board).textContent, places, scores, covers }];
  }));

  const restore = (/** @type {HTMLElement} */ board) => {
    const was = originals.get(board);
    if (!was) return;
    one(".count", board).textContent = was.count;
    one(".scope", board).textContent = "";
    for (const { row, text, value } of was.covers) {
      coverOf(row).data = text;
      one(".cover", row).dataset.value = value;
      for (const part of all(".cover .bad", row)) part.hidden = false;
    }
    for (const { place, text } of was.places) {
      place.textContent = text;
      cellOf(place).dataset.value = text === MISSING ? "" : text ?? "";
    }
    for (const { span, parts, value, name } of was.scores) {
      span.replaceChildren(...parts);
      span.dataset.value = value;
      span.className = name;
    }
  };

  /** @type {(board: HTMLElement, region: string, material: string) => void} */
  const recompute = (board, region, material) => {
    const { total, good, mean } = window.marbench.casesOf(data.cells, region, material);
    one(".count", board).textContent = counted(total);
    one(".scope", board).textContent = ` cases of ${[region, material].filter(Boolean).join(", ")} only`;
    for (const row of shownRows(board)) {
      const method = row.dataset.method ?? "";
      const went = good(method);
      coverOf(row).data = `${went.toLocaleString("en")}/${total.toLocaleString("en")}`;
      one(".cover", row).dataset.value = String(went);
      // What became of the others is known of all cases together.
      for (const part of all(".cover .bad", row)) part.hidden = true;
      for (const span of spans(row)) {
        const { value, parts } = mean(method, measureOf(board, span), cellOf(span).dataset.group ?? "0");
        span.dataset.value = value === null ? "" : String(value);
        span.replaceChildren(...parts);
      }
    }
  };

  // Best and second among the rows shown; equal printed digits are equal.
  const remark = (/** @type {HTMLElement} */ board) => {
    /** @type {Map<number, HTMLElement[]>} */
    const columns = new Map();
    for (const row of shownRows(board)) {
      spans(row).forEach((span, place) => {
        span.className = "v";
        if (row.classList.contains("unranked") || valueOf(span) === null) return;
        columns.set(place, [...(columns.get(place) ?? []), span]);
      });
    }
    for (const column of columns.values()) {
      const { digits, up } = measureOf(board, column[0]);
      const printed = (/** @type {HTMLElement} */ span) => {
        const value = valueOf(span) ?? NaN;
        return Number.isFinite(value) ? Number(value.toFixed(digits)) : value;
      };
      const levels = [...new Set(column.map(printed))].sort((a, b) => (up ? b - a : a - b));
      for (const span of column) {
        if (printed(span) === levels[0]) span.classList.add("best");
        else if (printed(span) === levels[1]) span.classList.add("second");
      }
    }
  };

  const rerank = (/** @type {HTMLElement} */ board) => {
    const ranked = shownRows(board).filter((row) => !row.classList.contains("unranked"));
    const name = leading(board);
    const sign = aboutOf(board).measures[name].up ? 1 : -1;
    const score = (/** @type {HTMLElement} */ row) => sign * (valueOf(one(`.all [data-measure="${name}"]`, row)) ?? NaN);
    for (const row of ranked) {
      // Without a number there is no rank.
      const rank = Number.isNaN(score(row)) ? "" : String(1 + ranked.filter((other) => score(other) > score(row)).length);
      one(".place", row).textContent = rank || MISSING;
      row.cells[0].dataset.value = rank;
    }
  };

  /** @type {(name: string) => string} */
  const choice = (name) => {
    const field = tools.elements.namedItem(name);
    return field && "value" in field ? String(field.value) : "";
  };
  /** @type {Copied["words"]} */
  const words = (names) => window.marbench.wordsOf(tools, names);

  // The order as an address carries it; that by rank needs no word.
  /** @type {(board: HTMLElement) => Order | null} */
  const sortOf = (board) => {
    const heading = /** @type {HTMLTableCellElement} */ (one("thead [aria-sort]", board));
    const up = heading.getAttribute("aria-sort") === "ascending";
    return heading.cellIndex || !up ? { column: String(heading.cellIndex), up } : null;
  };

  // Show the measures of a view; those that have a column of their own leave it to the view.
  /** @type {(board: HTMLElement, view: string) => void} */
  const look = (board, view) => {
    const { measures, views } = aboutOf(board);
    const key = views[view] ? view : "both"; // another convention may lack what was chosen
    const seen = views[key];
    const table = tableOf(board);
    table.dataset.view = key;
    table.dataset.start = measures[seen[0]].up ? "descending" : "ascending";
    for (const span of all(".cell .v, .interval .v", table)) span.classList.toggle("aside", !seen.includes(span.dataset.measure ?? ""));
    for (const cell of all(".apart", table)) cell.classList.toggle("aside", seen.includes(cell.dataset.measure ?? ""));
    one(".what", board).textContent = seen.map((name) => measures[name].title).join(" and ");
  };

  const update = () => {
    const view = choice("view");
    const chosen = choice("convention") || "0";
    const region = choice("region");
    const material = choice("material");
    const search = choice("search").trim().toLowerCase();
    for (const board of boards) {
      board.hidden = board.dataset.index !== chosen;
      const table = tableOf(board);
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
      window.marbench.groupMethods(table, tools);
      board.classList.toggle("filtered", filtered);
      for (const part of all(".incomplete", board)) part.hidden = all("tr[data-method]", part).every((row) => row.hidden);
      const order = sortOf(board);
      window.marbench.sort(table, Number(order?.column ?? 0), order?.up === false ? "descending" : "ascending");
      window.marbench.foldVariants(table, tools);
      if (board.dataset.index === chosen) {
        // Ranks by size are of all methods on all cases.
        for (const figure of all("figure.ranks")) figure.hidden = filtered || figure.dataset.index !== chosen;
        report(board, filtered);
        window.marbench.writeAddress(tools, sortOf(board));
      }
    }
  };

  // On paper this is all that tells of the filters.
  /** @type {(board: HTMLElement, filtered: boolean) => void} */
  const report = (board, filtered) => {
    const found = [`${shownRows(board).length} of ${rowsOf(board).length} methods`, ...words(FILTERS)];
    status.textContent = filtered
      ? `Filtered: ${found.join("; ")}. Ranks and marks refer to what is shown; intervals and tests refer to everything and are hidden.`
      : "";
  };

  for (const part of all(".later")) part.classList.remove("later");
  tools.addEventListener("input", update);
  tools.addEventListener("reset", () => setTimeout(() => {
    for (const board of boards) window.marbench.sort(tableOf(board), 0, "ascending");
    update();
  }));
  tools.addEventListener("submit", (event) => event.preventDefault());
  // On a phone there is room for the means over all cases; the sizes are a tap away.
  if (matchMedia("(max-width: 600px)").matches) {
    const sizes = /** @type {HTMLInputElement} */ (one("[name=column-sizes]", tools));
    sizes.defaultChecked = false;
    sizes.checked = false;
  }
  const order = window.marbench.readAddress(tools);
  for (const board of boards) {
    const headings = all("thead th", board);
    const sorted = order && headings[Number(order.column)];
    for (const heading of headings) heading.removeAttribute("aria-sort");
    (sorted || headings[0]).setAttribute("aria-sort", !sorted || order.up ? "ascending" : "descending");
    board.addEventListener("sorted", () => {
      window.marbench.foldVariants(tableOf(board), tools);
      window.marbench.writeAddress(tools, sortOf(board));
    });
  }
  update();

  /** @type {Copied["shownRows"]} */
  const unfolded = (board) => shownRows(board).filter((row) => !row.classList.contains("folded"));
  window.marbench.bindCopies({ data, boards, aboutOf, shownRows: unfolded, choice, words });
})();

// @ts-check
// The table of cases: scores come in sidecar scripts, one per measure; a page of rows is built at a time.
"use strict";
(() => {
  const { load, parse, print, one, all } = window.marbench;
  /** @type {ExplorerData} */
  const data = JSON.parse(one("#explorer-data").textContent ?? "");
  const tools = /** @type {HTMLFormElement} */ (one("#explorer-tools"));
  const table = one("#cases");
  const headings = all("thead th", table);
  const before = /** @type {HTMLButtonElement} */ (one("#page-before"));
  const after = /** @type {HTMLButtonElement} */ (one("#page-after"));
  const paging = /** @type {HTMLInputElement} */ (tools.elements.namedItem("page"));
  const ROWS = 25;
  /** @typedef {(number | null)[]} Column one value per case */
  /** @type {Map<string, Column[]>} */
  const scores = new Map();
  /** @type {Cases | null} */
  let loaded = null;
  /** @type {number[]} */
  let order = [];
  /** @type {Order} */
  let sorting = { column: "mean", up: true };
  /** @type {{ mean: Column, spread: Column } | null} */
  let summary = null;

  /** @type {(name: string) => string} */
  const choice = (name) => {
    const field = tools.elements.namedItem(name);
    return field && "value" in field ? String(field.value) : "";
  };
  const measure = () => data.measures[Number(choice("measure"))];
  // Mean and spread of every case over the methods that count; infinite scores stand aside.
  /** @type {(cases: Cases, values: Column[]) => { mean: Column, spread: Column }} */
  const summarise = (cases, values) => {
    /** @type {Column} */
    const mean = [];
    /** @type {Column} */
    const spread = [];
    for (let at = 0; at < cases.ids.length; at += 1) {
      const finite = /** @type {number[]} */ (data.judged.map((method) => values[method][at]).filter(Number.isFinite));
      mean.push(finite.length ? finite.reduce((sum, value) => sum + value, 0) / finite.length : null);
      spread.push(finite.length ? Math.max(...finite) - Math.min(...finite) : null);
    }
    return { mean, spread };
  };

  /** @typedef {{ status: string, message: string }} Failure */
  /** @type {(cases: Cases) => Map<string, Failure>} what became of "method case" */
  const failures = (cases) => {
    const found = new Map();
    for (const [method, at, status, message] of cases.failures) found.set(`${method} ${at}`, { status, message });
    return found;
  };

  /** @type {(cases: Cases, column: string, at: number) => string | number | null | undefined} */
  const keyOf = (cases, column, at) => {
    const values = scores.get(measure().key) ?? [];
    switch (column) {
      case "id": return at;
      case "group": return cases.groups[at];
      case "area": return cases.areas[at];
      case "region": return cases.regionNames[cases.regions[at]];
      case "material": return cases.materialNames[cases.materials[at]];
      case "mean": return summary?.mean[at];
      case "spread": return summary?.spread[at];
      default: return values[Number(column)][at];
    }
  };

  /** @type {(cases: Cases, at: number, wanted: Record<string, string>, bad: { by: Map<string, Failure>, any: Set<number> }) => boolean} */
  const passes = (cases, at, wanted, bad) => {
    if (wanted.region && cases.regionNames[cases.regions[at]] !== wanted.region) return false;
    if (wanted.material && !cases.materialNames[cases.materials[at]].split(",").includes(wanted.material)) return false;
    if (wanted.group && cases.groups[at] !== Number(wanted.group)) return false;
    if (wanted.search && !cases.ids[at].toLowerCase().includes(wanted.search)) return false;
    if (wanted.status === "fine") return !bad.any.has(at);
    if (wanted.status === "failed") return bad.any.has(at);
    if (wanted.status) return bad.by.has(`${wanted.status.slice(7)} ${at}`);
    return true;
  };

  const arrange = () => {
    const cases = loaded;
    if (!cases || !summary) return;
    const wanted = Object.fromEntries(["region", "material", "group", "status", "search"].map((name) => [name, choice(name)]));
    wanted.search = wanted.search.trim().toLowerCase();
    const bad = { by: failures(cases), any: new Set(cases.failures.map((failure) => failure[1])) };
    const { column, up } = sorting;
    const keys = cases.ids.map((_, at) => keyOf(cases, column, at));
    const compare = (/** @type {number} */ a, /** @type {number} */ b) => {
      const [first, second] = [keys[a] ?? "", keys[b] ?? ""];
      if (first === "" || second === "") return Number(first === "") - Number(second === "") || a - b;
      const sign = up ? 1 : -1;
      return (first < second ? -sign : first > second ? sign : 0) || a - b;
    };
    order = [...cases.ids.keys()].filter((at) => passes(cases, at, wanted, bad)).sort(compare);
    one("#explorer-said").textContent = "";
    const found = [`${order.length} of ${cases.ids.length} cases`, ...window.marbench.wordsOf(tools, Object.keys(wanted))];
    one("#explorer-status").textContent = order.length < cases.ids.length ? found.join("; ") : "";
    show();
  };

  /** @type {(text: string, className?: string) => HTMLTableCellElement} */
  const cell = (text, className) => {
    const made = document.createElement("td");
    made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  // What became of a method, as a button that tells what it said: text that a phone can show and anybody can copy.
  /** @type {(failure: Failure, where: string) => HTMLButtonElement} */
  const sayer = ({ status, message }, where) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "said";
    button.textContent = status;
    button.addEventListener("click", () => { one("#explorer-said").textContent = `${where}: ${status}. ${message}`; });
    return button;
  };

  /** @type {(cases: Cases, at: number, values: Column[], bad: Map<string, Failure>) => HTMLTableRowElement} */
  const row = (cases, at, values, bad) => {
    const { digits, up } = measure();
    const made = document.createElement("tr");
    const name = document.createElement("th");
    name.scope = "row";
    name.textContent = cases.ids[at];
    if (cases.pictures.includes(at)) {
      const link = document.createElement("a");
      link.href = `gallery.html#${new URLSearchParams({ case: cases.ids[at] })}`;
      link.textContent = "Pictures";
      name.append(" ", link);
    }
    made.append(
      name, cell(print(cases.groups[at], 0)), cell(print(cases.areas[at], 0)),
      cell(cases.regionNames[cases.regions[at]], "text"), cell(cases.materialNames[cases.materials[at]].replaceAll(",", " + "), "text"),
      cell(print(summary?.mean[at], digits)), cell(print(summary?.spread[at], digits)),
    );
    const own = values.map((list) => list[at]);
    const present = /** @type {number[]} */ (own.filter((value) => value !== null));
    const best = print(up ? Math.max(...present) : Math.min(...present), digits);
    own.forEach((value, method) => {
      const failure = bad.get(`${method} ${at}`);
      const text = failure ? failure.status : print(value, digits);
      const score = cell(text, failure ? "failed" : text === best && present.length > 1 ? "best" : "");
      if (failure && failure.message) score.replaceChildren(sayer(failure, `${data.titles[method]} on ${cases.ids[at]}`));
      made.append(score);
    });
    return made;
  };

  const show = () => {
    const cases = loaded;
    if (!cases) return;
    const values = scores.get(measure().key) ?? [];
    const bad = failures(cases);
    const last = Math.max(1, Math.ceil(order.length / ROWS));
    const page = Math.min(last, Math.max(1, Math.round(Number(paging.value)) || 1));
    const from = (page - 1) * ROWS;
    one("tbody", table).replaceChildren(...order.slice(from, from + ROWS).map((at) => row(cases, at, values, bad)));
    for (const heading of headings) {
      if (heading.dataset.column === sorting.column) heading.setAttribute("aria-sort", sorting.up ? "ascending" : "descending");
      else heading.removeAttribute("aria-sort");
    }
    one("#shown-measure").textContent = measure().key;
    one("#page-now").textContent = order.length ? `${from + 1}–${Math.min(order.length, from + ROWS)} of ${order.length} case${order.length === 1 ? "" : "s"}` : "No case";
    before.disabled = page === 1;
    after.disabled = page === last;
    paging.value = String(page);
    window.marbench.writeAddress(tools, choice("order") ? null : sorting);
  };

  const orderBy = (/** @type {string} */ name) => {
    // With an error measure the worst case has the largest mean.
    sorting = name === "disputed" ? { column: "spread", up: false } : { column: "mean", up: measure().up };
  };

  const reflectOrder = () => {
    const { column, up } = sorting;
    const now = column === "spread" && !up ? "disputed" : column === "mean" && up === measure().up ? "worst" : "";
    for (const input of /** @type {HTMLInputElement[]} */ (all("[name=order]", tools))) input.checked = input.value === now;
  };

  const choose = async () => {
    const chosen = measure();
    const keepOrder = choice("order");
    try {
      await load("explorer/cases.js");
      loaded = window.marbenchCases.cases;
      if (!scores.has(chosen.key)) {
        await load(chosen.file);
        scores.set(chosen.key, window.marbenchCases[chosen.key].map((/** @type {Stored[]} */ list) => list.map(parse)));
      }
    } catch (problem) {
      if (measure() !== chosen) return;
      const file = problem instanceof Error ? problem.message : chosen.file;
      one("#explorer-status").textContent = `${file} could not be loaded. It must lie beside this page.`;
      return;
    }
    if (measure() !== chosen) return;
    summary = summarise(loaded, scores.get(chosen.key) ?? []);
    if (keepOrder) orderBy(keepOrder);
    arrange();
  };

  for (const heading of headings) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      if (!loaded) return;
      const column = heading.dataset.column ?? "";
      const first = !["area", "spread"].includes(column);
      sorting = { column, up: sorting.column === column ? !sorting.up : first };
      paging.value = "1";
      reflectOrder();
      arrange();
    });
  }
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.addEventListener("input", (event) => {
    const name = event.target instanceof Element ? event.target.getAttribute("name") : "";
    paging.value = "1";
    if (name === "measure") { choose(); return; }
    if (name === "order") orderBy(choice("order"));
    arrange();
  });
  tools.addEventListener("reset", () => setTimeout(choose));
  const turn = (/** @type {number} */ by) => { if (!summary) return; paging.value = String(Number(paging.value) + by); show(); table.scrollIntoView({ block: "nearest" }); };
  before.addEventListener("click", () => turn(-1));
  after.addEventListener("click", () => turn(1));
  const named = window.marbench.readAddress(tools);
  if (named && headings.some((heading) => heading.dataset.column === named.column)) {
    sorting = named;
    reflectOrder();
  }
  choose();
})();

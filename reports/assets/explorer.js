// The table of cases: scores come in sidecar scripts, one per measure; a page of rows is built at a time.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const { load, parse, print } = window.marbench;
  const find = (id) => document.getElementById(id);
  const tools = find("explorer-tools");
  const table = find("cases");
  const ROWS = 25;
  const scores = new Map();
  let cases = null;
  let order = [];
  let sorting = { column: "mean", up: true };
  let page = 0;
  let summary = null;

  const measure = () => data.measures[Number(tools.elements.measure.value)];
  // Mean and spread of every case over the methods that count; infinite scores stand aside.
  const summarise = (values) => {
    const mean = [];
    const spread = [];
    for (let at = 0; at < cases.ids.length; at += 1) {
      const finite = data.judged.map((method) => values[method][at]).filter((value) => value !== null && Number.isFinite(value));
      mean.push(finite.length ? finite.reduce((sum, value) => sum + value, 0) / finite.length : null);
      spread.push(finite.length ? Math.max(...finite) - Math.min(...finite) : null);
    }
    return { mean, spread };
  };

  const failures = () => {
    const found = new Map();
    for (const [method, at, status, message] of cases.failures) found.set(`${method} ${at}`, { status, message });
    return found;
  };

  const keyOf = (column, at) => {
    const values = scores.get(measure().key);
    switch (column) {
      case "id": return at;
      case "group": return cases.groups[at];
      case "area": return cases.areas[at];
      case "region": return cases.regionNames[cases.regions[at]];
      case "material": return cases.materialNames[cases.materials[at]];
      case "mean": return summary.mean[at];
      case "spread": return summary.spread[at];
      default: return values[Number(column)][at];
    }
  };

  const passes = (at, wanted, bad) => {
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
    const fields = tools.elements;
    const wanted = { search: fields.search.value.trim().toLowerCase() };
    for (const name of ["region", "material", "group", "status"]) wanted[name] = fields[name].value;
    const bad = { by: failures(), any: new Set(cases.failures.map((failure) => failure[1])) };
    const { column, up } = sorting;
    const keys = cases.ids.map((_, at) => keyOf(column, at));
    const missing = (value) => value === null || value === undefined || value === "";
    const compare = (a, b) => {
      const [one, other] = [keys[a], keys[b]];
      if (missing(one) || missing(other)) return missing(one) - missing(other) || a - b;
      const sign = up ? 1 : -1;
      return (one < other ? -sign : one > other ? sign : 0) || a - b;
    };
    order = [...cases.ids.keys()].filter((at) => passes(at, wanted, bad)).sort(compare);
    page = 0;
    find("explorer-said").textContent = "";
    find("explorer-status").textContent = order.length < cases.ids.length ? `${order.length} of ${cases.ids.length} cases` : "";
    window.marbench.writeAddress(tools, chosenOrder() ? null : sorting);
    show();
  };

  const cell = (text, className) => {
    const made = document.createElement("td");
    made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  // What became of a method, as a button that tells what it said: text that a phone can show and anybody can copy.
  const sayer = ({ status, message }, where) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "said";
    button.textContent = status;
    button.addEventListener("click", () => { find("explorer-said").textContent = `${where}: ${status}. ${message}`; });
    return button;
  };

  const row = (at, values, bad, pictures) => {
    const { digits, up } = measure();
    const made = document.createElement("tr");
    const name = document.createElement("th");
    name.scope = "row";
    name.textContent = cases.ids[at];
    if (pictures.has(at)) {
      const link = document.createElement("a");
      link.href = `gallery.html#${new URLSearchParams({ case: cases.ids[at] })}`;
      link.textContent = "Pictures";
      name.append(" ", link);
    }
    made.append(
      name, cell(print(cases.groups[at], 0)), cell(print(cases.areas[at], 0)),
      cell(cases.regionNames[cases.regions[at]], "text"), cell(cases.materialNames[cases.materials[at]].replaceAll(",", " + "), "text"),
      cell(print(summary.mean[at], digits)), cell(print(summary.spread[at], digits)),
    );
    const all = values.map((list) => list[at]);
    const present = all.filter((value) => value !== null);
    const best = print(up ? Math.max(...present) : Math.min(...present), digits);
    all.forEach((value, method) => {
      const failure = bad.get(`${method} ${at}`);
      const text = failure ? failure.status : print(value, digits);
      const score = cell(text, failure ? "failed" : text === best && present.length > 1 ? "best" : "");
      if (failure && failure.message) score.replaceChildren(sayer(failure, `${data.titles[method]} on ${cases.ids[at]}`));
      made.append(score);
    });
    return made;
  };

  const show = () => {
    const values = scores.get(measure().key);
    const [bad, pictures] = [failures(), new Set(cases.pictures)];
    const from = page * ROWS;
    table.tBodies[0].replaceChildren(...order.slice(from, from + ROWS).map((at) => row(at, values, bad, pictures)));
    for (const heading of table.tHead.rows[0].cells) {
      if (heading.dataset.column === sorting.column) heading.setAttribute("aria-sort", sorting.up ? "ascending" : "descending");
      else heading.removeAttribute("aria-sort");
    }
    find("shown-measure").textContent = measure().key;
    const last = Math.max(1, Math.ceil(order.length / ROWS));
    find("page-now").textContent = order.length ? `${from + 1}–${Math.min(order.length, from + ROWS)} of ${order.length}` : "No case";
    find("page-before").disabled = page === 0;
    find("page-after").disabled = page + 1 >= last;
  };

  const chosenOrder = () => tools.elements.order.value;

  const orderBy = (name) => {
    // With an error measure the worst case has the largest mean.
    sorting = name === "disputed" ? { column: "spread", up: false } : { column: "mean", up: measure().up };
  };

  const reflectOrder = () => {
    const { column, up } = sorting;
    const now = column === "spread" && !up ? "disputed" : column === "mean" && up === measure().up ? "worst" : "";
    for (const input of tools.elements.order) input.checked = input.value === now;
  };

  const choose = async () => {
    const chosen = measure();
    const keepOrder = chosenOrder();
    try {
      if (!cases) {
        await load("explorer/cases.js");
        cases = window.marbenchCases.cases;
      }
      if (!scores.has(chosen.key)) {
        await load(chosen.file);
        scores.set(chosen.key, window.marbenchCases[chosen.key].map((list) => list.map(parse)));
      }
    } catch (problem) {
      find("explorer-status").textContent = `${problem.message} could not be loaded. It must lie beside this page.`;
      return;
    }
    if (measure() !== chosen) return;
    summary = summarise(scores.get(chosen.key));
    if (keepOrder) orderBy(keepOrder);
    arrange();
  };

  for (const heading of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      if (!cases) return;
      const { column } = heading.dataset;
      const first = !["area", "spread"].includes(column);
      sorting = { column, up: sorting.column === column ? !sorting.up : first };
      reflectOrder();
      arrange();
    });
  }
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.addEventListener("input", (event) => {
    if (event.target.name === "measure") { choose(); return; }
    if (event.target.name === "order") orderBy(event.target.value);
    if (summary) arrange();
  });
  tools.addEventListener("reset", () => setTimeout(choose));
  const turn = (by) => { if (!summary) return; page += by; show(); table.scrollIntoView({ block: "nearest" }); };
  find("page-before").addEventListener("click", () => turn(-1));
  find("page-after").addEventListener("click", () => turn(1));
  const named = window.marbench.readAddress(tools);
  if (named && [...table.tHead.rows[0].cells].some((heading) => heading.dataset.column === named.column)) {
    sorting = named;
    reflectOrder();
  }
  choose();
})();

// The gallery: one case at a time, all methods, as a grid, one in the place of the other, or two with a divider.
"use strict";
(() => {
  const G = window.marbenchGallery;
  const data = JSON.parse(document.getElementById("gallery-data").textContent);
  const find = (id) => document.getElementById(id);
  const root = find("viewer");
  const panesBox = find("panes");
  const tools = find("gallery-tools");
  const SINOGRAM_WINDOW = [0, 6000];
  const byId = new Map(data.cases.map((item) => [item.id, item]));

  let state = G.readState();
  let current = null;
  let pictures = new Map();
  let panes = [];
  let painted = "";
  let frame = 0;
  let saving = 0;

  const minus = (text) => text.replace("-", "−");
  const windowNow = () => state.window || (state.view === "sinogram" ? SINOGRAM_WINDOW : current.window);

  // The pictures of a view, in the order in which they are shown: { key, label, file, array }.
  const listed = () => {
    if (state.view === "sinogram") {
      return [
        { key: "measured", label: "Measured", file: current.sinograms },
        { key: "metal-free", label: "Without metal", file: current.sinograms },
      ];
    }
    const methods = data.methods.filter((name) => current.files[name]);
    return [
      { key: "truth", name: "truth", label: "Truth", file: current.case },
      { key: "uncorrected", name: "uncorrected", label: "Uncorrected", file: current.case },
      ...methods.map((name, index) => ({ key: `method ${name}`, name, label: data.titles[name], file: current.files[name], key_number: index + 1 })),
    ];
  };

  const scoresOf = (entry) => {
    const values = current.scores[entry.key === "uncorrected" ? data.uncorrected : entry.name];
    if (state.view === "sinogram" || entry.key === "truth" || !values) return "";
    const { parse, print } = window.marbench;
    return data.measures.map(([title, unit, digits], index) => `${title} ${print(parse(values[index]), digits)}${unit ? ` ${unit}` : ""}`).join(" · ");
  };

  // --- what is computed from the arrays ---

  const valueAt = (picture, [row, column]) => {
    const { array } = picture;
    if (row < 0 || column < 0 || row >= array.rows || column >= array.columns) return "";
    const index = row * array.columns + column;
    if (state.view === "sinogram") return minus((array.values[index] / 1000).toFixed(3));
    const metal = current.metal && current.metal.values[index] ? ", metal" : "";
    if (state.view === "error" && picture.key !== "truth") {
      const error = G.difference(array, current.truth, index);
      return `${error > 0 ? "+" : ""}${minus(String(error))} HU${metal}`;
    }
    return `${minus(String(array.values[index]))} HU${metal}`;
  };

  const paint = () => {
    const [low, high] = windowNow();
    const wanted = `${state.case} ${state.view} ${low} ${high}`;
    if (wanted !== painted) for (const picture of pictures.values()) picture.fresh = false;
    painted = wanted;
    let grey = null;
    let signed = null;
    for (const picture of pictures.values()) {
      if (!picture.array || picture.fresh || !shown().some((entry) => entry.key === picture.key)) continue;
      picture.fresh = true;
      if (state.view === "error" && picture.key !== "truth") {
        if (!current.truth || !current.metal) { picture.fresh = false; continue; }
        G.paintError(picture.canvas, picture.array, current.truth, current.metal, (signed ||= G.signed(data.error)));
      } else G.paintValues(picture.canvas, picture.array, (grey ||= G.grey(low, high)));
    }
  };

  // --- what is on the page ---

  const shown = () => {
    const all = listed();
    if (state.layout === "flip") return all.filter((entry) => entry.key === state.pick);
    if (state.layout === "swipe") return all.filter((entry) => entry.key === state.left || entry.key === state.right);
    return all.filter((entry) => !state.hide.includes(entry.name));
  };

  const settle = () => {
    const keys = listed().map((entry) => entry.key);
    const preferred = keys.length > 2 ? keys[2] : keys[1];
    if (!keys.includes(state.pick)) state.pick = preferred;
    if (!keys.includes(state.left)) state.left = keys[1];
    if (!keys.includes(state.right)) state.right = preferred === state.left ? keys[0] : preferred;
    const half = 0.5 / state.zoom;
    state.zoom = G.short(state.zoom);
    state.at = G.short(state.at);
    state.x = G.short(G.between(state.x, half, 1 - half));
    state.y = G.short(G.between(state.y, half, 1 - half));
    if (state.insetAt) state.insetAt = state.insetAt.map(G.short);
  };

  const build = () => {
    const entries = state.layout === "swipe" ? [listed().find((entry) => entry.key === state.left)] : shown();
    panesBox.replaceChildren();
    panesBox.dataset.layout = state.layout;
    panes = entries.map((entry) => {
      const pane = G.makePane(entry.label);
      pane.key = entry.key;
      pane.number.textContent = entry.key === "truth" ? "t" : entry.key === "uncorrected" ? "u" : entry.key_number > 0 && entry.key_number < 10 ? String(entry.key_number) : "";
      pane.number.hidden = pane.number.textContent === "";
      pane.scores.textContent = scoresOf(entry);
      if (state.layout === "swipe") {
        const right = listed().find((other) => other.key === state.right);
        pane.number.hidden = true;
        pane.name.textContent = `${entry.label} | ${right.label}`;
        pane.canvas.setAttribute("aria-label", `${entry.label}, left of the divider; ${right.label}, right of it`);
        pane.scores.textContent = "";
      }
      G.listen(pane.canvas, hooks);
      pane.canvas.addEventListener("focus", () => { root.dataset.focused = entry.key; });
      panesBox.append(pane.root);
      return pane;
    });
    buildChoices();
  };

  const option = (entry, selected) => {
    const made = G.element("option", "", entry.label);
    made.value = entry.key;
    made.selected = entry.key === selected;
    return made;
  };

  const buildChoices = () => {
    const all = listed();
    find("flip-choice").replaceChildren(...all.map((entry) => {
      const button = G.element("button", "", entry.label);
      button.type = "button";
      button.setAttribute("aria-pressed", String(entry.key === state.pick));
      button.addEventListener("click", () => change({ pick: entry.key }));
      return button;
    }));
    find("swipe-left").replaceChildren(...all.map((entry) => option(entry, state.left)));
    find("swipe-right").replaceChildren(...all.map((entry) => option(entry, state.right)));
    find("shown-choice").replaceChildren(...all.map((entry) => {
      const label = G.element("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = !state.hide.includes(entry.name);
      box.addEventListener("change", () => change({ hide: box.checked ? state.hide.filter((name) => name !== entry.name) : [...state.hide, entry.name] }));
      label.append(box, ` ${entry.label}`);
      return label;
    }));
    find("flip-tools").hidden = state.layout !== "flip";
    find("swipe-tools").hidden = state.layout !== "swipe";
    find("shown-tools").hidden = state.layout !== "grid" || state.view === "sinogram";
  };

  const reflect = () => {
    const [low, high] = windowNow();
    for (const name of ["view", "layout"]) for (const input of tools.elements[name]) input.checked = input.value === state[name];
    find("contour").setAttribute("aria-pressed", String(state.contour));
    find("inset").setAttribute("aria-pressed", String(state.inset));
    find("inset").disabled = state.view === "sinogram" || state.layout === "swipe";
    const scale = state.view === "sinogram" ? 1000 : 1;
    if (document.activeElement !== find("level")) find("level").value = String(Number(((low + high) / 2 / scale).toFixed(scale === 1 ? 0 : 2)));
    if (document.activeElement !== find("width")) find("width").value = String(Number(((high - low) / scale).toFixed(scale === 1 ? 0 : 2)));
    for (const button of document.querySelectorAll("[data-window]")) {
      const range = presetRange(button);
      button.setAttribute("aria-pressed", String(range[0] === low && range[1] === high));
      button.hidden = state.view === "sinogram" && button.dataset.window !== "case";
    }
    find("window-tools").hidden = state.view === "error";
    const error = state.view === "error";
    const text = (value) => minus(state.view === "sinogram" ? (value / 1000).toFixed(2) : String(Math.round(value)));
    find("bar-low").textContent = error ? `−${data.error}` : text(low);
    find("bar-middle").textContent = error ? "0 HU, image minus truth" : state.view === "sinogram" ? "line integral" : "HU";
    find("bar-high").textContent = error ? `+${data.error}` : text(high);
    const bar = find("bar").getContext("2d");
    for (let x = 0; x < 256; x += 1) {
      bar.fillStyle = error ? `rgb(${G.diverging(x / 255).join(" ")})` : `rgb(${x} ${x} ${x})`;
      bar.fillRect(x, 0, 1, 12);
    }
    find("where").textContent = state.probe ? `row ${state.probe[0]}, column ${state.probe[1]}` : "";
    find("case").value = state.case;
    root.dataset.zoomed = String(state.zoom > 1 || dragMode() === "window");
  };

  const drawAll = () => {
    frame = 0;
    paint();
    for (const pane of panes) {
      const picture = pictures.get(pane.key);
      const second = state.layout === "swipe" ? pictures.get(state.right) : null;
      const ready = (item) => item && item.array && item.fresh;
      G.draw(pane, state, ready(picture) ? picture : null, ready(second) ? second : null);
      pane.value.textContent = state.probe && picture && picture.array
        ? [picture, second].filter((item) => item && item.array).map((item) => valueAt(item, state.probe)).join(" | ") : "";
    }
    reflect();
    clearTimeout(saving);
    saving = setTimeout(() => {
      const hash = G.writeState(state);
      if (hash !== location.hash) history.replaceState(null, "", hash);
    }, 120);
  };
  const redraw = () => { frame ||= requestAnimationFrame(drawAll); };

  // --- loading ---

  const say = (text) => { find("gallery-status").textContent = text; };

  const fetchAll = async () => {
    const [item, view] = [current, state.view];
    root.setAttribute("aria-busy", "true");
    const sinogram = view === "sinogram";
    const mask = sinogram ? await G.fetchArray(item.sinograms, `${item.id}/trace`) : await G.fetchArray(item.case, `${item.id}/metal`);
    if (!sinogram) {
      item.metal = mask;
      item.truth = await G.fetchArray(item.case, `${item.id}/truth`);
    }
    const [edges, middle] = [G.outline(mask), G.middle(mask)];
    const entries = listed();
    await Promise.all(entries.map(async (entry) => {
      const array = await G.fetchArray(entry.file, `${item.id}/${entry.key}`);
      if (current !== item || state.view !== view) return;
      const canvas = document.createElement("canvas");
      pictures.set(entry.key, { ...entry, array, edges, middle, canvas, insets: !sinogram, rows: array.rows, columns: array.columns, fresh: false });
      redraw();
    }));
    if (current === item && state.view === view) root.removeAttribute("aria-busy");
  };

  const open = () => {
    const next = byId.get(state.case) || data.cases[0];
    if (state.case && !byId.has(state.case)) say(`The case ${state.case} is not in this gallery; ${next.id} is shown.`);
    state.case = next.id;
    current = next;
    if (state.view === "sinogram" && !current.sinograms) state.view = "image";
    for (const input of tools.elements.view) if (input.value === "sinogram") input.disabled = !current.sinograms;
    pictures = new Map();
    settle();
    build();
    G.keep([next.id]);
    const absent = data.methods.filter((name) => !current.files[name]);
    const facts = [
      current.id, current.reasons.join(", "), `group ${current.group}`, current.region, current.materials.join(" + "),
      `${current.area} mm² of metal`, absent.length ? `no picture of ${absent.map((name) => data.titles[name]).join(", ")}` : "",
    ];
    find("case-facts").textContent = facts.filter(Boolean).join(" · ");
    reflect();
    fetchAll().catch((problem) => say(`A picture could not be loaded (${problem.message}). The gallery's folder must lie beside this page.`));
    redraw();
  };

  // --- changes ---

  const change = (part) => {
    const reload = ["case", "view"].some((name) => name in part && part[name] !== state[name]);
    const rebuild = ["layout", "pick", "left", "right", "hide"].some((name) => name in part);
    if ("case" in part) { state.insetAt = null; say(""); }
    if ("view" in part && (part.view === "sinogram") !== (state.view === "sinogram")) Object.assign(state, { window: null, zoom: 1, probe: null });
    Object.assign(state, part);
    if (reload) { open(); return; }
    settle();
    if (rebuild) {
      const focused = document.activeElement && document.activeElement.tagName === "CANVAS";
      build();
      if (focused && panes.length > 0) panes[0].canvas.focus({ preventScroll: true });
    }
    redraw();
  };

  const presetRange = (button) => {
    if (button.dataset.window === "case") return state.view === "sinogram" ? SINOGRAM_WINDOW : current.window;
    return data.windows[button.dataset.window];
  };

  const setWindow = (low, high) => {
    const middle = G.between((low + high) / 2, -32000, 32000);
    const half = G.between(high - low, 2, 64000) / 2;
    change({ window: [Math.round(middle - half), Math.round(middle + half)] });
  };

  const zoomAt = (factor, [x, y]) => {
    const zoom = G.between(state.zoom * factor, 1, 40);
    const keepRatio = state.zoom / zoom;
    change({ zoom, x: x + (state.x - x) * keepRatio, y: y + (state.y - y) * keepRatio });
  };

  const probe = ([x, y]) => {
    const picture = [...pictures.values()][0];
    if (!picture || x < 0 || y < 0 || x >= 1 || y >= 1) return;
    change({ probe: [Math.floor(y * picture.rows), Math.floor(x * picture.columns)] });
  };

  const dragMode = () => (find("drag-window").checked ? "window" : "pan");

  const hooks = {
    state: () => state,
    window: windowNow,
    dragMode,
    pan: (dx, dy) => change({ x: state.x - dx / state.zoom, y: state.y - dy / state.zoom }),
    zoomAt,
    setWindow: (low, high) => { if (state.view !== "error") setWindow(low, high); },
    divide: (at) => change({ at: G.between(at, 0, 1) }),
    probe,
    inset: (at) => { if (state.view !== "sinogram") change({ inset: true, insetAt: at.map((value) => G.between(value, 0, 1)) }); },
  };

  const step = (by) => {
    const at = data.cases.findIndex((item) => item.id === state.case);
    change({ case: data.cases[(at + by + data.cases.length) % data.cases.length].id });
  };

  const flipTo = (key) => {
    if (listed().some((entry) => entry.key === key)) change({ layout: "flip", pick: key });
  };

  const flipBy = (by) => {
    const keys = listed().map((entry) => entry.key);
    flipTo(keys[(keys.indexOf(state.pick) + by + keys.length) % keys.length]);
  };

  const moveProbe = (rows, columns) => {
    const picture = [...pictures.values()][0];
    if (!picture) return;
    const [row, column] = state.probe || [Math.floor(picture.rows / 2), Math.floor(picture.columns / 2)];
    change({ probe: [G.between(row + rows, 0, picture.rows - 1), G.between(column + columns, 0, picture.columns - 1)] });
  };

  const reset = () => change({ zoom: 1, x: 0.5, y: 0.5, window: null });
  const zoomBy = (factor) => zoomAt(factor, [state.x, state.y]);
  const exchangeDrag = () => {
    find(dragMode() === "window" ? "drag-pan" : "drag-window").checked = true;
    redraw();
  };
  const sinogram = () => { if (current.sinograms) change({ view: "sinogram" }); };
  const flipToNumber = (number) => flipTo(listed().find((entry) => entry.key_number === number)?.key);
  G.bindKeys({ state: () => state, change, step, flipTo, flipToNumber, flipBy, moveProbe, zoomBy, exchangeDrag, sinogram, reset });

  tools.addEventListener("submit", (event) => event.preventDefault());
  for (const name of ["view", "layout"]) {
    for (const input of tools.elements[name]) input.addEventListener("change", () => change({ [name]: input.value }));
  }
  for (const input of tools.elements.drag) input.addEventListener("change", redraw);
  for (const button of document.querySelectorAll("[data-window]")) {
    button.addEventListener("click", () => change({ window: button.dataset.window === "case" ? null : [...presetRange(button)] }));
  }
  for (const id of ["level", "width"]) {
    find(id).addEventListener("change", () => {
      const scale = state.view === "sinogram" ? 1000 : 1;
      const [level, width] = [find("level"), find("width")].map((field) => Number(field.value) * scale);
      if (Number.isFinite(level) && width > 0) setWindow(level - width / 2, level + width / 2);
    });
  }
  find("contour").addEventListener("click", () => change({ contour: !state.contour }));
  find("inset").addEventListener("click", () => change({ inset: !state.inset }));
  find("zoom-in").addEventListener("click", () => zoomBy(1.25));
  find("zoom-out").addEventListener("click", () => zoomBy(0.8));
  find("reset").addEventListener("click", reset);
  find("previous").addEventListener("click", () => step(-1));
  find("next").addEventListener("click", () => step(1));
  find("case").addEventListener("change", () => change({ case: find("case").value }));
  find("swipe-left").addEventListener("change", () => change({ left: find("swipe-left").value }));
  find("swipe-right").addEventListener("change", () => change({ right: find("swipe-right").value }));
  window.addEventListener("hashchange", () => {
    if (location.hash === G.writeState(state)) return;
    state = G.readState();
    open();
  });
  new ResizeObserver(redraw).observe(panesBox);

  root.hidden = false;
  open();
})();

// The gallery: one case at a time, all methods, as a grid, one in the place of the other, or two with a divider.
"use strict";
(() => {
  const G = window.marbenchGallery;
  const data = JSON.parse(document.getElementById("gallery-data").textContent);
  const find = (id) => document.getElementById(id);
  const root = find("viewer");
  const panesBox = find("panes");
  const SINOGRAM_WINDOW = [0, 6000];
  const byId = new Map(data.cases.map((item) => [item.id, item]));

  let state = G.readState();
  let current = null;
  let pictures = new Map();
  let panes = [];
  let painted = "";
  let frame = 0;
  let saving = 0;

  const windowNow = () => state.window || (state.view === "sinogram" ? SINOGRAM_WINDOW : current.window);

  const range = () => state.range || data.error;
  const WHOLE = [0, 0, 1, 1];
  const frameNow = () => (state.field === "body" && state.view !== "sinogram" && current.frame) || WHOLE;
  // The state as the panes take it: zoom and centre in terms of the whole picture, not of the frame round the body.
  const view = () => {
    const [left, top, width, height] = frameNow();
    return { ...state, zoomX: state.zoom / width, zoomY: state.zoom / height, x: left + state.x * width, y: top + state.y * height };
  };

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

  // --- what is computed from the arrays ---

  const paint = () => {
    const [low, high] = windowNow();
    const wanted = `${state.case} ${state.view} ${low} ${high} ${state.against} ${range()}`;
    if (wanted !== painted) for (const picture of pictures.values()) picture.fresh = false;
    painted = wanted;
    let grey = null;
    let signed = null;
    for (const picture of pictures.values()) {
      if (!picture.array || picture.fresh || !shown().some((entry) => entry.key === picture.key)) continue;
      picture.fresh = true;
      if (state.view === "error" && picture.key !== state.against) {
        const reference = pictures.get(state.against);
        if (!reference || !current.metal) { picture.fresh = false; continue; }
        G.paintError(picture.canvas, picture.array, reference.array, current.metal, (signed ||= G.signed(range())));
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
    if (!keys.includes(state.against)) state.against = keys[0];
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
      pane.scores.textContent = texts.scoresOf(entry);
      if (state.layout === "swipe") {
        const right = listed().find((other) => other.key === state.right);
        pane.number.hidden = true;
        pane.name.textContent = `${entry.label} | ${right.label}`;
        pane.canvas.setAttribute("aria-label", `${entry.label}, left of the divider; ${right.label}, right of it`);
        pane.scores.textContent = "";
      }
      G.listen(pane.canvas, viewer.hooks);
      pane.canvas.addEventListener("focus", () => { root.dataset.focused = entry.key; });
      panesBox.append(pane.root);
      return pane;
    });
    toolbar.choices();
    arrange();
  };

  const drawAll = () => {
    frame = 0;
    paint();
    for (const pane of panes) {
      const picture = pictures.get(pane.key);
      const second = state.layout === "swipe" ? pictures.get(state.right) : null;
      const ready = (item) => item && item.array && item.fresh;
      G.draw(pane, view(), ready(picture) ? picture : null, ready(second) ? second : null);
      if (picture && picture.array && state.layout !== "swipe") pane.scores.textContent = state.roi ? texts.roiText(picture) : texts.scoresOf(picture);
      pane.value.textContent = state.probe && picture && picture.array
        ? [picture, second].filter((item) => item && item.array).map((item) => texts.valueAt(item, state.probe)).join(" | ") : "";
    }
    toolbar.reflect();
    clearTimeout(saving);
    saving = setTimeout(() => {
      const hash = G.writeState(state);
      if (hash !== location.hash) history.replaceState(null, "", hash);
    }, 120);
  };
  const redraw = () => { frame ||= requestAnimationFrame(drawAll); };

  const dragMode = () => (find("drag-window").checked ? "window" : "pan");

  // Columns and sizes: what was asked for, else the fewest columns with which all panes are seen at once.
  const arrange = () => {
    if (!current) return;
    const [, , width, height] = frameNow();
    const aspect = state.view === "sinogram" ? 1 : (width * current.size[1]) / (height * current.size[0]);
    G.arrangePanes(panesBox, panes, { aspect, columns: state.columns, grid: state.layout === "grid" });
  };
  const save = () => G.savePng(panes, [find("case-facts").textContent, find("bar-middle").textContent, `${find("bar-low").textContent} to ${find("bar-high").textContent}`].join(" · "), `${state.case}.png`);

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
    for (const input of find("gallery-tools").elements.view) if (input.value === "sinogram") input.disabled = !current.sinograms;
    pictures = new Map();
    settle();
    build();
    G.keep([next.id]);
    const absent = data.methods.filter((name) => !current.files[name]);
    toolbar.film();
    const facts = [
      current.id, current.reasons.join(", "), `group ${current.group}`, current.region, current.materials.join(" + "),
      `${current.area} mm² of metal`, absent.length ? `no picture of ${absent.map((name) => data.titles[name]).join(", ")}` : "",
    ];
    find("case-facts").textContent = facts.filter(Boolean).join(" · ");
    toolbar.reflect();
    fetchAll().catch((problem) => say(`A picture could not be loaded (${problem.message}). The gallery's folder must lie beside this page.`));
    redraw();
  };

  // --- changes ---

  const change = (part) => {
    if ("field" in part) Object.assign(part, { zoom: 1, x: 0.5, y: 0.5 });
    const reload = ["case", "view"].some((name) => name in part && part[name] !== state[name]);
    const rebuild = ["layout", "pick", "left", "right", "hide", "columns", "field"].some((name) => name in part);
    if ("case" in part) { state.insetAt = null; state.roi = null; say(""); }
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

  const viewer = {
    data, root, state: () => state, view, frameNow, pictures: () => pictures, current: () => current, listed, windowNow, range, dragMode, change, redraw, save,
    fullScreen: () => (document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen?.()),
    fold: () => toolbar.fold(),
  };
  Object.assign(viewer, G.makeMoves(viewer));
  const texts = G.makeTexts(viewer);
  const toolbar = G.bindTools(viewer);
  G.bindKeys(viewer);

  window.addEventListener("hashchange", () => {
    if (location.hash === G.writeState(state)) return;
    state = G.readState();
    open();
  });
  new ResizeObserver(() => { arrange(); redraw(); }).observe(root);

  root.hidden = false;
  open();
})();

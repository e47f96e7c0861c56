// @ts-check
// The gallery: one case at a time, all methods, as a grid, one in the place of the other, or two with a divider.
"use strict";
(() => {
  const G = window.marbenchGallery;
  const { find, tell } = G;
  const data = /** @type {GalleryData} */ (JSON.parse(find("gallery-data").textContent ?? ""));
  const root = find("viewer");
  const panesBox = find("panes");
  /** @type {Box} */
  const WHOLE = [0, 0, 1, 1];
  const PROFILE_HEIGHT = 270;
  // Who stays that long is looking at a case: those beside it are loaded meanwhile.
  const LOOKED_AT_MS = 100;
  const byId = new Map(data.cases.map((item) => [item.id, item]));

  let state = G.readState();
  let current = data.cases[0];
  /** @type {Map<string, Picture>} */
  let pictures = new Map();
  /** @type {Pane[]} */
  let panes = [];
  let painted = "";
  let drawnIn = "";
  let frame = 0;
  let saving = 0;
  /** A view that a case could not show, for the next one. @type {View | ""} */
  let wanted = "";

  const listed = () => G.listed(data, current, state.view);
  const first = () => pictures.values().next().value;
  const range = () => state.range || data.error;
  const ownWindow = () => G.ownWindow(current, state.view);
  const windowNow = () => state.window ?? ownWindow();
  const frameNow = () => (state.field === "body" && !G.isSinogram(state.view) ? current.frame : WHOLE);
  /** @type {Basis["view"]} */
  const view = () => {
    const [left, top, width, height] = frameNow();
    return { ...state, zoomX: state.zoom / width, zoomY: state.zoom / height, x: left + state.x * width, y: top + state.y * height, outlines: regions.outlines() };
  };
  /** @type {Basis["referenceOf"]} */
  const referenceOf = (picture) => {
    if (state.view !== "error" || picture.key === state.against) return picture.reference;
    return pictures.get(state.against)?.values ?? null;
  };
  const shown = () => {
    const all = listed();
    if (state.layout === "flip") return all.filter((entry) => entry.key === state.pick);
    if (state.layout === "swipe") return all.filter((entry) => entry.key === state.left || entry.key === state.right);
    return all.filter((entry) => !state.hide.includes(entry.key));
  };

  // --- what is on the page ---

  const paint = () => {
    const [low, high] = windowNow();
    const wanted = [state.case, state.view, low, high, state.against, range(), state.colours].join(" ");
    if (wanted !== painted) for (const picture of pictures.values()) picture.fresh = false;
    painted = wanted;
    /** @type {Uint32Array | null} */
    let grey = null;
    /** @type {Uint32Array | null} */
    let signed = null;
    for (const { key } of shown()) {
      const picture = pictures.get(key);
      if (!picture || picture.fresh) continue;
      const reference = referenceOf(picture);
      // The picture that errors are errors from has none, and is shown as it is.
      if (state.view === "error" && !reference && key !== state.against) continue;
      if (reference) G.paintDifference(picture.canvas, picture.values, reference, picture.mask, (signed ||= G.signed(range(), state.colours)));
      else G.paintValues(picture.canvas, picture.values, (grey ||= G.grey(low, high)));
      picture.fresh = true;
    }
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
    if (state.insetAt) state.insetAt = [G.short(state.insetAt[0]), G.short(state.insetAt[1])];
  };

  /** @type {(pane: Pane, entry: Entry) => void} */
  const label = (pane, entry) => {
    const right = state.layout === "swipe" ? listed().find((other) => other.key === state.right) : undefined;
    pane.key = entry.key;
    pane.number.textContent = entry.key === "truth" ? "t" : entry.key === "uncorrected" ? "u" : entry.number > 0 && entry.number < 10 ? String(entry.number) : "";
    pane.number.hidden = Boolean(right) || pane.number.textContent === "";
    pane.name.replaceChildren(G.element("bdi", "", entry.label), ...(right ? [" | ", G.element("bdi", "", right.label)] : []));
    pane.name.title = pane.name.textContent ?? "";
    pane.canvas.setAttribute("aria-label", right ? `${entry.label}, left of the divider; ${right.label}, right of it` : entry.label);
    pane.value.setAttribute("aria-label", `Value in ${pane.name.textContent}`);
    texts.tellScores(pane, entry, null);
  };

  const build = () => {
    const entries = state.layout === "swipe" ? shown().filter((entry) => entry.key === state.left) : shown();
    // Panes that stay keep the gesture that is under way, and the focus; of new ones the first takes it.
    if (panes.length !== entries.length) {
      const focused = panesBox.contains(document.activeElement);
      panes = entries.map(() => {
        const pane = G.makePane();
        G.listen(pane.canvas, viewer.hooks);
        return pane;
      });
      panesBox.replaceChildren(...panes.map((pane) => pane.root));
      if (focused) panes[0]?.canvas.focus({ preventScroll: true });
    }
    panesBox.dataset.layout = state.layout;
    panes.forEach((pane, index) => label(pane, entries[index]));
    toolbar.choices();
    arrange();
  };

  // Columns and sizes: what was asked for, else the fewest columns with which all panes are seen at once.
  const arrange = () => {
    const [, , width, height] = frameNow();
    const aspect = G.isSinogram(state.view) ? 1 : (width * current.size[1]) / (height * current.size[0]);
    G.arrangePanes(panesBox, panes, { aspect, columns: state.columns, grid: state.layout === "grid", below: state.profile ? PROFILE_HEIGHT : 0, captions: texts.captions() });
  };

  /** @type {(key: string) => Picture | null} */
  const ready = (key) => {
    const picture = pictures.get(key);
    return picture?.fresh ? picture : null;
  };
  const second = () => (state.layout === "swipe" ? ready(state.right) : null);

  /** @type {(pane: Pane) => void} */
  const caption = (pane) => {
    const [picture, other] = [ready(pane.key), second()];
    if (picture) texts.tellScores(pane, picture, picture);
    const { probe } = state;
    pane.value.textContent = probe ? [picture, other].flatMap((item) => (item ? [texts.valueAt(item, probe)] : [])).join(" | ") : "";
  };

  const paneSize = () => (panes.length ? G.sizeOf(panes[0]) : null);
  const room = () => JSON.stringify([root.clientWidth, paneSize()]);
  const drawAll = () => {
    frame = 0;
    paint();
    panes.forEach(caption);
    profile.draw();
    toolbar.reflect();
    regions.reflect();
    // After all that is written: the browser lays the page out once. Panes are of one size.
    const size = paneSize();
    const [shown, other] = [view(), second()];
    if (size) for (const pane of panes) G.draw(pane, size, shown, ready(pane.key), other);
    drawnIn = room();
    clearTimeout(saving);
    saving = setTimeout(() => {
      const hash = G.writeState(state);
      if (hash !== location.hash) history.replaceState(null, "", hash);
    }, 120);
  };
  const redraw = () => { frame ||= requestAnimationFrame(drawAll); };

  /** @type {() => DragMode} */
  const dragMode = () => (find("drag-window", HTMLInputElement).checked ? "window" : find("drag-line", HTMLInputElement).checked ? "line" : "pan");
  /** @type {(text: string) => void} */
  const say = (text) => { find("gallery-status").textContent = text; };
  const save = () => {
    if (!panes.length) { say("There is nothing to save: no picture is chosen."); return; }
    // What was set a moment ago is saved, too.
    if (frame) { cancelAnimationFrame(frame); drawAll(); }
    const { low, high, about } = texts.scaleText();
    G.savePng(panes, [`${data.title}: ${texts.factsOf(current)}`, `${about}, ${low} to ${high}`], `${state.case}-${state.view}.png`);
  };

  // --- changes ---

  const open = () => {
    const next = byId.get(state.case) ?? data.cases[0];
    const absent = state.case && next.id !== state.case ? `There is no picture of the case ${state.case} here; ${next.id} is shown. How to get one is told at the end of this page. ` : "";
    state.case = next.id;
    current = next;
    wanted = G.fitView(state, current, wanted);
    say(absent + (wanted ? "No sinogram of this case is kept: its image is shown." : ""));
    for (const input of document.querySelectorAll("[name=view]")) if (input instanceof HTMLInputElement) input.disabled = G.isSinogram(/** @type {View} */ (input.value)) && !current.sinograms;
    pictures = new Map();
    settle();
    find("case", HTMLSelectElement).value = next.id;
    tell(find("case-facts"), texts.factsOf(current));
    toolbar.film();
    toolbar.reflect();
    // Last: panes take the room that all above them leaves.
    build();
    const [item, shownView] = [current, state.view];
    root.setAttribute("aria-busy", "true");
    const isOpen = () => current === item && state.view === shownView;
    G.fetchPictures(data, item, listed(), shownView, isOpen, (picture) => { pictures.set(picture.key, picture); redraw(); })
      .then(() => setTimeout(() => { if (isOpen()) G.fetchNeighbours(data, item, shownView); }, LOOKED_AT_MS))
      .catch((/** @type {Error} */ problem) => { if (isOpen()) say(`A picture could not be loaded (${problem.message}). The gallery's folder must lie beside this page.`); })
      .finally(() => { if (isOpen()) root.removeAttribute("aria-busy"); });
    redraw();
  };

  /** @type {Basis["change"]} */
  const change = (part) => {
    if ("field" in part) Object.assign(part, { zoom: 1, x: 0.5, y: 0.5 });
    const other = "case" in part && part.case !== state.case;
    if (!other && part.view && G.isSinogram(part.view) && !current.sinograms) { say("No sinogram of this case is kept."); return; }
    const reload = other || ("view" in part && part.view !== state.view);
    const rebuild = ["layout", "pick", "left", "right", "hide", "columns", "field"].some((name) => name in part) || ("profile" in part && !part.profile !== !state.profile);
    if (other) Object.assign(state, { insetAt: null, roi: null, profile: null });
    if (part.view) wanted = "";
    if (part.view && G.isSinogram(part.view) !== G.isSinogram(state.view)) Object.assign(state, G.UNPLACED);
    Object.assign(state, part);
    if (reload) { open(); return; }
    settle();
    if (rebuild) build();
    redraw();
  };

  /** @type {Basis} */
  const basis = {
    data, root, state: () => state, view, frameNow, pictures: () => pictures, first, current: () => current, listed, shown, windowNow, ownWindow, range,
    referenceOf, dragMode, change, redraw, save,
    fullScreen: () => { document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen?.(); },
    fold: () => toolbar.fold(),
  };
  /** @type {Viewer} */
  const viewer = { ...basis, ...G.makeMoves(basis) };
  const texts = G.makeTexts(viewer);
  const profile = G.makeProfile(viewer);
  const regions = G.makeRegions(viewer);
  const toolbar = G.bindTools(viewer);
  G.bindKeys(viewer);

  window.addEventListener("hashchange", () => {
    if (location.hash === G.writeState(state)) return;
    state = G.readState();
    wanted = "";
    open();
  });
  // Another case may make the page longer, no more.
  new ResizeObserver(() => { arrange(); if (room() !== drawnIn) redraw(); }).observe(root);

  open();
  document.body.dataset.built = "true";
})();

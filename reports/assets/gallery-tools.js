// @ts-check
// The toolbar of the gallery: what is set, and choices of pictures. What they do is the viewer's.
"use strict";
(() => {
  const G = window.marbenchGallery;
  const { find } = G;

  /** @type {Gallery["bindTools"]} */
  const bindTools = (viewer) => {
    const { data, root, state, listed, windowNow, range, dragMode, change, setWindow, step, zoomBy } = viewer;
    const tools = find("gallery-tools", HTMLFormElement);
    const texts = G.makeTexts(viewer);
    const presets = /** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll("[data-window]")]);
    /** @type {(name: string) => HTMLInputElement[]} */
    const radios = (name) => /** @type {HTMLInputElement[]} */ ([...tools.querySelectorAll(`[name="${name}"]`)]);
    /** @type {(id: string) => HTMLSelectElement} */
    const select = (id) => find(id, HTMLSelectElement);
    /** @type {(id: string) => HTMLInputElement} */
    const field = (id) => find(id, HTMLInputElement);

    /** @type {(id: string, selected: string) => void} */
    const offer = (id, selected) => select(id).replaceChildren(...listed().map(({ key, label }) => new Option(label, key, false, key === selected)));

    // New choices in place of the old ones; whoever is at one of them stays at its place.
    /** @type {(box: HTMLElement, choices: HTMLElement[]) => void} */
    const exchange = (box, choices) => {
      const focusable = () => /** @type {HTMLElement[]} */ ([...box.querySelectorAll("button, input")]);
      const at = focusable().findIndex((each) => each === document.activeElement);
      box.replaceChildren(...choices);
      if (at >= 0) focusable()[at]?.focus();
    };

    const choices = () => {
      exchange(find("flip-choice"), listed().map((entry) => {
        const button = G.element("button", "", entry.label);
        button.type = "button";
        button.setAttribute("aria-pressed", String(entry.key === state().pick));
        button.addEventListener("click", () => change({ pick: entry.key }));
        return button;
      }));
      offer("swipe-left", state().left);
      offer("swipe-right", state().right);
      offer("against", state().against);
      exchange(find("shown-choice"), listed().map((entry) => {
        const label = G.element("label");
        const box = G.element("input");
        box.type = "checkbox";
        box.checked = !state().hide.includes(entry.key);
        box.addEventListener("change", () => change({ hide: box.checked ? state().hide.filter((key) => key !== entry.key) : [...state().hide, entry.key] }));
        label.append(box, ` ${entry.label}`);
        return label;
      }));
      find("flip-tools").hidden = state().layout !== "flip";
      find("swipe-tools").hidden = state().layout !== "swipe";
      find("shown-tools").hidden = state().layout !== "grid";
    };

    /** @type {(button: HTMLButtonElement) => Pair} */
    const presetOf = (button) => data.windows[button.dataset.window ?? ""] ?? viewer.ownWindow();

    /** @type {(id: string, on: boolean) => void} */
    const press = (id, on) => find(id).setAttribute("aria-pressed", String(on));

    const reflectWindow = () => {
      const [low, high] = windowNow();
      const { scale } = G.unitOf(state().view);
      for (const [id, value] of /** @type {Array<[string, number]>} */ ([["level", (low + high) / 2], ["width", high - low]])) {
        if (document.activeElement !== field(id)) field(id).value = String(Number((value / scale).toFixed(scale === 1 ? 0 : 2)));
      }
      for (const button of presets) {
        const [from, to] = presetOf(button);
        button.setAttribute("aria-pressed", String(from === low && to === high));
        button.hidden = state().view === "sinogram" && button.dataset.window !== "case";
      }
    };

    const reflectDifference = () => {
      const { scale, digits, name } = G.unitOf(state().view);
      for (const option of select("range").options) option.textContent = `${window.marbench.print(Number(option.value) / scale, digits && 2)}${name ? ` ${name}` : ""}`;
      select("range").value = String(range());
      select("colours").value = state().colours;
      find("against-choice").hidden = state().view === "residual";
    };

    const reflectScale = () => {
      const difference = G.isDifference(state().view);
      const { low, high, about } = texts.scaleText();
      const size = difference && state().colours === "viridis";
      find("bar-low").textContent = size ? "0" : low;
      find("bar-high").textContent = size ? high.replace("+", "±") : high;
      find("bar-middle").textContent = about;
      const bar = find("bar", HTMLCanvasElement);
      const colours = difference ? state().colours : "grey";
      if (bar.dataset.colours === colours) return;
      bar.dataset.colours = colours;
      const context = bar.getContext("2d");
      for (let x = 0; context && x < 256; x += 1) {
        context.fillStyle = `rgb(${difference ? G.colourAt(x / 255, state().colours).join(" ") : `${x} ${x} ${x}`})`;
        context.fillRect(x, 0, 1, 12);
      }
    };

    const reflect = () => {
      const { view, layout, probe } = state();
      const difference = G.isDifference(view);
      for (const input of radios("view")) input.checked = input.value === view;
      for (const input of radios("layout")) input.checked = input.value === layout;
      press("contour", state().contour);
      press("inset", state().inset);
      press("field", state().field === "whole");
      press("roi", Boolean(state().roi));
      press("profile-toggle", Boolean(state().profile));
      press("keys", state().keys);
      find("inset", HTMLButtonElement).disabled = G.isSinogram(view) || layout === "swipe";
      find("window-tools").hidden = difference;
      find("level-tools").hidden = difference;
      find("error-tools").hidden = !difference;
      if (difference) reflectDifference();
      else reflectWindow();
      reflectScale();
      select("columns").value = String(state().columns);
      find("where").textContent = probe ? `${G.isSinogram(view) ? "view" : "row"} ${probe[0]}, ${G.isSinogram(view) ? "bin" : "column"} ${probe[1]}` : "";
      root.dataset.zoomed = String(state().zoom > 1 || dragMode() !== "pan");
    };

    const fold = () => {
      const more = find("more-tools");
      more.hidden = !more.hidden;
      find("fold").setAttribute("aria-expanded", String(!more.hidden));
      viewer.redraw();
    };

    tools.addEventListener("submit", (event) => event.preventDefault());
    for (const input of radios("view")) input.addEventListener("change", () => change({ view: /** @type {View} */ (input.value) }));
    for (const input of radios("layout")) input.addEventListener("change", () => change({ layout: /** @type {Layout} */ (input.value) }));
    for (const input of radios("drag")) input.addEventListener("change", viewer.redraw);
    for (const button of presets) button.addEventListener("click", () => change({ window: button.dataset.window === "case" ? null : [...presetOf(button)] }));
    for (const id of ["level", "width"]) {
      field(id).addEventListener("change", () => {
        const { scale } = G.unitOf(state().view);
        const [level, width] = [field("level"), field("width")].map((input) => Number(input.value) * scale);
        if (Number.isFinite(level) && width > 0) setWindow(level - width / 2, level + width / 2);
      });
    }
    /** @type {Record<string, () => void>} */
    const buttons = {
      contour: () => change({ contour: !state().contour }), inset: () => change({ inset: !state().inset }),
      field: () => change({ field: state().field === "body" ? "whole" : "body" }),
      "zoom-in": () => zoomBy(1.25), "zoom-out": () => zoomBy(0.8), reset: viewer.reset, metal: viewer.zoomToMetal,
      previous: () => step(-1), next: () => step(1), fold, full: viewer.fullScreen, save: viewer.save,
      roi: viewer.toggleRoi, "roi-more": () => viewer.growRoi(1.25), "roi-less": () => viewer.growRoi(0.8), "profile-toggle": viewer.toggleProfile,
      keys: () => change({ keys: G.keepKeys(!state().keys) }),
    };
    for (const [id, act] of Object.entries(buttons)) find(id).addEventListener("click", act);
    /** @type {Record<string, (value: string) => Partial<State>>} */
    const selects = {
      case: (value) => ({ case: value }), "swipe-left": (value) => ({ left: value }), "swipe-right": (value) => ({ right: value }),
      columns: (value) => ({ columns: Number(value) }), against: (value) => ({ against: value }), colours: (value) => ({ colours: /** @type {Colours} */ (value) }),
      range: (value) => ({ range: Number(value) === data.error ? 0 : Number(value) }),
    };
    for (const [id, part] of Object.entries(selects)) select(id).addEventListener("change", () => change(part(select(id).value)));
    return { choices, reflect, fold, film: G.makeFilm(viewer) };
  };

  /** Thumbnails of all cases; the pictures load when they come into sight. @type {Gallery["makeFilm"]} */
  const makeFilm = (viewer) => {
    const { data, state, change } = viewer;
    const film = find("film");
    const buttons = data.cases.map((item) => {
      const button = G.element("button");
      button.type = "button";
      button.title = [item.id, ...item.reasons].join(", ");
      button.setAttribute("aria-label", `Case ${item.id}`);
      const image = G.element("img");
      Object.assign(image, { src: item.thumb, alt: "", loading: "lazy", width: 64, height: 64 });
      button.append(image);
      button.addEventListener("click", () => change({ case: item.id }));
      return button;
    });
    film.replaceChildren(...buttons);
    return () => {
      data.cases.forEach((item, index) => buttons[index].setAttribute("aria-current", String(item.id === state().case)));
      const chosen = buttons[data.cases.findIndex((item) => item.id === state().case)];
      // Not scrollIntoView, which would move the page, too.
      film.scrollLeft = chosen.offsetLeft - film.offsetLeft - (film.clientWidth - chosen.clientWidth) / 2;
    };
  };

  Object.assign(window.marbenchGallery, { bindTools, makeFilm });
})();

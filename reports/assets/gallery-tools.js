// The toolbar of the gallery: what is set, choices of pictures and cases. What they do is the viewer's.
"use strict";
window.marbenchGallery = window.marbenchGallery || {};
(() => {
  const G = window.marbenchGallery;
  const find = (id) => document.getElementById(id);
  const SINOGRAM_WINDOW = [0, 6000];
  const minus = (text) => text.replace("-", "−");

  const bindTools = (viewer) => {
    const { data, root, state, current, listed, windowNow, range, dragMode, change, setWindow, step, zoomBy, reset, redraw } = viewer;
    const tools = find("gallery-tools");

    const option = (entry, selected) => {
      const made = G.element("option", "", entry.label);
      made.value = entry.key;
      made.selected = entry.key === selected;
      return made;
    };

    const choices = () => {
      const all = listed();
      find("flip-choice").replaceChildren(...all.map((entry) => {
        const button = G.element("button", "", entry.label);
        button.type = "button";
        button.setAttribute("aria-pressed", String(entry.key === state().pick));
        button.addEventListener("click", () => change({ pick: entry.key }));
        return button;
      }));
      find("swipe-left").replaceChildren(...all.map((entry) => option(entry, state().left)));
      find("swipe-right").replaceChildren(...all.map((entry) => option(entry, state().right)));
      find("shown-choice").replaceChildren(...all.map((entry) => {
        const label = G.element("label");
        const box = document.createElement("input");
        box.type = "checkbox";
        box.checked = !state().hide.includes(entry.name);
        box.addEventListener("change", () => change({ hide: box.checked ? state().hide.filter((name) => name !== entry.name) : [...state().hide, entry.name] }));
        label.append(box, ` ${entry.label}`);
        return label;
      }));
      find("against").replaceChildren(...all.map((entry) => option(entry, state().against)));
      find("flip-tools").hidden = state().layout !== "flip";
      find("swipe-tools").hidden = state().layout !== "swipe";
      find("shown-tools").hidden = state().layout !== "grid" || state().view === "sinogram";
    };

    const reflect = () => {
      const [low, high] = windowNow();
      for (const name of ["view", "layout"]) for (const input of tools.elements[name]) input.checked = input.value === state()[name];
      find("contour").setAttribute("aria-pressed", String(state().contour));
      find("inset").setAttribute("aria-pressed", String(state().inset));
      find("inset").disabled = state().view === "sinogram" || state().layout === "swipe";
      const scale = state().view === "sinogram" ? 1000 : 1;
      if (document.activeElement !== find("level")) find("level").value = String(Number(((low + high) / 2 / scale).toFixed(scale === 1 ? 0 : 2)));
      if (document.activeElement !== find("width")) find("width").value = String(Number(((high - low) / scale).toFixed(scale === 1 ? 0 : 2)));
      for (const button of document.querySelectorAll("[data-window]")) {
        const range = presetRange(button);
        button.setAttribute("aria-pressed", String(range[0] === low && range[1] === high));
        button.hidden = state().view === "sinogram" && button.dataset.window !== "case";
      }
      find("window-tools").hidden = state().view === "error";
      find("level-tools").hidden = state().view === "error";
      find("error-tools").hidden = state().view !== "error";
      find("range").value = String(range());
      find("columns").value = String(state().columns);
      find("field").setAttribute("aria-pressed", String(state().field === "whole"));
      find("roi").setAttribute("aria-pressed", String(Boolean(state().roi)));
      const error = state().view === "error";
      const text = (value) => minus(state().view === "sinogram" ? (value / 1000).toFixed(2) : String(Math.round(value)));
      find("bar-low").textContent = error ? `−${range()}` : text(low);
      find("bar-middle").textContent = error ? `0 HU, image minus ${listed().find((entry) => entry.key === state().against)?.label.toLowerCase() ?? ""}` : state().view === "sinogram" ? "line integral" : "HU";
      find("bar-high").textContent = error ? `+${range()}` : text(high);
      const bar = find("bar").getContext("2d");
      for (let x = 0; x < 256; x += 1) {
        bar.fillStyle = error ? `rgb(${G.diverging(x / 255).join(" ")})` : `rgb(${x} ${x} ${x})`;
        bar.fillRect(x, 0, 1, 12);
      }
      find("where").textContent = state().probe ? `row ${state().probe[0]}, column ${state().probe[1]}` : "";
      find("case").value = state().case;
      root.dataset.zoomed = String(state().zoom > 1 || dragMode() === "window");
    };

    const presetRange = (button) => {
      if (button.dataset.window === "case") return state().view === "sinogram" ? SINOGRAM_WINDOW : current().window;
      return data.windows[button.dataset.window];
    };

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
        const scale = state().view === "sinogram" ? 1000 : 1;
        const [level, width] = [find("level"), find("width")].map((field) => Number(field.value) * scale);
        if (Number.isFinite(level) && width > 0) setWindow(level - width / 2, level + width / 2);
      });
    }
    find("contour").addEventListener("click", () => change({ contour: !state().contour }));
    find("inset").addEventListener("click", () => change({ inset: !state().inset }));
    find("zoom-in").addEventListener("click", () => zoomBy(1.25));
    find("zoom-out").addEventListener("click", () => zoomBy(0.8));
    find("reset").addEventListener("click", reset);
    find("previous").addEventListener("click", () => step(-1));
    find("next").addEventListener("click", () => step(1));
    find("case").addEventListener("change", () => change({ case: find("case").value }));
    find("swipe-left").addEventListener("change", () => change({ left: find("swipe-left").value }));
    find("swipe-right").addEventListener("change", () => change({ right: find("swipe-right").value }));
    const fold = () => {
      const more = find("more-tools");
      more.hidden = !more.hidden;
      find("fold").setAttribute("aria-expanded", String(!more.hidden));
    };
    // Thumbnails of all cases; the pictures load when they come into sight.
    const pictures = data.cases.map((item) => {
      const button = G.element("button");
      button.type = "button";
      button.title = `${item.id}: ${item.reasons.join(", ")}`;
      button.setAttribute("aria-label", `Case ${item.id}`);
      const image = document.createElement("img");
      Object.assign(image, { src: item.thumb, alt: "", loading: "lazy", width: 72, height: 72 });
      button.append(image);
      button.addEventListener("click", () => change({ case: item.id }));
      return button;
    });
    find("film").replaceChildren(...pictures);
    const film = () => data.cases.forEach((item, index) => pictures[index].setAttribute("aria-current", String(item.id === state().case)));

    find("fold").addEventListener("click", fold);
    find("metal").addEventListener("click", viewer.zoomToMetal);
    find("roi").addEventListener("click", viewer.toggleRoi);
    find("roi-less").addEventListener("click", () => viewer.growRoi(0.8));
    find("roi-more").addEventListener("click", () => viewer.growRoi(1.25));
    find("save").addEventListener("click", viewer.save);
    find("full").addEventListener("click", viewer.fullScreen);
    find("field").addEventListener("click", () => change({ field: state().field === "body" ? "whole" : "body" }));
    find("columns").addEventListener("change", () => change({ columns: Number(find("columns").value) }));
    find("range").addEventListener("change", () => change({ range: Number(find("range").value) === data.error ? 0 : Number(find("range").value) }));
    find("against").addEventListener("change", () => change({ against: find("against").value }));
    return { choices, reflect, fold, film };
  };

  Object.assign(window.marbenchGallery, { bindTools });
})();

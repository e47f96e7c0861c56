// @ts-check
// Where measures look: the outlines of a case's regions, over every picture of it.
"use strict";
(() => {
  const G = window.marbenchGallery;
  const { find } = G;

  /** @type {(lines: number[]) => Edge[]} */
  const edgesOf = (lines) => Array.from({ length: lines.length / 4 }, (_, at) => /** @type {Edge} */ (lines.slice(4 * at, 4 * at + 4)));

  /** @type {Gallery["makeRegions"]} */
  const makeRegions = (viewer) => {
    const { data, state, current } = viewer;
    /** @type {Map<string, Outline[]>} */
    const held = new Map();

    /** @type {(item: GalleryCase) => Promise<void>} */
    const load = async (item) => {
      held.set(item.id, []);
      await window.marbench.load(`${item.folder}/regions.js`);
      const lines = window.marbenchRegions?.[item.id] ?? {};
      held.set(item.id, data.regions.flatMap(([name, label, colour]) => (lines[name] ? [{ name, label, colour, edges: edgesOf(lines[name]) }] : [])));
      viewer.redraw();
    };

    const isOn = () => state().regions && current().regions && !G.isSinogram(state().view);
    /** @type {() => Outline[]} */
    const outlines = () => {
      if (!isOn()) return [];
      const item = current();
      if (!held.has(item.id)) load(item).catch(() => held.delete(item.id));
      return held.get(item.id) ?? [];
    };

    const reflect = () => {
      if (!data.regions.length) return;
      const [button, legend, drawn] = [find("regions", HTMLButtonElement), find("regions-legend"), outlines()];
      button.setAttribute("aria-pressed", String(state().regions));
      button.disabled = !current().regions || G.isSinogram(state().view);
      legend.hidden = !drawn.length;
      const key = `${current().id} ${drawn.length}`;
      if (legend.dataset.key === key) return;
      legend.dataset.key = key;
      const names = drawn.map(({ name }) => name);
      const absent = data.regions.flatMap(([name, label]) => (names.includes(name) ? [] : [label]));
      legend.replaceChildren(...drawn.map(({ label, colour }) => {
        const entry = G.element("span", "region", label);
        const mark = G.element("i");
        mark.style.background = colour;
        entry.prepend(mark);
        return entry;
      }), ...(absent.length ? [G.element("span", "quiet", `no place here: ${absent.join(", ")}`)] : []));
    };

    if (data.regions.length) find("regions").addEventListener("click", () => viewer.change({ regions: !state().regions }));
    return { outlines, reflect };
  };

  Object.assign(window.marbenchGallery, { makeRegions });
})();

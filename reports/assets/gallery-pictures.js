// @ts-check
// Which pictures a view has, and getting them.
"use strict";
(() => {
  const G = window.marbenchGallery;

  /** @type {Gallery["listed"]} */
  const listed = (data, item, view) => {
    const plain = { projected: false, number: 0 };
    /** @type {Entry[]} */
    const images = [
      { ...plain, key: "truth", label: "Truth" },
      { ...plain, key: "uncorrected", label: "Uncorrected" },
      ...item.has.map((at) => {
        const name = data.methods[at];
        return { ...plain, key: `method ${name}`, label: data.titles[name], number: at + 1 };
      }),
    ];
    if (!G.isSinogram(view)) return images;
    const projected = images.map((entry) => ({ ...entry, projected: true }));
    if (view === "residual") return projected;
    return [
      { ...plain, key: "measured", label: "Measured" },
      { ...plain, key: "metal-free", label: "Without metal" },
      ...projected,
    ];
  };

  /** @type {Gallery["fetchPictures"]} */
  const fetchPictures = async (data, item, entries, view, isOpen, arrived) => {
    const images = await G.fetchArrays(item, "images");
    const scans = G.isSinogram(view) ? await G.fetchArrays(item, "sinograms") : null;
    /** @type {(arrays: Map<string, Values>, name: string) => Values} */
    const get = (arrays, name) => {
      const found = arrays.get(name);
      if (!found) throw new Error(`${item.folder}: ${name}`);
      return found;
    };
    const mask = get(scans ?? images, "mask");
    const reference = scans && view === "residual" ? get(scans, "measured") : null;
    const [edges, middle] = [G.outline(mask), G.middle(mask)];
    for (const entry of entries) {
      if (!isOpen()) return;
      // A projection takes a while: one after the other. All that is there already is one drawing.
      const values = entry.projected ? await projection(item, entry.key, get(images, entry.key), data.scan) : get(scans ?? images, entry.key);
      if (!isOpen()) return;
      const canvas = document.createElement("canvas");
      arrived({ ...entry, values, mask, reference, edges, middle, canvas, insets: !scans, rows: values.rows, columns: values.columns, fresh: false });
    }
  };

  /** @type {Gallery["beside"]} */
  const beside = (data, item, by) => /** @type {GalleryCase} */ (data.cases.at((data.cases.indexOf(item) + by) % data.cases.length));

  // What a reader most likely opens next is there when it is asked for; what cannot be had is told then.
  /** @type {Gallery["fetchNeighbours"]} */
  const fetchNeighbours = (data, item, view) => {
    for (const near of [beside(data, item, 1), beside(data, item, -1)]) {
      G.fetchArrays(near, "images").catch(() => {});
      if (G.isSinogram(view) && near.sinograms) G.fetchArrays(near, "sinograms").catch(() => {});
    }
  };

  /** @type {{ id: string, made: Map<string, Promise<Values>> }} */
  const projections = { id: "", made: new Map() };
  /** @type {(item: GalleryCase, name: string, image: Values, scan: Scan) => Promise<Values>} */
  const projection = (item, name, image, scan) => {
    if (projections.id !== item.id) Object.assign(projections, { id: item.id, made: new Map() });
    const known = projections.made.get(name) ?? G.project(image, scan);
    projections.made.set(name, known);
    return known;
  };

  Object.assign(window.marbenchGallery, { listed, fetchPictures, beside, fetchNeighbours });
})();

// @ts-check
// Which pictures a view has, and getting them.
"use strict";
(() => {
  const G = window.marbenchGallery;

  /** @type {Gallery["listed"]} */
  const listed = (data, item, view) => {
    const base = `${item.folder}/_case.js`;
    const scans = `${item.folder}/_sinograms.js`;
    const plain = { name: "", projected: false, number: 0 };
    /** @type {Entry[]} */
    const images = [
      { ...plain, key: "truth", name: "truth", label: "Truth", file: base, array: "truth" },
      { ...plain, key: "uncorrected", name: "uncorrected", label: "Uncorrected", file: base, array: "uncorrected" },
      ...item.has.map((at, index) => {
        const name = data.methods[at];
        return { ...plain, key: `method ${name}`, name, label: data.titles[name], file: `${item.folder}/${data.stems[at]}.js`, array: `method ${name}`, number: index + 1 };
      }),
    ];
    if (!G.isSinogram(view)) return images;
    const projected = images.map((entry) => ({ ...entry, projected: true }));
    if (view === "residual") return projected;
    return [
      { ...plain, key: "measured", name: "measured", label: "Measured", file: scans, array: "measured" },
      { ...plain, key: "metal-free", name: "metal-free", label: "Without metal", file: scans, array: "metal-free" },
      ...projected,
    ];
  };

  /** @type {Gallery["fetchPictures"]} */
  const fetchPictures = async (data, item, entries, view, isOpen, arrived) => {
    const sinogram = G.isSinogram(view);
    /** @type {(name: string) => Promise<Values>} */
    const scan = (name) => G.fetchArray(`${item.folder}/_sinograms.js`, `${item.id}/${name}`);
    /** @type {(name: string) => Promise<Values>} */
    const base = (name) => G.fetchArray(`${item.folder}/_case.js`, `${item.id}/${name}`);
    const mask = await (sinogram ? scan("trace") : base("metal"));
    const reference = view === "residual" ? await scan("measured") : null;
    const [edges, middle] = [G.outline(mask), G.middle(mask)];
    const coming = entries.map(async (entry) => ({ entry, values: await G.fetchArray(entry.file, `${item.id}/${entry.array}`) }));
    // All at once, which is one drawing; of projections, which take a while, one after the other.
    for (const { entry, values: image } of await Promise.all(coming)) {
      if (!isOpen()) return;
      const values = entry.projected ? await projection(item, entry.array, image, data.scan) : image;
      if (!isOpen()) return;
      const canvas = document.createElement("canvas");
      arrived({ ...entry, values, mask, reference, edges, middle, canvas, insets: !sinogram, rows: values.rows, columns: values.columns, fresh: false });
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

  Object.assign(window.marbenchGallery, { listed, fetchPictures });
})();

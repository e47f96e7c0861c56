// @ts-check
// Pictures as numbers: loading them from sidecar scripts, and what their masks hold.
"use strict";
window.marbenchGallery = window.marbenchGallery || /** @type {Gallery} */ ({});
(() => {
  const { load, forget } = window.marbench;
  /** @type {Map<string, { url: string, array: Promise<Values> }>} */
  const arrays = new Map();

  /** @type {(text: string) => Promise<Uint8Array>} */
  const inflate = async (text) => {
    const packed = atob(text);
    const bytes = new Uint8Array(packed.length);
    for (let index = 0; index < packed.length; index += 1) bytes[index] = packed.charCodeAt(index);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };

  // Every value is guessed from the three before it, as JPEG-LS does (ITU-T T.87, the median of left, above and their
  // plane), and what is stored is by how much the guess failed: low bytes of all, then high bytes, small ones near 0.
  /** @type {(bytes: Uint8Array, rows: number, columns: number) => Int16Array} */
  const unpredict = (bytes, rows, columns) => {
    const count = rows * columns;
    const values = new Int16Array(count);
    for (let index = 0; index < count; index += 1) {
      const folded = bytes[index] | (bytes[count + index] << 8);
      const missed = (folded >>> 1) ^ -(folded & 1);
      const left = index % columns ? values[index - 1] : 0;
      const above = index >= columns ? values[index - columns] : 0;
      const corner = index % columns && index >= columns ? values[index - columns - 1] : 0;
      const [low, high] = left < above ? [left, above] : [above, left];
      const guess = corner >= high ? low : corner <= low ? high : left + above - corner;
      values[index] = guess + missed;
    }
    return values;
  };

  /** @type {(entry: PackedArray) => Promise<Values>} */
  const decode = async ({ shape: [rows, columns], kind, data }) => {
    const bytes = await inflate(data);
    if (kind === "int16") return { rows, columns, values: unpredict(bytes, rows, columns) };
    return { rows, columns, values: Uint8Array.from({ length: rows * columns }, (_, index) => (bytes[index >> 3] >> (7 - (index & 7))) & 1) };
  };

  /** @type {(url: string, key: string) => Promise<Values>} */
  const fetched = async (url, key) => {
    await load(url);
    const entry = window.marbenchImages?.[key];
    if (!entry) throw new Error(key);
    delete window.marbenchImages?.[key];
    const array = await decode(entry);
    if (!entry.base) return array;
    // The base comes in the file of the case, or in the same.
    const id = key.slice(0, key.indexOf("/"));
    const base = await (arrays.get(`${id}/${entry.base}`)?.array ?? fetchArray(url, `${id}/${entry.base}`));
    for (let index = 0; index < array.values.length; index += 1) array.values[index] += base.values[index];
    return array;
  };

  /** @type {Gallery["fetchArray"]} */
  const fetchArray = (url, key) => {
    const known = arrays.get(key) ?? { url, array: fetched(url, key) };
    arrays.set(key, known);
    return known.array;
  };

  /** @type {Gallery["keep"]} */
  const keep = (id) => {
    for (const [key, { url }] of [...arrays]) {
      if (key.startsWith(`${id}/`)) continue;
      arrays.delete(key);
      forget(url);
    }
  };

  /** @type {Gallery["outline"]} */
  const outline = ({ rows, columns, values }) => {
    /** @type {(row: number, column: number) => boolean} */
    const at = (row, column) => row >= 0 && column >= 0 && row < rows && column < columns && values[row * columns + column] === 1;
    /** @type {Edge[]} */
    const edges = [];
    for (let row = 0; row <= rows; row += 1) {
      for (let column = 0; column <= columns; column += 1) {
        if (at(row, column) !== at(row - 1, column)) edges.push([column, row, column + 1, row]);
        if (at(row, column) !== at(row, column - 1)) edges.push([column, row, column, row + 1]);
      }
    }
    return edges;
  };

  // The metal pixel nearest to the middle of all metal, as fractions of the picture.
  /** @type {Gallery["middle"]} */
  const middle = ({ rows, columns, values }) => {
    const inside = [...values.keys()].filter((index) => values[index]);
    if (inside.length === 0) return [0.5, 0.5];
    /** @type {(part: (index: number) => number) => number} */
    const mean = (part) => inside.reduce((sum, index) => sum + part(index), 0) / inside.length;
    const [row, column] = [mean((index) => Math.floor(index / columns)), mean((index) => index % columns)];
    /** @type {(index: number) => number} */
    const far = (index) => (Math.floor(index / columns) - row) ** 2 + ((index % columns) - column) ** 2;
    const nearest = inside.reduce((best, index) => (far(index) < far(best) ? index : best));
    return [((nearest % columns) + 0.5) / columns, (Math.floor(nearest / columns) + 0.5) / rows];
  };

  Object.assign(window.marbenchGallery, { fetchArray, keep, outline, middle });
})();

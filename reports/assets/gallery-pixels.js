// @ts-check
// Pictures as numbers: loading them from sidecar scripts, and what their masks hold.
"use strict";
window.marbenchGallery = window.marbenchGallery || /** @type {Gallery} */ ({});
(() => {
  const { load, forget } = window.marbench;
  // The case on show, its neighbours, and those looked at before: of 16 pictures of 416², 6 MB each.
  const MOST_FILES = 8;
  /** What was wanted last comes last. @type {Map<string, Promise<Map<string, Values>>>} */
  const files = new Map();

  /** @type {(text: string) => Promise<Uint8Array>} */
  const inflate = async (text) => {
    const packed = atob(text);
    const bytes = new Uint8Array(packed.length);
    for (let index = 0; index < packed.length; index += 1) bytes[index] = packed.charCodeAt(index);
    // A Blob would go through another process and back.
    const stream = /** @type {ReadableStream<BufferSource>} */ (new Response(bytes).body).pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };

  // Every value is guessed from the three before it, as JPEG-LS does (ITU-T T.87, the median of left, above and their
  // plane), and what is stored is by how much the guess failed: low bytes of all, then high bytes, small ones near 0.
  /** @type {(bytes: Uint8Array, rows: number, columns: number) => Int16Array} */
  const unpredict = (bytes, rows, columns) => {
    const count = rows * columns;
    const values = new Int16Array(count);
    for (let row = 0, index = 0; row < rows; row += 1) {
      let left = 0;
      let corner = 0;
      for (let column = 0; column < columns; column += 1, index += 1) {
        const folded = bytes[index] | (bytes[count + index] << 8);
        const above = row ? values[index - columns] : 0;
        const low = Math.min(left, above);
        const high = Math.max(left, above);
        const guess = corner >= high ? low : corner <= low ? high : left + above - corner;
        values[index] = guess + ((folded >>> 1) ^ -(folded & 1));
        left = values[index];
        corner = above;
      }
    }
    return values;
  };

  /** @type {(packed: PackedArrays) => Promise<Map<string, Values>>} */
  const decode = async ({ shape: [rows, columns], names, data }) => {
    const bytes = await inflate(data);
    const count = rows * columns;
    const mask = new Uint8Array(count).map((_, index) => (bytes[index >> 3] >> (7 - (index & 7))) & 1);
    const arrays = names.map((_, place) => unpredict(bytes.subarray(Math.ceil(count / 8) + 2 * count * place), rows, columns));
    const [first, ...others] = arrays;
    for (const array of others) for (let index = 0; index < count; index += 1) array[index] += first[index];
    return new Map([["mask", { rows, columns, values: mask }], ...names.map((name, place) => /** @type {[string, Values]} */ ([name, { rows, columns, values: arrays[place] }]))]);
  };

  /** @type {(url: string, name: string) => Promise<Map<string, Values>>} */
  const fetched = async (url, name) => {
    await load(url);
    forget(url);
    const packed = window.marbenchImages?.[name];
    if (!packed) throw new Error(url);
    delete window.marbenchImages?.[name];
    return decode(packed);
  };

  /** @type {Gallery["fetchArrays"]} */
  const fetchArrays = (item, kind) => {
    const name = `${item.id}/${kind}`;
    const arrays = files.get(name) ?? fetched(`${item.folder}/${kind}.js`, name);
    files.delete(name);
    files.set(name, arrays);
    arrays.catch(() => files.delete(name));
    if (files.size > MOST_FILES) files.delete([...files.keys()][0]);
    return arrays;
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
    /** @type {number[]} */
    const inside = [];
    values.forEach((value, index) => { if (value) inside.push(index); });
    if (inside.length === 0) return [0.5, 0.5];
    /** @type {(part: (index: number) => number) => number} */
    const mean = (part) => inside.reduce((sum, index) => sum + part(index), 0) / inside.length;
    const [row, column] = [mean((index) => Math.floor(index / columns)), mean((index) => index % columns)];
    /** @type {(index: number) => number} */
    const far = (index) => (Math.floor(index / columns) - row) ** 2 + ((index % columns) - column) ** 2;
    const nearest = inside.reduce((best, index) => (far(index) < far(best) ? index : best));
    return [((nearest % columns) + 0.5) / columns, (Math.floor(nearest / columns) + 0.5) / rows];
  };

  Object.assign(window.marbenchGallery, { fetchArrays, outline, middle });
})();

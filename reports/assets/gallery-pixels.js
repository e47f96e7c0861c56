// Pictures as numbers: loading them from sidecar scripts, and turning HU into colours.
"use strict";
window.marbenchGallery = window.marbenchGallery || {};
(() => {
  const { load, forget } = window.marbench;
  const OFFSET = 32768;
  const METAL_GREY = 0xff9a9a9a;
  const STOPS = [[5, 48, 97], [67, 147, 195], [247, 247, 247], [214, 96, 77], [103, 0, 31]];
  const arrays = new Map();

  const opaque = (red, green, blue) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;

  const decode = (entry) => {
    const [rows, columns] = entry.shape;
    const text = atob(entry.data);
    const bytes = new Uint8Array(text.length);
    for (let index = 0; index < text.length; index += 1) bytes[index] = text.charCodeAt(index);
    if (entry.kind === "bits") {
      const values = new Uint8Array(rows * columns);
      for (let index = 0; index < values.length; index += 1) values[index] = (bytes[index >> 3] >> (7 - (index & 7))) & 1;
      return { rows, columns, values };
    }
    const values = new Int16Array(rows * columns);
    const view = new DataView(bytes.buffer);
    for (let index = 0; index < values.length; index += 1) values[index] = view.getInt16(2 * index, true);
    return { rows, columns, values };
  };

  // The array "case/name" of a sidecar file: { rows, columns, values }.
  const fetchArray = async (url, key) => {
    if (!arrays.has(key)) {
      await load(url);
      if (!arrays.has(key)) {
        const entry = (window.marbenchImages || {})[key];
        if (!entry) throw new Error(key);
        arrays.set(key, { url, ...decode(entry) });
        delete window.marbenchImages[key];
      }
    }
    return arrays.get(key);
  };

  // Forget the pictures of other cases than these; they load again when they are wanted.
  const keep = (cases) => {
    for (const [key, { url }] of [...arrays]) {
      if (cases.some((id) => key.startsWith(`${id}/`))) continue;
      arrays.delete(key);
      forget(url);
    }
  };

  const grey = (low, high) => {
    const table = new Uint32Array(2 * OFFSET);
    for (let value = -OFFSET; value < OFFSET; value += 1) {
      const level = Math.round(255 * Math.min(1, Math.max(0, (value - low) / (high - low))));
      table[value + OFFSET] = opaque(level, level, level);
    }
    return table;
  };

  const diverging = (position) => {
    const place = Math.min(0.999999, Math.max(0, position)) * (STOPS.length - 1);
    const [from, to] = [STOPS[Math.floor(place)], STOPS[Math.floor(place) + 1]];
    return from.map((start, channel) => Math.round(start + (to[channel] - start) * (place % 1)));
  };

  const signed = (range) => {
    const table = new Uint32Array(2 * OFFSET);
    for (let value = -OFFSET; value < OFFSET; value += 1) table[value + OFFSET] = opaque(...diverging((value + range) / (2 * range)));
    return table;
  };

  const onto = (canvas, array, colour) => {
    canvas.width = array.columns;
    canvas.height = array.rows;
    const context = canvas.getContext("2d");
    const image = context.createImageData(array.columns, array.rows);
    const pixels = new Uint32Array(image.data.buffer);
    for (let index = 0; index < pixels.length; index += 1) pixels[index] = colour(index);
    context.putImageData(image, 0, 0);
    return canvas;
  };

  const paintValues = (canvas, array, table) => onto(canvas, array, (index) => table[array.values[index] + OFFSET]);

  // What a pixel of the error map stands for: image minus truth, HU.
  const difference = (array, truth, index) => array.values[index] - truth.values[index];

  const paintError = (canvas, array, truth, metal, table) => onto(canvas, array, (index) => {
    if (metal.values[index]) return METAL_GREY;
    return table[Math.min(OFFSET - 1, Math.max(-OFFSET, difference(array, truth, index))) + OFFSET];
  });

  // The borders of a mask, as pixel edges [x0, y0, x1, y1].
  const outline = ({ rows, columns, values }) => {
    const at = (row, column) => row >= 0 && column >= 0 && row < rows && column < columns && values[row * columns + column] === 1;
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
  const middle = ({ rows, columns, values }) => {
    const inside = [...values.keys()].filter((index) => values[index]);
    if (inside.length === 0) return [0.5, 0.5];
    const mean = (part) => inside.reduce((sum, index) => sum + part(index), 0) / inside.length;
    const [row, column] = [mean((index) => Math.floor(index / columns)), mean((index) => index % columns)];
    const far = (index) => (Math.floor(index / columns) - row) ** 2 + ((index % columns) - column) ** 2;
    const nearest = inside.reduce((best, index) => (far(index) < far(best) ? index : best));
    return [((nearest % columns) + 0.5) / columns, (Math.floor(nearest / columns) + 0.5) / rows];
  };

  Object.assign(window.marbenchGallery, { fetchArray, keep, grey, signed, diverging, paintValues, paintError, difference, outline, middle });
})();

// @ts-check
// From numbers to colours: grey values of a display window, colour maps of differences.
"use strict";
(() => {
  const G = window.marbenchGallery;
  const OFFSET = 32768;
  const LARGEST = 32767;
  const MASK_GREY = 0xff9a9a9a;

  // Two ends and a middle as lightness, green-red and blue-yellow in OKLab (Ottosson 2020, in the public domain): equal steps
  // of the error are equal steps to the eye, and blue and orange stay apart for colour-blind readers.
  /** @type {Record<"light" | "dark", Array<[number, number, number]>>} */
  const ENDS = {
    light: [[0.38, -0.02, -0.135], [0.97, 0, 0], [0.42, 0.1, 0.085]],
    dark: [[0.86, -0.05, -0.08], [0.14, 0, 0], [0.86, 0.04, 0.12]],
  };
  // Viridis by Nathaniel Smith and Stéfan van der Walt (CC0), every sixteenth colour: for the size of an error.
  const VIRIDIS = [
    [68, 1, 84], [72, 24, 106], [71, 45, 123], [66, 64, 134], [59, 82, 139], [51, 99, 141], [44, 114, 142], [38, 130, 142],
    [33, 145, 140], [31, 159, 136], [39, 173, 129], [61, 188, 116], [92, 200, 99], [129, 211, 77], [170, 220, 50],
    [213, 226, 26], [253, 231, 37],
  ];

  /** @type {(red: number, green: number, blue: number) => number} */
  const opaque = (red, green, blue) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;

  /** @type {(lab: number[]) => [number, number, number]} */
  const fromOklab = ([lightness, a, b]) => {
    const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
    const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
    const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
    /** @type {(linear: number) => number} */
    const encoded = (linear) => {
      const level = G.between(linear, 0, 1);
      return Math.round(255 * (level <= 0.0031308 ? 12.92 * level : 1.055 * level ** (1 / 2.4) - 0.055));
    };
    return [
      encoded(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
      encoded(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
      encoded(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
    ];
  };

  /** @type {(stops: number[][], position: number) => number[]} */
  const between = (stops, position) => {
    const place = G.between(position, 0, 0.999999) * (stops.length - 1);
    const [from, to] = [stops[Math.floor(place)], stops[Math.floor(place) + 1]];
    return from.map((start, channel) => start + (to[channel] - start) * (place % 1));
  };

  /** @type {Gallery["colourAt"]} */
  const colourAt = (position, colours) => {
    if (colours !== "viridis") return fromOklab(between(ENDS[colours], position));
    const [red, green, blue] = between(VIRIDIS, position).map(Math.round);
    return [red, green, blue];
  };

  /** What was asked for last is at hand. @type {Map<string, { of: string, colours: Uint32Array }>} */
  const tables = new Map();
  /** @type {(kind: string, of: string, level: (value: number) => number) => Uint32Array} */
  const table = (kind, of, level) => {
    const known = tables.get(kind);
    if (known?.of === of) return known.colours;
    const colours = new Uint32Array(2 * OFFSET);
    for (let value = -OFFSET; value <= LARGEST; value += 1) colours[value + OFFSET] = level(value);
    tables.set(kind, { of, colours });
    return colours;
  };

  /** @type {Gallery["grey"]} */
  const grey = (low, high) => table("grey", `${low} ${high}`, (value) => {
    const level = Math.round(255 * G.between((value - low) / (high - low), 0, 1));
    return opaque(level, level, level);
  });

  // A map of 256 colours, looked up: the conversion for each of 65,536 values would be felt.
  /** @type {Gallery["signed"]} */
  const signed = (range, colours) => {
    const map = Array.from({ length: 256 }, (_, index) => opaque(...colourAt(index / 255, colours)));
    return table("signed", `${range} ${colours}`, (value) => map[Math.round(255 * G.between(colours === "viridis" ? Math.abs(value) / range : (value + range) / (2 * range), 0, 1))]);
  };

  /** @type {(canvas: HTMLCanvasElement, array: Values, colour: (index: number) => number) => void} */
  const onto = (canvas, array, colour) => {
    Object.assign(canvas, { width: array.columns, height: array.rows });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const image = context.createImageData(array.columns, array.rows);
    const pixels = new Uint32Array(image.data.buffer);
    for (let index = 0; index < pixels.length; index += 1) pixels[index] = colour(index);
    context.putImageData(image, 0, 0);
  };

  /** @type {Gallery["paintValues"]} */
  const paintValues = (canvas, array, colours) => onto(canvas, array, (index) => colours[array.values[index] + OFFSET]);

  /** @type {Gallery["paintDifference"]} */
  const paintDifference = (canvas, array, reference, mask, colours) => onto(canvas, array, (index) => {
    if (mask.values[index]) return MASK_GREY;
    return colours[G.between(array.values[index] - reference.values[index], -OFFSET, LARGEST) + OFFSET];
  });

  Object.assign(window.marbenchGallery, { grey, signed, colourAt, paintValues, paintDifference });
})();

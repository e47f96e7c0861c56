// What is said of a picture: its scores, the value under the probe, mean and deviation in the circle.
"use strict";
window.marbenchGallery = window.marbenchGallery || {};
(() => {
  const G = window.marbenchGallery;
  const minus = (text) => text.replace("-", "−");

  const makeTexts = ({ data, state, current, pictures }) => {
    const scoresOf = (entry) => {
      const values = current().scores[entry.key === "uncorrected" ? data.uncorrected : entry.name];
      if (state().view === "sinogram" || entry.key === "truth" || !values) return "";
      const { parse, print } = window.marbench;
      return data.measures.map(([title, unit, digits], index) => `${title} ${print(parse(values[index]), digits)}${unit ? ` ${unit}` : ""}`).join(" · ");
    };

    const valueAt = (picture, [row, column]) => {
      const { array } = picture;
      if (row < 0 || column < 0 || row >= array.rows || column >= array.columns) return "";
      const index = row * array.columns + column;
      if (state().view === "sinogram") return minus((array.values[index] / 1000).toFixed(3));
      const metal = current().metal && current().metal.values[index] ? ", metal" : "";
      if (state().view === "error" && picture.key !== state().against) {
        const reference = pictures().get(state().against);
        if (!reference) return "";
        const error = G.difference(array, reference.array, index);
        return `${error > 0 ? "+" : ""}${minus(String(error))} HU${metal}`;
      }
      return `${minus(String(array.values[index]))} HU${metal}`;
    };

    const roiText = (picture) => {
      const { mean, deviation, count } = G.statistics(picture.array, state().roi, state().view === "error" && picture.key !== state().against ? pictures().get(state().against)?.array : null);
      const scale = state().view === "sinogram" ? 1000 : 1;
      const digits = scale === 1 ? 1 : 3;
      return `ROI ${window.marbench.print(mean / scale, digits)} ± ${window.marbench.print(deviation / scale, digits)} (${count} px)`;
    };
    return { scoresOf, valueAt, roiText };
  };

  Object.assign(window.marbenchGallery, { makeTexts });
})();

// @ts-check
// What is said of a picture: its scores, the value under the probe, mean and deviation in the circle.
"use strict";
(() => {
  const G = window.marbenchGallery;

  /** @type {Gallery["makeTexts"]} */
  const makeTexts = (viewer) => {
    const { data, state, current, referenceOf } = viewer;
    const { parse, print } = window.marbench;

    /** What ranks, or all measures. @type {(entry: Entry, all: boolean) => string} */
    const scoresOf = (entry, all) => {
      const values = current().scores[entry.key];
      if (G.isSinogram(state().view) || !values) return "";
      // A line ends between two measures, and not before a number.
      return data.measures.slice(0, all ? undefined : data.together)
        .map(([title, unit, digits], index) => [title, print(parse(values[index]), digits), unit].filter(Boolean).join("\u00a0")).join(" · ");
    };

    /** @type {Texts["valueAt"]} */
    const valueAt = (picture, [row, column]) => {
      if (row < 0 || column < 0 || row >= picture.rows || column >= picture.columns) return "";
      const index = row * picture.columns + column;
      const reference = referenceOf(picture);
      const { scale, digits, name } = G.unitOf(state().view);
      const value = (picture.values.values[index] - (reference ? reference.values[index] : 0)) / scale;
      const masked = picture.mask.values[index] ? (G.isSinogram(state().view) ? ", trace" : ", metal") : "";
      return `${reference && value > 0 ? "+" : ""}${print(value, digits)}${name ? ` ${name}` : ""}${masked}`;
    };

    /** @type {(picture: Picture) => string} */
    const roiText = (picture) => {
      const roi = state().roi;
      if (!roi) return "";
      const { mean, deviation, count } = G.statistics(picture.values, roi, referenceOf(picture));
      const { scale, digits } = G.unitOf(state().view);
      return `ROI ${print(mean / scale, digits || 1)} ± ${print(deviation / scale, digits || 1)} (${count} px)`;
    };

    /** How well the picture explains what was measured: nothing else is known of a real patient. @type {(picture: Picture) => string} */
    const residualText = (picture) => {
      const reference = referenceOf(picture);
      return reference ? `RMS ${print(G.rmsOutside(picture.values, reference, picture.mask) / 1000, 4)} outside the trace` : "";
    };

    /** Among many panes what ranks; one alone has room for all. @type {Texts["tellScores"]} */
    const tellScores = (pane, entry, picture) => {
      const { layout, roi, view } = state();
      if (layout === "swipe") G.tell(pane.scores, "");
      else if (picture && (roi || view === "residual")) G.tell(pane.scores, roi ? roiText(picture) : residualText(picture));
      else G.tell(pane.scores, scoresOf(entry, layout === "flip"), scoresOf(entry, true));
    };

    /** @type {Texts["captions"]} */
    const captions = () => (state().layout === "flip" ? viewer.listed().map((entry) => scoresOf(entry, true)) : []);

    /** @type {Texts["factsOf"]} */
    const factsOf = (item) => {
      const absent = data.methods.filter((_, index) => !item.has.includes(index)).map((name) => data.titles[name]);
      const facts = [
        item.id, item.reasons.join(", "), `group ${item.group}`, item.region, item.materials.join(" + "),
        `${print(item.area, 1)} mm² of metal`, item.made ? `last result of ${item.made}` : "", absent.length ? `no picture of ${absent.join(", ")}` : "",
        // No number without what it is under, on pictures that are saved neither.
        data.convention ? `scores ${data.convention}` : "",
      ];
      return facts.filter(Boolean).join(" · ");
    };

    /** What the values of the panes are, for a caption. @type {Texts["scaleText"]} */
    const scaleText = () => {
      const { view, against } = state();
      const { scale, name } = G.unitOf(view);
      const digits = scale === 1 ? 0 : 2;
      const other = viewer.listed().find((entry) => entry.key === against);
      const minus = view === "residual" || !other ? "measured" : other.number ? other.label : other.label.toLowerCase();
      const [low, high] = G.isDifference(view) ? [-viewer.range(), viewer.range()] : viewer.windowNow();
      const about = view === "error" ? `HU, image minus ${minus}` : view === "residual" ? `projection minus ${minus}` : name || "line integral";
      return { low: print(low / scale, digits), high: `${G.isDifference(view) ? "+" : ""}${print(high / scale, digits)}`, about };
    };

    return { tellScores, captions, valueAt, factsOf, scaleText };
  };

  Object.assign(window.marbenchGallery, { makeTexts });
})();

// @ts-check
// Means over the cases of a region and a metal alone, from the sums over every kind of case.
"use strict";
window.marbench = window.marbench || {};
(() => {
  const { parse, print } = window.marbench;

  /** @type {Shared["counted"]} */
  const counted = (count) => `${count.toLocaleString("en")} case${count === 1 ? "" : "s"}`;

  /** @type {Shared["casesOf"]} */
  const casesOf = (cells, region, material) => {
    /** @type {Map<string, number[]>} */
    const known = new Map();
    /** @type {(group: string) => number[]} */
    const strata = (group) => {
      const found = known.get(group) ?? cells.strata
        .map((cell, index) => ({ cell, index }))
        .filter(({ cell }) => (!region || cell[0] === region) && (!material || cell[1].split(",").includes(material)))
        .filter(({ cell }) => group === "0" || String(cell[2]) === group)
        .map(({ index }) => index);
      known.set(group, found);
      return found;
    };
    /** @type {(own: Stored[] | undefined, group: string) => number} */
    const sum = (own, group) => strata(group).reduce((all, index) => all + (parse(own?.[index] ?? 0) ?? 0), 0);
    const total = sum(cells.cases, "0");

    /** @type {(method: string, measure: MeasureInfo, group: string) => { value: number | null, parts: (Node | string)[] }} */
    const mean = (method, { id, digits }, group) => {
      const count = sum(cells.counts[id][method], group);
      const value = count ? sum(cells.sums[id][method], group) / count : null;
      /** @type {(Node | string)[]} */
      const parts = [print(value, digits)];
      if (count && count < sum(cells.cases, group)) parts.push(document.createElement("br"), Object.assign(document.createElement("small"), { textContent: counted(count) }));
      return { value, parts };
    };
    return { total, good: (method) => sum(cells.good[method], "0"), mean };
  };

  Object.assign(window.marbench, { counted, casesOf });
})();

// @ts-check
// What a form is set to, as the fragment of the page's address: a link shows the same again.
"use strict";
window.marbench = window.marbench || {};
(() => {
  /** @typedef {HTMLInputElement | HTMLSelectElement} Field */
  /** @type {(form: HTMLFormElement) => Field[]} */
  const fieldsOf = (form) => /** @type {Field[]} */ ([...form.elements].filter((field) => field.getAttribute("name")));
  /** @type {(field: Field) => string} */
  const valueOf = (field) => (field.type === "checkbox" ? String(Number(/** @type {HTMLInputElement} */ (field).checked)) : field.value);
  /** @type {(field: Field) => boolean} */
  const isDefault = (field) => {
    if (field instanceof HTMLSelectElement) return field.value === field.options[0].value;
    if (field.type === "checkbox") return field.checked === field.defaultChecked;
    return field.type === "radio" ? !field.checked || field.defaultChecked : field.value === field.defaultValue;
  };

  // Browsers fill in what a field held before the page was loaded anew.
  /** @type {(field: Field) => void} */
  const restore = (field) => {
    if (field instanceof HTMLSelectElement) field.selectedIndex = 0;
    else if (field.type === "checkbox" || field.type === "radio") field.checked = field.defaultChecked;
    else field.value = field.defaultValue;
  };

  // Set a form as the address says, and to its defaults where it says nothing; return the column that it sorts by, or null.
  /** @type {Shared["readAddress"]} */
  const readAddress = (form) => {
    const query = new URLSearchParams(location.hash.slice(1));
    fieldsOf(form).forEach(restore);
    for (const field of fieldsOf(form)) {
      const value = query.get(field.name);
      if (value === null) continue;
      if (field instanceof HTMLSelectElement) {
        if ([...field.options].some((option) => option.value === value)) field.value = value;
      } else if (field.type === "checkbox") field.checked = value !== "0";
      else if (field.type === "radio") field.checked ||= field.value === value;
      else field.value = value;
    }
    const sort = query.get("sort");
    return sort ? { column: sort.replace(/^-/, ""), up: !sort.startsWith("-") } : null;
  };

  /** @type {Shared["writeAddress"]} */
  const writeAddress = (form, sort) => {
    const query = new URLSearchParams();
    for (const field of fieldsOf(form)) if (!isDefault(field)) query.set(field.name, valueOf(field));
    if (sort) query.set("sort", `${sort.up ? "" : "-"}${sort.column}`);
    const hash = String(query) && `#${query}`;
    if (hash !== location.hash) history.replaceState(null, "", location.href.split("#")[0] + hash);
  };

  // What fields are set to, in the words of the form; nothing of those that choose all.
  /** @type {Shared["wordsOf"]} */
  const wordsOf = (form, names) => fieldsOf(form).filter((field) => names.includes(field.name) && field.value.trim()).map((field) => {
    const value = field instanceof HTMLSelectElement ? field.selectedOptions[0].text : `“${field.value.trim()}”`;
    return `${field.labels?.[0].querySelector(".sr")?.textContent?.toLowerCase()}: ${value}`;
  });

  // An address typed or gone back to, that of the page as it opens too; a fragment without a value is somebody's anchor.
  window.addEventListener("hashchange", () => { if (!location.hash || location.hash.includes("=")) location.reload(); });
  Object.assign(window.marbench, { readAddress, writeAddress, wordsOf });
})();

// What a form is set to, as the fragment of the page's address: a link shows the same again.
"use strict";
window.marbench = window.marbench || {};
(() => {
  const fieldsOf = (form) => [...form.elements].filter((field) => field.name);
  const isDefault = (field) => (field.type === "checkbox" ? field.checked === field.defaultChecked : field.type === "radio"
    ? !field.checked || field.defaultChecked
    : field.value === (field.options ? field.options[0].value : field.defaultValue));

  // Set a form as the address says; return the column that it sorts by, { column, up }, or null.
  const readAddress = (form) => {
    const query = new URLSearchParams(location.hash.slice(1));
    for (const field of fieldsOf(form)) {
      const value = query.get(field.name);
      if (value === null) continue;
      if (field.type === "checkbox") field.checked = value !== "0";
      else if (field.type === "radio") field.checked ||= field.value === value;
      else if (!field.options || [...field.options].some((option) => option.value === value)) field.value = value;
    }
    const sort = query.get("sort");
    return sort ? { column: sort.replace(/^-/, ""), up: !sort.startsWith("-") } : null;
  };

  const writeAddress = (form, sort) => {
    const query = new URLSearchParams();
    for (const field of fieldsOf(form)) if (!isDefault(field)) query.set(field.name, field.type === "checkbox" ? String(Number(field.checked)) : field.value);
    if (sort) query.set("sort", `${sort.up ? "" : "-"}${sort.column}`);
    const hash = String(query) && `#${query}`;
    if (hash !== location.hash) history.replaceState(null, "", location.href.split("#")[0] + hash);
  };

  // An address typed or gone back to; a fragment without a value is the skip link's.
  window.addEventListener("hashchange", () => { if (location.hash.includes("=")) location.reload(); });
  Object.assign(window.marbench, { readAddress, writeAddress });
})();

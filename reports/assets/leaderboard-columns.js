// @ts-check
// Which columns of the leaderboard are there: those that the reader leaves checked.
"use strict";
window.marbench = window.marbench || {};
(() => {
  /**
   * Show the columns whose boxes are checked, hide the others.
   * @param {HTMLTableElement} table
   * @param {HTMLFormElement} form with a box `column-NAME` for every column that can go
   */
  const showColumns = (table, form) => {
    for (const cell of table.querySelectorAll("[data-column]")) {
      if (!(cell instanceof HTMLElement)) continue;
      const box = form.elements.namedItem(`column-${cell.dataset.column}`);
      cell.hidden = box instanceof HTMLInputElement && !box.checked;
    }
  };

  Object.assign(window.marbench, { showColumns });
})();

// @ts-check
// Copies and downloads of the leaderboard: the rows on show, in the words of a paper or as CSV.
"use strict";
window.marbench = window.marbench || {};
(() => {
  const { MISSING, one, all } = window.marbench;
  // The filters of the rows, and of what their means are over.
  const METHODS = ["search", "domain", "kind"];
  const CASES = ["region", "material"];
  /** @typedef {Record<"text" | "best" | "second" | "tied" | "number", (text: string) => string>} Style */

  // What the leaderboard gives: its data and boards, what a board's numbers are, the rows on show, what a field is set to.
  /** @type {Shared["bindCopies"]} */
  const bindCopies = ({ data, boards, aboutOf, shownRows, choice, words }) => {
    const { spec, protocol } = document.documentElement.dataset;
    // Copies: the table as it stands, in the words of a paper.
    /** @type {Record<string, string>} */
    const ESCAPES = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}" };
    const latexText = (/** @type {string} */ text) => text.replace(/[\\~^]|[&%$#_{}]/g, (sign) => ESCAPES[sign] || `\\${sign}`);
    const markdownText = (/** @type {string} */ text) => text.replace(/[\\`*_{}[\]<>|#~]/g, "\\$&");
    /** @type {Style} */
    const latex = {
      text: latexText,
      best: (text) => `\\textbf{${text}}`,
      second: (text) => `\\underline{${text}}`,
      tied: (text) => `${text}$^\\dagger$`,
      number: (text) => text.replaceAll("∞", "$\\infty$").replaceAll("−", "$-$").replaceAll(MISSING, "--"),
    };
    /** @type {Style} */
    const markdown = {
      text: markdownText,
      best: (text) => `**${text}**`,
      second: (text) => `<u>${text}</u>`,
      tied: (text) => `${text}†`,
      number: (text) => text,
    };

    const textOf = (/** @type {Node | null} */ part) => (part?.textContent ?? "").trim();

    /** @type {(span: HTMLElement, style: Style, filtered: boolean) => string} */
    const printed = (span, style, filtered) => {
      let text = style.number(textOf(span.firstChild));
      if (span.classList.contains("best")) text = style.best(text);
      if (span.classList.contains("second")) text = style.second(text);
      return span.classList.contains("tied") && !filtered ? style.tied(text) : text;
    };

    /** @type {(board: HTMLElement, style: Style) => { head: string[], rows: string[][], title: string, convention: string }} */
    const tableOf = (board, style) => {
      const table = one("table", board);
      const filtered = board.classList.contains("filtered");
      const { measures, views, convention } = aboutOf(board);
      const title = views[table.dataset.view ?? "both"].map((name) => measures[name].caption).join(" / ");
      // The columns that are seen; the first two are rank and method.
      const headings = all("thead th", table).slice(2).map((heading, index) => ({ heading, at: index + 2 })).filter(({ heading }) => heading.offsetWidth > 0);
      const head = headings.map(({ heading }) => measures[heading.dataset.measure ?? ""]?.caption ?? textOf((heading.querySelector("button") ?? heading).firstChild));
      /** @type {(cell: HTMLElement) => string} */
      const cellText = (cell) => {
        const spans = all(".v", cell).filter((span) => !span.classList.contains("aside"));
        return spans.length ? spans.map((span) => printed(span, style, filtered)).join(" / ") : style.number(style.text(textOf(cell.firstChild)));
      };
      const rows = shownRows(board).map((row) => [
        style.text(row.dataset.title ?? "") + (row.classList.contains("unranked") ? " (not ranked)" : ""),
        ...headings.map(({ at }) => cellText(row.cells[at])),
      ]);
      return { head: ["Method", ...head], rows, title, convention };
    };
    // Results of a part of the benchmark must not pass for the whole.
    const { cases, expected } = data;
    const part = expected !== null && cases < expected ? [`${cases.toLocaleString("en")} of ${expected.toLocaleString("en")} cases`] : [];
    const about = (/** @type {string} */ convention) => [convention, `spec ${spec}, protocol ${protocol}`, ...part, ...words([...METHODS, ...CASES])].join("; ");

    /** @type {Record<string, (board: HTMLElement) => string>} */
    const FORMATS = {
      latex: (board) => {
        const { head, rows, title, convention } = tableOf(board, latex);
        return [
          `% marbench: ${title}, convention ${about(convention)}`,
          "% needs \\usepackage{booktabs}",
          `\\begin{tabular}{l${"c".repeat(head.length - 1)}}`,
          "\\toprule",
          `${head.map(latexText).join(" & ")} \\\\`,
          "\\midrule",
          ...rows.map((row) => `${row.join(" & ")} \\\\`),
          "\\bottomrule",
          "\\end{tabular}",
        ].join("\n");
      },
      markdown: (board) => {
        const { head, rows, title, convention } = tableOf(board, markdown);
        const line = (/** @type {string[]} */ cells) => `| ${cells.join(" | ")} |`;
        return [`${title}, convention ${about(convention)}`, "", line(head), line(head.map((_, index) => (index ? "---:" : "---"))), ...rows.map(line)].join("\n");
      },
      csv: (board) => {
        const { measures } = aboutOf(board);
        // A leading = + - @ would be a formula in a spreadsheet.
        const quote = (/** @type {string} */ text) => (/[",\n\r]/.test(text) || /^[=+\-@\t]/.test(text) ? `"${(/^[=+\-@\t]/.test(text) ? "'" : "") + text.replaceAll('"', '""')}"` : text);
        const groups = (shownRows(board).length ? all(".cell", shownRows(board)[0]) : []).map((cell) => (cell.dataset.group === "0" ? "all" : `group_${cell.dataset.group}`));
        const columns = Object.values(measures).flatMap(({ id }) => groups.map((group) => `${id} ${group}`));
        const texts = ["made", "published", "evidence"].filter((name) => board.querySelector(`[data-column="${name}"]`));
        // Of which cases the means are, and which methods the ranks are among.
        const scope = { cases_of_benchmark: String(expected ?? ""), spec, protocol, region: choice("region"), metal: choice("material"), filter: words(METHODS).join("; ") };
        const rows = shownRows(board).map((row) => [
          quote(row.dataset.method ?? ""),
          quote(row.dataset.title ?? ""),
          row.cells[0].dataset.value,
          ...Object.keys(measures).flatMap((name) => all(`.cell [data-measure="${name}"]`, row).map((span) => (span.dataset.value ?? "").replace("Infinity", "inf"))),
          ...["time", "parameters"].map((name) => one(`[data-column="${name}"]`, row).dataset.value ?? ""),
          // Apart: of 4/4 a spreadsheet makes a date.
          ...textOf(one(".cover", row).firstChild).replaceAll(",", "").split("/"),
          ...texts.map((name) => quote(textOf(one(`[data-column="${name}"]`, row).firstChild))),
          ...Object.values(scope).map((text) => quote(text ?? "")),
        ]);
        return [["method", "title", "rank", ...columns.map(quote), "seconds", "parameters", "cases_ok", "cases", ...texts, ...Object.keys(scope)], ...rows].map((row) => row.join(",")).join("\n");
      },
    };

    const dialog = /** @type {HTMLDialogElement} */ (one("#copied"));
    const area = /** @type {HTMLTextAreaElement} */ (one("textarea", dialog));
    const boardShown = () => boards.find((board) => !board.hidden) ?? boards[0];
    one("#download").addEventListener("click", () => {
      const link = document.createElement("a");
      // With a byte-order mark, without which Excel takes UTF-8 for something else.
      link.href = URL.createObjectURL(new Blob(["\ufeff", FORMATS.csv(boardShown()), "\n"], { type: "text/csv" }));
      const chosen = [...CASES, ...METHODS].map(choice).map((text) => text.trim().replace(/[^\p{L}\p{N}.]+/gu, "_")).filter(Boolean);
      link.download = `${["leaderboard", spec, ...chosen].join("-")}.csv`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
    one("#copy").addEventListener("click", async (event) => {
      const format = event.target instanceof HTMLElement ? event.target.dataset.format : undefined;
      if (!format) return;
      area.value = FORMATS[format](boardShown());
      dialog.showModal();
      area.select();
      const said = one("#copied-status");
      try {
        await navigator.clipboard.writeText(area.value);
        said.textContent = "Copied to the clipboard.";
      } catch {
        said.textContent = "Press Ctrl+C (⌘C) to copy the selected text.";
      }
    });
  };

  Object.assign(window.marbench, { bindCopies });
})();

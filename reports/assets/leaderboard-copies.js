// Copies and downloads of the leaderboard: the rows on show, in the words of a paper or as CSV.
"use strict";
window.marbench = window.marbench || {};
(() => {
  const { MISSING } = window.marbench;

  // What the leaderboard gives: its boards, what a board's numbers are, the rows on show, what a field is set to.
  const bindCopies = ({ boards, aboutOf, shownRows, choice }) => {
    // Copies: the table as it stands, in the words of a paper.
    const ESCAPES = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}" };
    const latexText = (text) => text.replace(/[\\~^]|[&%$#_{}]/g, (sign) => ESCAPES[sign] || `\\${sign}`);
    const markdownText = (text) => text.replace(/[\\`*_{}[\]<>|#~]/g, "\\$&");
    const latex = {
      text: latexText,
      best: (text) => `\\textbf{${text}}`,
      second: (text) => `\\underline{${text}}`,
      tied: (text) => `${text}$^\\dagger$`,
      number: (text) => text.replace("∞", "$\\infty$").replace("−", "$-$").replace(MISSING, "--"),
    };
    const markdown = {
      text: markdownText,
      best: (text) => `**${text}**`,
      second: (text) => `<u>${text}</u>`,
      tied: (text) => `${text}†`,
      number: (text) => text,
    };

    const printed = (span, style, filtered) => {
      let text = style.number(span.textContent.trim());
      if (span.classList.contains("best")) text = style.best(text);
      if (span.classList.contains("second")) text = style.second(text);
      return span.classList.contains("tied") && !filtered ? style.tied(text) : text;
    };

    const tableOf = (board, style) => {
      const table = board.querySelector("table");
      const filtered = board.classList.contains("filtered");
      const { measures, views, convention } = aboutOf(board);
      const seen = views[table.dataset.view];
      const groups = [...table.tHead.querySelectorAll(".group")].map((heading) => heading.querySelector("button").firstChild.textContent.trim());
      const title = seen.map((name) => measures[name].caption).join(" / ");
      const rows = shownRows(board).map((row) => [
        style.text(row.dataset.title) + (row.classList.contains("unranked") ? " (not ranked)" : ""),
        ...[...row.querySelectorAll(".cell")].map((cell) => seen.map((name) => printed(cell.querySelector(`[data-measure="${name}"]`), style, filtered)).join(" / ")),
        style.text(row.querySelector(".cover").firstChild.textContent.trim()),
      ]);
      return { head: ["Method", ...groups, "Cases"], rows, title, convention };
    };
    const about = (convention) => `${convention}; spec ${document.documentElement.dataset.spec}, protocol ${document.documentElement.dataset.protocol}${choice("region") ? `; region ${choice("region")}` : ""}${choice("material") ? `; metal ${choice("material")}` : ""}`;

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
        const line = (cells) => `| ${cells.join(" | ")} |`;
        return [`${title}, convention ${about(convention)}`, "", line(head), line(head.map((_, index) => (index ? "---:" : "---"))), ...rows.map(line)].join("\n");
      },
      csv: (board) => {
        const { measures } = aboutOf(board);
        // A leading = + - @ would be a formula in a spreadsheet.
        const quote = (text) => (/[",\n\r]/.test(text) || /^[=+\-@\t]/.test(text) ? `"${(/^[=+\-@\t]/.test(text) ? "'" : "") + text.replaceAll('"', '""')}"` : text);
        const groups = [...shownRows(board)[0]?.querySelectorAll(".cell") ?? []].map((cell) => (cell.dataset.group === "0" ? "all" : `group_${cell.dataset.group}`));
        const columns = Object.values(measures).flatMap(({ id }) => groups.map((group) => `${id} ${group}`));
        const texts = ["published", "evidence"].filter((name) => board.querySelector(`[data-column="${name}"]`));
        const rows = shownRows(board).map((row) => [
          quote(row.dataset.method),
          quote(row.dataset.title),
          row.cells[0].dataset.value,
          ...Object.keys(measures).flatMap((name) => [...row.querySelectorAll(`.cell [data-measure="${name}"]`)].map((span) => span.dataset.value.replace("Infinity", "inf"))),
          ...["time", "parameters"].map((name) => row.querySelector(`[data-column="${name}"]`).dataset.value),
          quote(row.querySelector(".cover").firstChild.textContent.trim()),
          ...texts.map((name) => quote(row.querySelector(`[data-column="${name}"]`).textContent.trim())),
        ]);
        return [["method", "title", "rank", ...columns.map(quote), "seconds", "parameters", "cases", ...texts], ...rows].map((row) => row.join(",")).join("\n");
      },
    };

    const dialog = document.getElementById("copied");
    const area = dialog.querySelector("textarea");
    document.getElementById("download").addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([FORMATS.csv(boards.find((board) => !board.hidden)), "\n"], { type: "text/csv" }));
      link.download = `leaderboard-${document.documentElement.dataset.spec}.csv`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
    document.getElementById("copy").addEventListener("click", async (event) => {
      const format = event.target.dataset?.format;
      if (!format) return;
      area.value = FORMATS[format](boards.find((board) => !board.hidden));
      dialog.showModal();
      area.select();
      const said = document.getElementById("copied-status");
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

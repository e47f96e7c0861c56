// @ts-check
// What is measured and laid out: regions of interest, the extent of the metal, columns of panes, a picture of all panes.
"use strict";
(() => {
  const G = window.marbenchGallery;
  const CAPTION = 46;
  const GAP = 8;
  const SMALLEST = 200;
  // With a chart below.
  const SMALLER = 140;

  // Of the pixels whose centres lie in a circle.
  /** @type {Gallery["statistics"]} */
  const statistics = (array, [row, column, radius], reference) => {
    let [count, sum, squares] = [0, 0, 0];
    for (let r = Math.max(0, Math.ceil(row - radius)); r <= Math.min(array.rows - 1, row + radius); r += 1) {
      for (let c = Math.max(0, Math.ceil(column - radius)); c <= Math.min(array.columns - 1, column + radius); c += 1) {
        if ((r - row) ** 2 + (c - column) ** 2 > radius ** 2) continue;
        const at = r * array.columns + c;
        const value = array.values[at] - (reference ? reference.values[at] : 0);
        [count, sum, squares] = [count + 1, sum + value, squares + value * value];
      }
    }
    const mean = sum / count;
    return { mean, deviation: Math.sqrt(Math.max(0, squares / count - mean * mean)), count };
  };

  /** @type {Gallery["rmsOutside"]} */
  const rmsOutside = (array, reference, mask) => {
    let [count, squares] = [0, 0];
    for (let index = 0; index < array.values.length; index += 1) {
      if (mask.values[index]) continue;
      count += 1;
      squares += (array.values[index] - reference.values[index]) ** 2;
    }
    return Math.sqrt(squares / count);
  };

  // The box of a mask's edges as fractions of the picture: left, top, width, height.
  /** @type {Gallery["extent"]} */
  const extent = (edges, { rows, columns }) => {
    const [across, down] = [edges.flatMap(([x0, , x1]) => [x0, x1]), edges.flatMap(([, y0, , y1]) => [y0, y1])];
    /** @type {(list: number[]) => number} */
    const least = (list) => list.reduce((a, b) => Math.min(a, b));
    /** @type {(list: number[]) => number} */
    const most = (list) => list.reduce((a, b) => Math.max(a, b));
    const [left, top] = [least(across), least(down)];
    return [left / columns, top / rows, (most(across) - left) / columns, (most(down) - top) / rows];
  };

  // In the columns asked for, else so that all panes are seen at once, as large as can be.
  /** @type {Gallery["arrangePanes"]} */
  const arrangePanes = (box, panes, { aspect, columns, grid, below, captions }) => {
    const width = box.clientWidth;
    if (!width || !panes.length) return;
    const above = box.getBoundingClientRect().top + (document.fullscreenElement ? 0 : window.scrollY);
    const height = Math.max(260, window.innerHeight - above - GAP - below);
    for (const pane of panes) {
      pane.canvas.style.aspectRatio = String(aspect);
      pane.caption.style.minHeight = "";
    }
    const captionNow = () => Math.max(...panes.map((pane) => pane.root.offsetHeight - pane.canvas.offsetHeight));
    if (!grid) {
      const [{ caption }] = panes;
      // One on another in the place of the scores: the tallest makes the room that all of them have.
      const ghosts = captions.map((text) => G.element("span", "pane-scores", text));
      caption.append(...ghosts);
      let [room, needed] = [0, CAPTION];
      // A smaller picture may need more lines.
      for (let tries = 0; needed > room && tries < 4; tries += 1) {
        room = needed;
        const seen = Math.max(below ? SMALLER : SMALLEST, (height - room) * aspect);
        box.style.gridTemplateColumns = `minmax(0, ${Math.round(Math.min(width, seen))}px)`;
        needed = captionNow();
      }
      caption.style.minHeight = captions.length ? `${caption.offsetHeight}px` : "";
      for (const ghost of ghosts) ghost.remove();
      return;
    }
    /** @type {(count: number) => number} */
    const wide = (count) => (width - GAP * (count - 1)) / count;
    /** @type {(caption: number) => void} */
    const arrange = (caption) => {
      /** @type {(count: number) => number} */
      const seen = (count) => Math.min(wide(count), ((height - GAP) / Math.ceil(panes.length / count) - caption) * aspect);
      const counts = panes.map((_, index) => index + 1);
      const best = counts.reduce((a, b) => (seen(b) > seen(a) ? b : a));
      const fits = !columns && width >= 600 && seen(best) >= (below ? SMALLER : SMALLEST);
      const scrolled = width < 600 ? Math.min(2, panes.length) : Math.max(1, Math.min(panes.length, Math.floor(width / SMALLEST)));
      const chosen = columns || (fits ? best : scrolled);
      box.style.gridTemplateColumns = `repeat(${chosen}, ${fits ? `${Math.floor(seen(best))}px` : "minmax(0, 1fr)"})`;
    };
    arrange(CAPTION);
    // Scores that need another line in panes of this width take its height from all of them.
    const needed = captionNow();
    if (needed > CAPTION) arrange(needed);
  };

  // Each pane with its caption, and below them what all have in common.
  /** @type {Gallery["savePng"]} */
  const savePng = (panes, about, name) => {
    const { width, height } = panes[0].canvas;
    const line = Math.max(14, Math.round(width / 24));
    const across = Math.ceil(Math.sqrt(panes.length));
    const down = Math.ceil(panes.length / across);
    const sheet = G.element("canvas");
    Object.assign(sheet, { width: across * width, height: down * (height + 3 * line) + (about.length + 0.5) * 1.3 * line });
    const context = sheet.getContext("2d");
    if (!context) return;
    context.fillStyle = "#ffffff";
    context.fillRect(0, 0, sheet.width, sheet.height);
    context.fillStyle = "#000000";
    context.font = `${line}px sans-serif`;
    panes.forEach((pane, index) => {
      const [left, top] = [(index % across) * width, Math.floor(index / across) * (height + 3 * line)];
      context.drawImage(pane.canvas, left, top, width - 4, height);
      context.fillText(pane.name.textContent ?? "", left + 4, top + height + 1.2 * line, width - 8);
      context.fillText(pane.scores.textContent ?? "", left + 4, top + height + 2.4 * line, width - 8);
    });
    about.forEach((text, index) => context.fillText(text, 4, sheet.height - (about.length - index - 0.5) * 1.3 * line, sheet.width - 8));
    sheet.toBlob((blob) => {
      if (!blob) return;
      const link = G.element("a");
      link.href = URL.createObjectURL(blob);
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  };

  Object.assign(window.marbenchGallery, { statistics, rmsOutside, extent, arrangePanes, savePng });
})();

// @ts-check
// Panes: canvases that show a part of a picture, all of them the same part.
"use strict";
(() => {
  const INSET_PART = 0.16;
  const INSET_SIZE = 0.42;
  const YELLOW = "#ffc400";

  const CYAN = "#39d5ff";

  /** @type {Gallery["find"]} */
  const find = (id, kind) => {
    const found = document.getElementById(id);
    if (!found || (kind && !(found instanceof kind))) throw new Error(`no ${kind ? kind.name : "element"} #${id}`);
    return /** @type {any} */ (found);
  };

  /** @type {Gallery["element"]} */
  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // Where there is no room for all of a text, the pointer tells it.
  /** @type {Gallery["tell"]} */
  const tell = (part, text, title = text) => { Object.assign(part, { textContent: text, title }); };

  /** @type {Gallery["makePane"]} */
  const makePane = () => {
    const root = element("figure", "pane");
    const canvas = element("canvas");
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    const caption = element("figcaption");
    const title = element("span", "pane-title");
    const number = element("kbd", "pane-key");
    const name = element("b", "pane-name");
    title.append(number, name);
    const scores = element("span", "pane-scores");
    const value = element("output", "pane-probe");
    caption.append(title, scores, value);
    root.append(canvas, caption);
    return { key: "", root, canvas, caption, number, name, scores, value };
  };

  /** @type {Gallery["sizeOf"]} */
  const sizeOf = (pane) => {
    const box = pane.canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    return box.width < 2 ? null : { width: Math.round(box.width * ratio), height: Math.round(box.height * ratio), ratio };
  };

  /** @type {(state: PaneState, size: Size, picture: Picture) => Transform} */
  const transform = (state, size, picture) => {
    const [scaleX, scaleY] = [(size.width / picture.columns) * state.zoomX, (size.height / picture.rows) * state.zoomY];
    return [scaleX, scaleY, size.width / 2 - state.x * picture.columns * scaleX, size.height / 2 - state.y * picture.rows * scaleY];
  };

  /** @type {(context: CanvasRenderingContext2D, edges: Edge[], to: Transform, width: number, colour?: string) => void} */
  const strokeEdges = (context, edges, [scaleX, scaleY, shiftX, shiftY], width, colour = YELLOW) => {
    context.beginPath();
    for (const [x0, y0, x1, y1] of edges) {
      context.moveTo(x0 * scaleX + shiftX, y0 * scaleY + shiftY);
      context.lineTo(x1 * scaleX + shiftX, y1 * scaleY + shiftY);
    }
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.lineCap = "square";
    context.stroke();
  };

  /** @type {(context: CanvasRenderingContext2D, picture: Picture, to: Transform, zoom: number) => void} */
  const place = (context, picture, [scaleX, scaleY, shiftX, shiftY], zoom) => {
    // Far in, pixels are what a reader wants to see. "high" looks no better, and takes three times as long without a GPU.
    context.imageSmoothingEnabled = zoom < 4;
    context.imageSmoothingQuality = "medium";
    context.drawImage(picture.canvas, shiftX, shiftY, picture.columns * scaleX, picture.rows * scaleY);
  };

  /** The inset of a pane, and what it magnifies; null where there is none. @type {(state: PaneState, size: { width: number, height: number }, picture: Picture) => Inset | null} */
  const insetOf = (state, size, picture) => {
    if (!state.inset || !picture.insets || state.layout === "swipe") return null;
    const [x, y] = state.insetAt || picture.middle;
    const side = INSET_SIZE * size.width;
    const left = x > 0.55 && y > 0.5 ? 0 : size.width - side;
    const top = size.height - side;
    const scale = side / (INSET_PART * picture.columns);
    return { x, y, left, top, side, inner: [scale, scale, left + side / 2 - x * picture.columns * scale, top + side / 2 - y * picture.rows * scale] };
  };

  /** @type {(context: CanvasRenderingContext2D, state: PaneState, size: Size, picture: Picture, to: Transform, inset: Inset) => void} */
  const drawInset = (context, state, size, picture, to, { x, y, left, top, side, inner }) => {
    const half = (INSET_PART / 2) * picture.columns;
    context.lineWidth = size.ratio;
    context.strokeStyle = "#ffffff";
    context.strokeRect((x * picture.columns - half) * to[0] + to[2], (y * picture.rows - half) * to[1] + to[3], 2 * half * to[0], 2 * half * to[1]);
    context.save();
    context.beginPath();
    context.rect(left, top, side, side);
    context.clip();
    context.fillRect(left, top, side, side);
    place(context, picture, inner, 1);
    if (state.contour) strokeEdges(context, picture.edges, inner, 1.2 * size.ratio);
    drawMarks(context, state, inner, size.ratio);
    context.restore();
    context.lineWidth = 1.5 * size.ratio;
    context.strokeRect(left + size.ratio, top + size.ratio, side - 2 * size.ratio, side - 2 * size.ratio);
  };

  /** Two strokes, so that it is seen on any grey. @type {(context: CanvasRenderingContext2D, ratio: number, path: () => void) => void} */
  const strokeMark = (context, ratio, path) => {
    for (const [colour, width] of /** @type {Array<[string, number]>} */ ([["#000000", 3 * ratio], [CYAN, 1.4 * ratio]])) {
      context.beginPath();
      path();
      Object.assign(context, { strokeStyle: colour, lineWidth: width });
      context.stroke();
    }
  };

  /** @type {(context: CanvasRenderingContext2D, state: PaneState, to: Transform, ratio: number) => void} */
  const drawMarks = (context, { probe, roi, profile }, [scaleX, scaleY, shiftX, shiftY], ratio) => {
    /** @type {(row: number, column: number) => Pair} */
    const at = (row, column) => [(column + 0.5) * scaleX + shiftX, (row + 0.5) * scaleY + shiftY];
    if (profile) {
      const [from, to] = [at(profile[0], profile[1]), at(profile[2], profile[3])];
      strokeMark(context, ratio, () => {
        context.moveTo(...from);
        context.lineTo(...to);
      });
    }
    if (roi) strokeMark(context, ratio, () => context.ellipse(...at(roi[0], roi[1]), roi[2] * scaleX, roi[2] * scaleY, 0, 0, 2 * Math.PI));
    if (!probe) return;
    const [x, y] = at(probe[0], probe[1]);
    strokeMark(context, ratio, () => {
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + dx * 4 * ratio, y + dy * 4 * ratio);
        context.lineTo(x + dx * 11 * ratio, y + dy * 11 * ratio);
      }
    });
  };

  // A second picture is drawn to the right of the divider.
  /** @type {Gallery["draw"]} */
  const draw = ({ canvas }, size, state, picture, second) => {
    if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, { width: size.width, height: size.height });
    const context = canvas.getContext("2d");
    if (!context) return;
    context.fillStyle = "#000000";
    context.fillRect(0, 0, size.width, size.height);
    if (!picture) return;
    const to = transform(state, size, picture);
    place(context, picture, to, state.zoomX);
    if (second) {
      const split = state.at * size.width;
      context.save();
      context.beginPath();
      context.rect(split, 0, size.width - split, size.height);
      context.clip();
      context.fillRect(split, 0, size.width - split, size.height);
      place(context, second, to, state.zoomX);
      context.restore();
      context.fillStyle = "#ffffff";
      context.fillRect(split - size.ratio, 0, 2 * size.ratio, size.height);
      context.beginPath();
      context.arc(split, size.height / 2, 9 * size.ratio, 0, 2 * Math.PI);
      context.fill();
      context.fillStyle = "#000000";
      context.lineWidth = size.ratio;
      context.strokeStyle = "#000000";
      context.stroke();
    }
    if (state.contour) strokeEdges(context, picture.edges, to, 1.2 * size.ratio);
    for (const { edges, colour } of state.outlines) strokeEdges(context, edges, to, 1.4 * size.ratio, colour);
    drawMarks(context, state, to, size.ratio);
    // Over the marks: what it covers is not seen.
    const inset = insetOf(state, size, picture);
    if (inset) drawInset(context, state, size, picture, to, inset);
  };

  // The place of a pointer in a picture, as fractions of the picture; outside it may be below 0 or above 1.
  /** @type {Gallery["locate"]} */
  const locate = (canvas, state, event) => {
    const box = canvas.getBoundingClientRect();
    return [
      state.x + ((event.clientX - box.left) / box.width - 0.5) / state.zoomX,
      state.y + ((event.clientY - box.top) / box.height - 0.5) / state.zoomY,
    ];
  };

  // The place that is seen under a pointer: within the inset, that of what it magnifies.
  /** @type {Gallery["look"]} */
  const look = (canvas, state, picture, event) => {
    const box = canvas.getBoundingClientRect();
    const inset = picture && insetOf(state, box, picture);
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    if (!inset || x < inset.left || x > inset.left + inset.side || y < inset.top) return locate(canvas, state, event);
    const [scaleX, scaleY, shiftX, shiftY] = inset.inner;
    return [(x - shiftX) / scaleX / picture.columns, (y - shiftY) / scaleY / picture.rows];
  };

  Object.assign(window.marbenchGallery, { find, element, tell, makePane, sizeOf, draw, locate, look });
})();

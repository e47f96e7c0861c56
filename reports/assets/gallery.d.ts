// What the gallery's scripts hand to one another. For the type checker only; pages do not load it.

/** Values by pixel (rows × columns) or by ray (views × bins): HU, or line integrals in thousandths; a mask holds 0 and 1. */
interface Values { rows: number; columns: number; values: Int16Array | Uint8Array }

type View = "image" | "error" | "sinogram" | "residual";
type Layout = "grid" | "flip" | "swipe";
type Colours = "light" | "dark" | "viridis";
type DragMode = "pan" | "window" | "line";
type Pair = [number, number];
type Box = [number, number, number, number];
/** Pixel edges: x0, y0, x1, y1. */
type Edge = Box;
/** From pixels of a picture to a canvas: scale x, scale y, shift x, shift y. */
type Transform = Box;

/** A square of a pane, in its own pixels, that magnifies what is about a place of the picture. */
interface Inset { x: number; y: number; left: number; top: number; side: number; inner: Transform }

/** What is on show: all of it stands in the address of the page, but for the reader's switch of the keys. */
interface State {
  case: string; view: View; layout: Layout;
  /** Display window, low and high; null is the case's own. */
  window: Pair | null;
  zoom: number;
  /** The centre of what is shown, as fractions of the frame. */
  x: number; y: number;
  /** What flip shows; what swipe shows left and right of its divider, which stands at a fraction of the width. */
  pick: string; left: string; right: string; at: number;
  contour: boolean; regions: boolean; inset: boolean; insetAt: Pair | null;
  /** Row and column. */
  probe: Pair | null;
  /** Keys of pictures. */
  hide: string[]; columns: number; field: "body" | "whole";
  /** What errors are errors from; their range, 0 for the default; their colours. */
  against: string; range: number; colours: Colours;
  /** Row, column and radius in pixels. */
  roi: [number, number, number] | null;
  /** Row and column of both ends. */
  profile: Box | null;
  /** Whether letters, digits and signs are keys: the browser keeps it. */
  keys: boolean;
}

/** The state as panes take it: zoom and centre in terms of the whole picture. */
interface PaneState extends State { zoomX: number; zoomY: number; outlines: Outline[] }

/** Where a measure looks. */
interface Outline { name: string; label: string; colour: string; edges: Edge[] }

interface GalleryCase {
  id: string; reasons: string[]; made: string; group: number; region: string; materials: string[]; area: number;
  window: Pair; frame: Box; size: Pair; folder: string; thumb: string; sinograms: boolean; regions: boolean;
  /** The methods of which there is a picture, by their places in the list of all. */
  has: number[];
  /** Key of a picture → what it scores, as JSON carries it. */
  scores: Record<string, Array<number | string | null>>;
}

/** The rays: β of every view and γ of every bin in radians, the source's distance and the pixel in cm, µ of water in 1/cm. */
interface Scan { beta: number[]; gamma: number[]; distance: number; pixel: number; water: number }

interface GalleryData {
  title: string; cases: GalleryCase[]; methods: string[]; titles: Record<string, string>;
  /** What the scores are under; empty where nothing is scored. */
  convention: string;
  measures: Array<[string, string, number]>; together: number; windows: Record<string, Pair>; error: number;
  /** Name, what readers call it, and colour of every region that cases were scored in; none where none were. */
  regions: Array<[string, string, string]>;
  scan: Scan;
}

/**
 * A picture of a view; the key is the name of its array, or of the one whose projection it is. Methods have the number of
 * their place among all, whether or not the case has a picture of each; other pictures have 0.
 */
interface Entry { key: string; label: string; projected: boolean; number: number }

interface Picture extends Entry {
  values: Values; edges: Edge[]; middle: Pair; canvas: HTMLCanvasElement; insets: boolean;
  rows: number; columns: number; fresh: boolean;
  /** Where errors do not count: metal, or the metal trace. */
  mask: Values;
  /** What it is compared with wherever it is shown: the measured sinogram. */
  reference: Values | null;
}

interface Pane {
  key: string; root: HTMLElement; canvas: HTMLCanvasElement; caption: HTMLElement; number: HTMLElement; name: HTMLElement;
  scores: HTMLElement; value: HTMLElement;
}

/** In device pixels, and how many of them are one of the page. */
interface Size { width: number; height: number; ratio: number }

interface Statistics { mean: number; deviation: number; count: number }

/** What values of a view are counted in: how many make one unit, digits, and what the unit is called. */
interface Unit { scale: number; digits: number; name: string }

interface Hooks {
  state(): PaneState; picture(): Picture | undefined; window(): Pair; dragMode(): DragMode;
  pan(dx: number, dy: number): void; zoomAt(factor: number, place: Pair): void; setWindow(low: number, high: number): void;
  divide(at: number): void; probe(place: Pair): void; tap(place: Pair): void; inset(place: Pair): void;
  line(from: Pair, to: Pair): void; flipBy(by: number): void;
}

interface Moves {
  setWindow(low: number, high: number): void; zoomAt(factor: number, place: Pair): void; hooks: Hooks; step(by: number): void;
  flipTo(key: string | undefined): void; flipBy(by: number): void; flipToNumber(number: number): void;
  moveProbe(rows: number, columns: number): void; reset(): void; zoomBy(factor: number): void; zoomToMetal(): void;
  toggleRoi(): void; growRoi(factor: number): void; toggleProfile(): void; exchangeDrag(): void; show(view: View): void;
}

interface Basis {
  data: GalleryData; root: HTMLElement; state(): State; view(): PaneState; frameNow(): Box; pictures(): Map<string, Picture>;
  first(): Picture | undefined; current(): GalleryCase; listed(): Entry[]; shown(): Entry[]; windowNow(): Pair;
  ownWindow(): Pair; range(): number;
  /** What is taken off a picture before it is shown. */
  referenceOf(picture: Picture): Values | null;
  dragMode(): DragMode; change(part: Partial<State>): void; redraw(): void; save(): void; fullScreen(): void; fold(): void;
}

type Viewer = Basis & Moves;

interface Texts {
  /** Say below a pane what is known of its picture; null where that is still to come. */
  tellScores(pane: Pane, entry: Entry, picture: Picture | null): void;
  /** What flip says below one picture or another; none in other layouts. */
  captions(): string[];
  valueAt(picture: Picture, place: Pair): string; factsOf(item: GalleryCase): string;
  scaleText(): { low: string; high: string; about: string };
}

interface Toolbar { choices(): void; reflect(): void; fold(): void; film(): void }

interface Gallery {
  find<T extends HTMLElement = HTMLElement>(id: string, kind?: new () => T): T;
  element<K extends keyof HTMLElementTagNameMap>(name: K, className?: string, text?: string): HTMLElementTagNameMap[K];
  /** Set a text, which the pointer tells in whole. */
  tell(part: HTMLElement, text: string, title?: string): void;
  between(value: number, low: number, high: number): number;
  short(value: number): number;
  isSinogram(view: View): boolean;
  isDifference(view: View): boolean;
  unitOf(view: View): Unit;
  ownWindow(item: GalleryCase, view: View): Pair;
  /** What no longer holds between images and sinograms. */
  UNPLACED: Partial<State>;
  /** Set a view that the case has; return the one that was wanted and that it has not. */
  fitView(state: State, item: GalleryCase, wanted: View | ""): View | "";
  readState(): State;
  writeState(state: State): string;
  /** Keep the switch of the keys in this browser, or while the page lasts; return it. */
  keepKeys(on: boolean): boolean;
  /** What a sidecar file of a case holds: a mask, and arrays by their names. The last few files are kept. */
  fetchArrays(item: GalleryCase, kind: "images" | "sinograms"): Promise<Map<string, Values>>;
  outline(mask: Values): Edge[];
  middle(mask: Values): Pair;
  /** The line integrals of an image in HU, in thousandths, by Joseph's method; lets the page breathe in between. */
  project(image: Values, scan: Scan): Promise<Values>;
  grey(low: number, high: number): Uint32Array;
  signed(range: number, colours: Colours): Uint32Array;
  colourAt(position: number, colours: Colours): [number, number, number];
  paintValues(canvas: HTMLCanvasElement, array: Values, table: Uint32Array): void;
  paintDifference(canvas: HTMLCanvasElement, array: Values, reference: Values, mask: Values, table: Uint32Array): void;
  makePane(): Pane;
  /** Of its canvas; null while it is not on the page. */
  sizeOf(pane: Pane): Size | null;
  draw(pane: Pane, size: Size, state: PaneState, picture: Picture | null, second: Picture | null): void;
  locate(canvas: HTMLCanvasElement, state: PaneState, event: { clientX: number; clientY: number }): Pair;
  look(canvas: HTMLCanvasElement, state: PaneState, picture: Picture | undefined, event: { clientX: number; clientY: number }): Pair;
  listen(canvas: HTMLCanvasElement, hooks: Hooks): void;
  statistics(array: Values, circle: [number, number, number], reference: Values | null): Statistics;
  /** Root mean square of a difference where a mask is 0. */
  rmsOutside(array: Values, reference: Values, mask: Values): number;
  extent(edges: Edge[], size: { rows: number; columns: number }): Box;
  arrangePanes(box: HTMLElement, panes: Pane[], how: { aspect: number; columns: number; grid: boolean; below: number; captions: string[] }): void;
  savePng(panes: Pane[], about: string[], name: string): void;
  /** Values along a line, by bilinear interpolation; a reference is taken off. */
  along(array: Values, line: Box, reference: Values | null, count: number): Float64Array;
  makeProfile(viewer: Viewer): { draw(): void };
  listed(data: GalleryData, item: GalleryCase, view: View): Entry[];
  fetchPictures(data: GalleryData, item: GalleryCase, entries: Entry[], view: View, isOpen: () => boolean, arrived: (picture: Picture) => void): Promise<void>;
  /** The case that comes so many after another, or before it, in a circle. */
  beside(data: GalleryData, item: GalleryCase, by: number): GalleryCase;
  fetchNeighbours(data: GalleryData, item: GalleryCase, view: View): void;
  makeMoves(viewer: Basis): Moves;
  makeTexts(viewer: Basis): Texts;
  makeRegions(viewer: Viewer): { outlines(): Outline[]; reflect(): void };
  bindTools(viewer: Viewer): Toolbar;
  makeFilm(viewer: Viewer): () => void;
  bindKeys(viewer: Viewer): void;
}

/** A mask and arrays of one shape, as gallery-pixels.js unpacks them. */
interface PackedArrays { shape: Pair; names: string[]; data: string }

interface Window {
  /** Case → region → x and y of both ends of every line of its outline. */
  marbenchRegions?: Record<string, Record<string, number[]>>;
  marbenchGallery: Gallery;
  marbenchImages?: Record<string, PackedArrays>;
}

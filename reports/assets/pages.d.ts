// What the scripts of the leaderboard and of the explorer hand each other. Read by the type checker alone.

interface MeasureInfo { id: string; title: string; caption: string; digits: number; up: boolean }

/** What a board's numbers are; `views` says which measures are looked at together. */
interface BoardInfo { convention: string; measures: Record<string, MeasureInfo>; views: Record<string, string[]> }

/** Numbers as JSON carries them: infinities are texts. */
type Stored = number | string | null;

/** Sums over the cases of one region, material and size group: column → method → one number per stratum. */
interface Cells {
  strata: [string, string, number][];
  cases: number[];
  good: Record<string, number[]>;
  counts: Record<string, Record<string, number[]>>;
  sums: Record<string, Record<string, Stored[]>>;
}

interface BoardData { methods: string[]; cells: Cells; boards: BoardInfo[]; cases: number; expected: number | null }

interface ExplorerMeasure { title: string; unit: string; digits: number; up: boolean; key: string; file: string }

interface ExplorerData { methods: string[]; titles: string[]; judged: number[]; measures: ExplorerMeasure[] }

/** The cases, column by column; failures are method, case, what became of it, what it said. */
interface Cases {
  ids: string[];
  regionNames: string[];
  regions: number[];
  materialNames: string[];
  materials: number[];
  groups: (number | null)[];
  areas: number[];
  pictures: number[];
  failures: [number, number, string, string][];
}

type Direction = "ascending" | "descending";

/** A column and its direction, as an address carries them. */
interface Order { column: string; up: boolean }

/** What copies need to know of the leaderboard. */
interface Copied {
  data: BoardData;
  boards: HTMLElement[];
  aboutOf(board: HTMLElement): BoardInfo;
  shownRows(board: HTMLElement): HTMLTableRowElement[];
  choice(name: string): string;
  words(names: string[]): string[];
}

/** The cases of a region and a metal: how many, how many of them went well, and means as numbers and as parts of the page. */
interface ChosenCases {
  total: number;
  good(method: string): number;
  mean(method: string, measure: MeasureInfo, group: string): { value: number | null; parts: (Node | string)[] };
}

interface Shared {
  MISSING: string;
  load(url: string): Promise<void>;
  forget(url: string): void;
  parse(value: Stored): number | null;
  print(value: number | null | undefined, digits: number): string;
  /** The first element that a selector finds, which the page must have. */
  one(selector: string, root?: ParentNode): HTMLElement;
  all(selector: string, root?: ParentNode): HTMLElement[];
  sort(table: HTMLTableElement, column: number, direction: Direction): void;
  readAddress(form: HTMLFormElement): Order | null;
  writeAddress(form: HTMLFormElement, sort: Order | null): void;
  wordsOf(form: HTMLFormElement, names: string[]): string[];
  counted(count: number): string;
  casesOf(cells: Cells, region: string, material: string): ChosenCases;
  showColumns(table: HTMLTableElement, form: HTMLFormElement): void;
  groupMethods(table: HTMLTableElement, form: HTMLFormElement): void;
  foldVariants(table: HTMLTableElement, form: HTMLFormElement): void;
  bindCopies(leaderboard: Copied): void;
}

interface Window {
  marbench: Shared;
  marbenchCases: { cases: Cases } & Record<string, any>;
}

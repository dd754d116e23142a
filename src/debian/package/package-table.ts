import { onlyName } from "../../tables/architecture.ts";
import type { Candidate, Origin } from "./candidate.ts";
import { columns, type TableHead, tableVersion } from "./packages-file.ts";

interface Entry {
  readonly rank: number;
  readonly providers: readonly string[];
  readonly versions: readonly Candidate[];
}

/** The packages of one suite and component, looked up by name in the text that `tabulate` made. */
export class PackageTable {
  readonly origin: Origin;
  readonly head: TableHead;
  readonly #text: string;
  readonly #start: number;
  readonly #found = new Map<string, Entry | undefined>();

  /** Throws where the text is no table of this version. */
  constructor(text: string, origin: Origin) {
    this.#start = text.indexOf("\n") + 1;
    this.head = JSON.parse(text.slice(0, this.#start)) as TableHead;
    if (this.head.table !== tableVersion || !text.endsWith("\n")) throw new Error("another table");
    this.#text = text;
    this.origin = origin;
  }

  /** All versions of a package, in the file's order. */
  versions(name: string): readonly Candidate[] {
    return this.#entry(name)?.versions ?? [];
  }

  /** Names of the packages that provide a name. */
  providers(name: string): readonly string[] {
    return this.#entry(name)?.providers ?? [];
  }

  /** How many names the file mentions before this one. */
  rank(name: string): number | undefined {
    return this.#entry(name)?.rank;
  }

  /** Every name, virtual ones too; reads the whole table. */
  *names(): Iterable<string> {
    let last = "";
    for (let at = this.#start; at < this.#text.length; at = this.#text.indexOf("\n", at) + 1) {
      const fields = this.#text.slice(at, this.#text.indexOf("\n", at)).split("\t");
      if (fields[0] !== last && (fields.length > 3 || fields[2] !== "")) yield fields[0]!;
      last = fields[0]!;
    }
  }

  #entry(name: string): Entry | undefined {
    if (!this.#found.has(name)) this.#found.set(name, this.#read(name));
    return this.#found.get(name);
  }

  #read(name: string): Entry | undefined {
    const versions: Candidate[] = [];
    let first: readonly string[] | undefined;
    for (let at = this.#lowerBound(name); at < this.#text.length; ) {
      const end = this.#text.indexOf("\n", at);
      const fields = this.#text.slice(at, end).split("\t");
      if (fields[0] !== name) break;
      first ??= fields;
      if (fields.length > 3) versions.push(candidateOf(name, fields.slice(3), this.origin));
      at = end + 1;
    }
    if (first === undefined) return undefined;
    return { rank: Number(first[1]), providers: first[2] === "" ? [] : first[2]!.split(" "), versions };
  }

  /** Where the first line begins whose name is not before `name`. */
  #lowerBound(name: string): number {
    let low = this.#start;
    let high = this.#text.length;
    while (low < high) {
      const line = Math.max(this.#start, this.#text.lastIndexOf("\n", ((low + high) >> 1) - 1) + 1);
      if (this.#text.slice(line, this.#text.indexOf("\t", line)) < name)
        low = this.#text.indexOf("\n", line) + 1;
      else high = line;
    }
    return low;
  }
}

function candidateOf(name: string, cells: readonly string[], origin: Origin): Candidate {
  const get = (column: (typeof columns)[number]) => cells[columns.indexOf(column)] ?? "";
  return {
    name,
    version: get("Version"),
    architecture: get("Architecture") === "all" ? "all" : onlyName,
    origin,
    path: get("Filename"),
    size: Number(get("Size")),
    sha256: get("SHA256"),
    source: get("Source"),
    essential: get("flags").includes("e"),
    important: get("flags").includes("i"),
    priority: get("Priority"),
    multiArch: get("Multi-Arch"),
    preDepends: get("Pre-Depends"),
    depends: get("Depends"),
    recommends: get("Recommends"),
    suggests: get("Suggests"),
    conflicts: get("Conflicts"),
    breaks: get("Breaks"),
    provides: get("Provides"),
  };
}

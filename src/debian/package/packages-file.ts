import { Fail } from "../../util/fail.ts";

/** A table made by another parser is of no use. */
export const tableVersion = 1;

/** Columns of a package's line after name, rank and providers. */
export const columns = [
  "Version",
  "Architecture",
  "Filename",
  "Size",
  "SHA256",
  "Source",
  "flags",
  "Priority",
  "Multi-Arch",
  "Pre-Depends",
  "Depends",
  "Recommends",
  "Suggests",
  "Conflicts",
  "Breaks",
  "Provides",
] as const;

/** First line of a table. */
export interface TableHead {
  readonly table: typeof tableVersion;
  readonly names: number;
  readonly essential: readonly string[];
  readonly required: readonly string[];
}

/** In the order in which apt meets the names of a stanza, which decides between providers that are equal in all else. */
const naming = [
  "Pre-Depends",
  "Depends",
  "Conflicts",
  "Breaks",
  "Recommends",
  "Suggests",
  "Replaces",
  "Enhances",
  "Provides",
];

interface Name {
  /** How many names were met before it. */
  readonly rank: number;
  readonly providers: Set<string>;
  readonly versions: string[];
}

/**
 * Turns a Packages file into lines sorted by name, one a version or virtual name, in which a name is found without reading
 * all the others: of 70,000 packages a lock needs some hundreds. A stanza without what a fetch needs is refused.
 */
export function tabulate(text: string, architecture: string): string {
  const names = new Map<string, Name>();
  const meet = (name: string): Name => {
    let met = names.get(name);
    if (met === undefined) {
      met = { rank: names.size, providers: new Set(), versions: [] };
      names.set(name, met);
    }
    return met;
  };
  const essential: string[] = [];
  const required: string[] = [];
  for (const stanza of text.split(/\n{2,}/)) {
    const fields = fieldsOf(stanza);
    if (fields === undefined || !["all", architecture].includes(fields.get("Architecture") ?? "")) continue;
    const name = checked(fields, stanza);
    const met = meet(name);
    met.versions.push(columns.map((column) => cell(fields, column)).join("\t"));
    for (const field of naming)
      for (const other of namesIn(fields.get(field))) {
        const provided = meet(other);
        if (field === "Provides") provided.providers.add(name);
      }
    if (fields.get("Essential") === "yes") essential.push(name);
    if (fields.get("Priority") === "required") required.push(name);
  }
  const lines = [...names]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, { rank, providers, versions }]) =>
      (versions.length === 0 ? [""] : versions).map(
        (version) => `${name}\t${rank}\t${[...providers].join(" ")}${version === "" ? "" : `\t${version}`}`,
      ),
    );
  const head: TableHead = { table: tableVersion, names: names.size, essential, required };
  return `${[JSON.stringify(head), ...lines].join("\n")}\n`;
}

function fieldsOf(stanza: string): Map<string, string> | undefined {
  if (stanza.trim() === "") return undefined;
  const fields = new Map<string, string>();
  // A field may be folded: its next line begins with a space (deb-control(5)).
  for (const line of stanza.replaceAll(/\n[ \t]/g, " ").split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return fields;
}

function checked(fields: ReadonlyMap<string, string>, stanza: string): string {
  const name = fields.get("Package") ?? "";
  const good =
    /^[a-z0-9][a-z0-9+.-]+$/.test(name) &&
    /^[A-Za-z0-9.+:~-]+$/.test(fields.get("Version") ?? "") &&
    (fields.get("Filename") ?? "") !== "" &&
    /^[1-9][0-9]*$/.test(fields.get("Size") ?? "") &&
    /^[0-9a-f]{64}$/.test(fields.get("SHA256") ?? "");
  if (good) return name;
  throw new Fail(
    `the package index has an entry without name, version, file, size or SHA-256: ${stanza.trim().slice(0, 80)}`,
  );
}

/** One cell; tab and line feed are what the table is made of, and no field that is kept has anything outside ASCII. */
function cell(fields: ReadonlyMap<string, string>, column: (typeof columns)[number]): string {
  if (column !== "flags") return (fields.get(column) ?? "").replaceAll(/[^\x20-\x7e]/g, " ");
  const yes = (field: string) => fields.get(field) === "yes";
  return `${yes("Essential") ? "e" : ""}${yes("Important") || yes("Protected") ? "i" : ""}`;
}

/** Names that a relation field mentions for this architecture, in its order. */
function namesIn(field: string | undefined): string[] {
  if (field === undefined) return [];
  const names: string[] = [];
  for (const part of field.split(/[,|]/)) {
    const match = /^\s*([a-z0-9][a-z0-9+.-]*)(:any)?/.exec(part);
    if (match !== null && match[2] === undefined) names.push(match[1]!);
  }
  return names;
}

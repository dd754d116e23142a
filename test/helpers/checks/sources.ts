import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

/** A module of ours, read as text. */
export interface Source {
  /** From the top: `src/disks/guard.ts`. */
  readonly path: string;
  /** `disks/guard`, as lists in the tests have it. */
  readonly name: string;
  /** The folder of src that it belongs to; "" for an entry. */
  readonly folder: string;
  /** The directory, from src: `operator/plan`; "" for an entry. */
  readonly room: string;
  readonly text: string;
  /** Specifiers as they stand. */
  readonly imports: readonly string[];
  /** Names that it takes from modules of ours, by their paths; `*` where it takes all. */
  readonly takes: ReadonlyMap<string, ReadonlySet<string>>;
  /** Modules of ours that it names for others to load. */
  readonly names: readonly string[];
  /** Names that it exports, re-exports aside. */
  readonly exports: readonly string[];
}

/** Every TypeScript module below a directory, sorted. */
export function sourcesIn(directory: string): readonly Source[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts") && !name.includes("node_modules"))
    .sort()
    .map((name) => read(directory, join(directory, name)));
}

function read(directory: string, path: string): Source {
  const text = readFileSync(path, "utf8");
  const from = relative(directory, path);
  const room = dirname(from) === "." ? "" : dirname(from);
  const statements = [
    ...text.matchAll(/^(?:import|export)\s([^;]*?)\bfrom\s+"([^"]+)"/gms),
    ...text.matchAll(/(?:\b(?:const|let) (\{[^}]*\})\s*=\s*await\s+)?\bimport\(\s*"([^"]+)",?\s*\)/g),
  ];
  const takes = new Map<string, Set<string>>();
  for (const [, clause, specifier] of statements) {
    if (!specifier!.startsWith(".")) continue;
    const to = relative(".", resolve(dirname(path), specifier!));
    const names = takes.get(to) ?? new Set();
    for (const name of namesOf(clause ?? "")) names.add(name);
    takes.set(to, names);
  }
  return {
    ...{ path, text, room, takes },
    name: from.slice(0, -".ts".length),
    folder: room.split("/")[0]!,
    imports: statements.map((match) => match[2]!),
    names: [...text.matchAll(/new URL\("(\.[^"]+\.ts)", import\.meta\.url\)/g)].map((match) =>
      relative(".", resolve(dirname(path), match[1]!)),
    ),
    exports: [
      ...text.matchAll(/^export (?:async )?(?:function\*?|const|let|class|interface|type) (\w+)/gm),
    ].map((match) => match[1]!),
  };
}

/** What the words between import and from take: names as their module has them. */
function namesOf(clause: string): string[] {
  const listed = /\{([^}]*)\}/s.exec(clause)?.[1];
  if (listed === undefined) return ["*"];
  return listed
    .split(",")
    .map(
      (one) =>
        one
          .trim()
          .replace(/^type\s+/, "")
          .split(/\s+as\s+|:/)[0]!,
    )
    .filter((one) => one !== "");
}

/** Circles of a graph: sets of nodes of which each leads to each other. */
export function circlesOf(graph: ReadonlyMap<string, Iterable<string>>): string[][] {
  const [index, low, stack, found] = [
    new Map<string, number>(),
    new Map<string, number>(),
    [] as string[],
    [] as string[][],
  ];
  const visit = (node: string) => {
    index.set(node, index.size);
    low.set(node, index.get(node)!);
    stack.push(node);
    for (const to of graph.get(node) ?? []) {
      if (!index.has(to)) visit(to);
      if (stack.includes(to)) low.set(node, Math.min(low.get(node)!, low.get(to)!));
    }
    if (low.get(node) !== index.get(node)) return;
    const circle = stack.splice(stack.indexOf(node));
    if (circle.length > 1) found.push(circle.sort());
  };
  for (const node of graph.keys()) if (!index.has(node)) visit(node);
  return found;
}

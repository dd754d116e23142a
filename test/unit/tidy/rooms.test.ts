import { readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { circlesOf, type Source, sourcesIn } from "../../helpers/checks/sources.ts";

// Imports go down only: a folder may import from itself and from those listed.
const low = ["schema", "util"];
const mayImport: Record<string, readonly string[]> = {
  cli: ["testing", "operator", "vm", "system", "tables", "transport", "debian", ...low],
  operator: [
    ...["archive", "boot", "debian", "disks", "secrets", "steps", "storage", "system", "tables"],
    ...["transport", "tree", "vm", ...low],
  ],
  testing: ["operator", "storage", "system", "tables", "transport", "tree", "vm", ...low],
  // The program of a rescue medium plans as the operator does, and works as the runner does.
  rescue: [
    "archive",
    "debian",
    "disks",
    "operator",
    "secrets",
    "steps",
    "storage",
    "system",
    "target",
    ...low,
  ],
  target: ["archive", "debian", "disks", "secrets", "steps", "system", "tree", ...low],
  storage: ["disks", "steps", "tables", ...low],
  steps: ["archive", "boot", "debian", "disks", "system", "tables", "tree", ...low],
  boot: ["tables", "tree", ...low],
  disks: ["system", ...low],
  debian: ["system", "tables", "tree", ...low],
  transport: ["system", "util"],
  secrets: ["util"],
  archive: low,
  vm: ["system", "tables", "util"],
  system: ["tables", "tree", ...low],
  tree: ["util"],
  profiles: ["dsl", "tables", ...low],
  dsl: ["schema", "util"],
  schema: ["tables", "util"],
  // What is known of architectures, releases and the distribution: data that all look up, so it is below all.
  tables: [],
  util: [],
};

// Each npm package has one owner.
const owner: Record<string, readonly string[]> = {
  ssh2: ["transport"],
  "ssh-config": ["transport"],
  "age-encryption": ["secrets"],
  "@noble/curves": ["secrets"],
  "tar-stream": ["archive"],
  "cpio-stream": ["archive"],
  openpgp: ["debian"],
  yaml: ["debian", "operator"],
  commander: ["cli", "entry"],
  esbuild: ["operator"],
  qr: ["operator"],
  zx: ["operator"],
  tsx: ["operator"],
  zod: Object.keys(mayImport),
};

/** Modules that are started, or imported by a definition and its tests, not by a module of ours. */
const entries = [
  "main",
  "runner",
  "rescue",
  "dsl/index",
  "dsl/parameters",
  "profiles/index",
  "testing/index",
];
/** Exports that have no user among our modules, and why. */
const forOthers: Readonly<Record<string, string>> = {
  "operator/definition/evaluate-child: evaluate": "bundled with a definition, which calls it",
  "tree/walk: watchTrees": "how a test learns every path that is asked for",
};
const filesInRoom = 15;
const linesOfFile = 300;

const sources = sourcesIn("src");
/** Who may be the only user of something in src. */
const tests = sourcesIn("test");
const users = [...sources, ...["scripts", "imgbuild", "initramfs"].flatMap((name) => sourcesIn(name))];
// What the demo and benchmarks share with the tests is theirs as well.
users.push(...tests.filter(({ path }) => users.some(({ takes }) => takes.has(path))));
const builtins = new Set(builtinModules);

describe("the source tree", () => {
  for (const source of sources) {
    it(`${source.path} imports downwards and from owned packages only`, () => {
      for (const specifier of source.imports) checkImport(source, specifier);
    });
    it(`${source.path} is at most ${linesOfFile} lines`, () => {
      expect(source.text.split("\n").length).toBeLessThanOrEqual(linesOfFile + 1);
    });
    it(`${source.path} has no default export and reads the environment only at an entry`, () => {
      // Neither a comment nor a text of several lines, as a template for a definition, is code of the module.
      const code = source.text.replaceAll(
        /^const \w+ = `[^`\\]*(?:\\[\s\S][^`\\]*)*`;$|\/\*[\s\S]*?\*\/|\/\/.*$/gm,
        "",
      );
      expect(code).not.toMatch(/^export default/m);
      // What others' test programs import is their entry to us.
      if (source.folder !== "cli" && !entries.includes(source.name))
        expect(code).not.toMatch(/process\.(env|argv|exitCode)\b/);
    });
    it(`${source.path} exports only what another file uses`, () => {
      const named = unused(source).map((name) => `${source.name}: ${name}`);
      if (!entries.includes(source.name)) expect(named.filter((one) => !(one in forOthers))).toEqual([]);
    });
  }

  it("has no circle of files", () => {
    expect(circlesOf(new Map(sources.map(({ path, takes }) => [path, takes.keys()])))).toEqual([]);
  });
  it("has no circle of rooms", () => {
    expect(circlesOf(rooms())).toEqual([]);
  });
  it("has no permission that no file uses", () => {
    const used = new Set(
      sources.flatMap(({ folder, takes }) =>
        [...takes.keys()].map((path) => `${folder} → ${path.split("/")[1]}`),
      ),
    );
    const given = Object.entries(mayImport).flatMap(([from, all]) => all.map((to) => `${from} → ${to}`));
    expect(given.filter((one) => !used.has(one))).toEqual([]);
  });
  it("is drawn in docs/ARCHITECTURE.md by lines that are permissions", () => {
    const picture = /^flowchart TD\n([\s\S]*?)^```$/m.exec(
      readFileSync("docs/ARCHITECTURE.md", "utf8").split("## Who may import whom")[1]!,
    );
    const lines = picture![1]!.trim().split("\n");
    const drawn = lines.flatMap((line) => {
      const places = line.split(" --> ").map((names) => names.trim().split(" & "));
      return places
        .slice(1)
        .flatMap((to, index) => places[index]!.flatMap((from) => to.map((one) => [from, one] as const)));
    });
    expect(drawn.length).toBeGreaterThan(15);
    expect(drawn.filter(([from, to]) => !mayImport[from]?.includes(to))).toEqual([]);
  });
  it("has no file that only tests use", () => {
    const taken = new Set(users.flatMap(({ takes, names }) => [...takes.keys(), ...names]));
    expect(
      sources.filter(({ path, name }) => !taken.has(path) && !entries.includes(name)).map(({ path }) => path),
    ).toEqual([]);
  });
  it(`has at most ${filesInRoom} files in a room`, () => {
    const all = sources.map(({ room }) => room);
    expect(
      [...new Set(all)].filter((room) => all.filter((one) => one === room).length > filesInRoom),
    ).toEqual([]);
  });
});

function checkImport({ path, folder }: Source, specifier: string): void {
  if (specifier.startsWith(".")) {
    expect(specifier, "relative imports name the file").toMatch(/\.(ts|json)$/);
    const to = relative("src", join(dirname(path), specifier)).split("/");
    if (folder === "" || to.length < 2 || to[0] === folder) return;
    expect([...(mayImport[folder] ?? [])], `${path} → ${specifier}`).toContain(to[0]);
  } else if (specifier.startsWith("node:")) expect(builtins.has(specifier.slice(5)), specifier).toBe(true);
  else {
    const parts = specifier.split("/");
    const name = parts.slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
    expect(owner[name] ?? [], `${path} imports ${specifier}`).toContain(folder === "" ? "entry" : folder);
  }
}

/** A directory of src → those that its files import from. */
function rooms(): ReadonlyMap<string, Set<string>> {
  const roomOf = new Map(sources.map(({ path, room }) => [path, room]));
  const graph = new Map<string, Set<string>>();
  for (const { room, takes } of sources) {
    const others = [...takes.keys()].flatMap((path) => roomOf.get(path) ?? []).filter((to) => to !== room);
    graph.set(room, new Set([...(graph.get(room) ?? []), ...others]));
  }
  return graph;
}

/**
 * Exports that no other file takes, or tests alone. What the module itself uses may be exported for its tests: a unit test asks
 * the part that decides.
 */
function unused({ path, exports, text }: Source): string[] {
  const taken = (all: readonly Source[]) => new Set(all.flatMap(({ takes }) => [...(takes.get(path) ?? [])]));
  const [byUsers, byTests] = [taken(users), taken(tests)];
  if (byUsers.has("*")) return [];
  const usesItself = (name: string) => [...text.matchAll(new RegExp(`\\b${name}\\b`, "g"))].length > 1;
  return exports.filter((name) => !byUsers.has(name) && !(byTests.has(name) && usesItself(name)));
}

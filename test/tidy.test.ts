import { readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

// Imports go down only: a folder may import from itself and from those listed.
const low = ["schema", "util"];
const mayImport: Record<string, readonly string[]> = {
  cli: ["testing", "operator", "vm", "system", "secrets", "transport", "debian", "dsl", ...low],
  operator: [
    "debian",
    "transport",
    "secrets",
    "archive",
    "vm",
    "storage",
    "boot",
    "system",
    "steps",
    "dsl",
    ...low,
  ],
  testing: ["operator", "vm", "storage", "transport", "system", ...low],
  target: ["steps", "storage", "boot", "debian", "archive", "secrets", "system", ...low],
  steps: ["storage", "boot", "debian", "archive", "system", ...low],
  storage: ["steps", "system", ...low],
  boot: ["steps", "storage", "system", ...low],
  debian: ["archive", "system", ...low],
  transport: ["system", ...low],
  secrets: ["system", ...low],
  archive: ["system", ...low],
  vm: ["system", "storage", "transport", ...low],
  system: low,
  dsl: ["schema", "util"],
  schema: ["util"],
  util: [],
};

// Each npm package has one owner.
const owner: Record<string, readonly string[]> = {
  ssh2: ["transport"],
  "ssh-config": ["transport"],
  "age-encryption": ["secrets"],
  "tar-stream": ["archive"],
  "cpio-stream": ["archive"],
  openpgp: ["debian"],
  yaml: ["debian"],
  commander: ["cli", "entry"],
  esbuild: ["operator"],
  zx: ["operator"],
  tsx: ["operator"],
  zod: Object.keys(mayImport),
};

const sources = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => join("src", name))
  .sort();
const builtins = new Set(builtinModules);

describe("the source tree", () => {
  for (const file of sources) {
    const folder = file.split("/").length > 2 ? file.split("/")[1]! : "";
    const text = readFileSync(file, "utf8");
    const imports = [
      ...text.matchAll(/^(?:import|export)\s[^;]*?from\s+"([^"]+)"|\bimport\("([^"]+)"\)/gms),
    ].map((match) => match[1] ?? match[2]!);
    it(`${file} imports downwards and from owned packages only`, () => {
      for (const specifier of imports) {
        if (specifier.startsWith(".")) {
          expect(specifier, "relative imports name the file").toMatch(/\.(ts|json)$/);
          const to = relative("src", resolve(dirname(file), specifier)).split("/");
          if (folder === "" || to.length < 2 || to[0] === folder) continue;
          expect([...(mayImport[folder] ?? [])], `${file} → ${specifier}`).toContain(to[0]);
        } else if (specifier.startsWith("node:"))
          expect(builtins.has(specifier.slice(5)), specifier).toBe(true);
        else {
          const name = specifier.startsWith("@")
            ? specifier.split("/").slice(0, 2).join("/")
            : specifier.split("/")[0]!;
          expect(owner[name] ?? [], `${file} imports ${specifier}`).toContain(
            folder === "" ? "entry" : folder,
          );
        }
      }
    });
    it(`${file} is at most 300 lines`, () => {
      expect(text.split("\n").length).toBeLessThanOrEqual(301);
    });
    it(`${file} has no default export and reads the environment only at an entry`, () => {
      // Neither a comment nor a text of several lines, as a template for a definition, is code of the module.
      const code = text.replaceAll(
        /^const \w+ = `[^`\\]*(?:\\[\s\S][^`\\]*)*`;$|\/\*[\s\S]*?\*\/|\/\/.*$/gm,
        "",
      );
      expect(code).not.toMatch(/^export default/m);
      // What others' test programs import is their entry to us.
      if (folder !== "cli" && folder !== "" && file !== "src/testing/index.ts")
        expect(code).not.toMatch(/process\.(env|argv|exitCode)\b/);
    });
  }
});

// Makes the npm package: out/imgbuild-VERSION.tgz, or in the directory that is given. It has the program as one file, the sources that a build reads, the base's
// definition, the documentation, manual pages, and the types of `imgbuild` and `imgbuild/testing`; no test and no tool of the
// checkout.
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { build } from "esbuild";
import { bundleProgram } from "../bin/program.js";
import { manPages } from "../src/cli/man.ts";
import { commandLine } from "../src/cli/program.ts";
import { run } from "../src/system/run/run.ts";
import { fieldComments, withComments } from "./field-docs.ts";

const top = resolve(import.meta.dirname, "..");
const out = resolve(process.argv[2] ?? join(top, "out"));
const to = join(out, "package");
const runMs = 10 * 60_000;
/** Only a checkout needs them. */
const notShipped = ["tsx", "zx"];
const copied = [
  ...["bin/imgbuild", "bin/start.js", "bin/quiet.js", "bin/program.js"],
  ...["src", "initramfs", "docs", "LICENSE", "README.md"],
];
/** What a definition and its tests import: paths of the sources by what `exports` names them. */
const modules = Object.entries<string>(JSON.parse(readFileSync(join(top, "package.json"), "utf8")).exports);

/** Of the YAML files that a definition imports. */
const yamlTypes = "src/dsl/yaml.d.ts";

/** Of packages that have none. */
const ownDeclarations = readdirSync(join(top, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".d.ts"))
  .map((name) => join("src", name));

rmSync(to, { recursive: true, force: true });
mkdirSync(join(to, "dist"), { recursive: true });
for (const path of copied) cpSync(path, join(to, path), { recursive: true });
await makeProgram();
await makeModules();
await makeTypes();
const manual = makeManual();
writeFileSync(join(to, "package.json"), `${JSON.stringify(description(), null, 2)}\n`);
await run(["npm", "pack", "--silent", "--pack-destination", out, to], {
  timeoutMs: runMs,
  env: process.env as Record<string, string>,
});
const name = join(out, `imgbuild-${description().version}.tgz`);
console.log(`${relative(top, name)}: ${(readFileSync(name).length / 2 ** 20).toFixed(2)} MiB`);

async function makeProgram(): Promise<void> {
  const directory = join(to, "dist/program");
  mkdirSync(directory);
  const files = await bundleProgram(top, (path) => {
    const place = JSON.stringify(relative(join(top, "dist/program"), path));
    return `new URL(${place}, import.meta.url).href`;
  });
  for (const [name, content] of files) writeFileSync(join(directory, name), shipped(name, content));
  chmodSync(join(to, "bin/imgbuild"), 0o755);
}

/** A map needs no sources: they are in the package. */
function shipped(name: string, content: Uint8Array): Uint8Array | string {
  if (!name.endsWith(".map")) return content;
  const { sourcesContent: _, ...places } = JSON.parse(Buffer.from(content).toString());
  return JSON.stringify(places);
}

/** For whoever imports them in a program of their own: a definition and its tests are bundled from the sources. */
async function makeModules(): Promise<void> {
  await build({
    entryPoints: Object.fromEntries(modules.map(([path, source]) => [moduleName(path), source])),
    outdir: join(to, "dist"),
    bundle: true,
    splitting: true,
    packages: "external",
    format: "esm",
    platform: "node",
    target: "node20",
    minify: true,
    chunkNames: "parts/[name]-[hash]",
    legalComments: "none",
    logLevel: "warning",
  });
}

/** With the words of each field; imports name the files that are there. */
async function makeTypes(): Promise<void> {
  const config = join(out, "types.json");
  const types = join(to, "dist/types");
  writeFileSync(
    config,
    JSON.stringify({
      extends: join(top, "tsconfig.json"),
      compilerOptions: {
        noEmit: false,
        declaration: true,
        emitDeclarationOnly: true,
        outDir: types,
        rootDir: join(top, "src"),
        // Not looked for beside a configuration that is elsewhere.
        typeRoots: [join(top, "node_modules/@types")],
      },
      include: [],
      files: [...modules.map(([, source]) => source), ...ownDeclarations].map((file) => join(top, file)),
    }),
  );
  await run(["npx", "tsc", "--project", config], {
    timeoutMs: runMs,
    env: process.env as Record<string, string>,
  });
  // tsc copies no declarations; this one is referred to by name.
  cpSync(join(top, yamlTypes), join(types, "dsl/yaml.d.ts"));
  const schemas = join(top, "src/schema");
  const comments = fieldComments(
    readdirSync(schemas, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => readFileSync(join(schemas, name), "utf8")),
  );
  for (const name of readdirSync(types, { recursive: true, encoding: "utf8" })) {
    const file = join(types, name);
    if (!name.endsWith(".d.ts")) continue;
    const text = readFileSync(file, "utf8")
      .replaceAll(/(from |import\()"(\.[^"]*)\.ts"/g, '$1"$2.js"')
      // tsc refers to declarations where the sources are.
      .replace(/(?<=<reference path=")(?:\.\.\/)+[^"]*src\/dsl\/yaml\.d\.ts/, "./yaml.d.ts");
    writeFileSync(file, name.startsWith("schema/") ? withComments(text, comments) : text);
  }
}

/** Its place in the package, by what imports it. */
function exported([path, source]: readonly [string, string]) {
  const types = `./dist/types/${relative("src", source).replace(/\.ts$/, ".d.ts")}`;
  return [path, { types, default: `./dist/${moduleName(path)}.js` }] as const;
}

/** "." → "imgbuild", "./testing" → "testing". */
function moduleName(path: string): string {
  return path === "." ? "imgbuild" : relative(".", path);
}

/** For an installation as root or with a prefix of its own: npm puts them where man looks. */
function makeManual(): string[] {
  mkdirSync(join(to, "man"));
  const pages = manPages(
    commandLine(
      async () => {},
      () => {},
    ),
  );
  for (const [name, page] of pages) writeFileSync(join(to, "man", name), page);
  return [...pages.keys()].map((name) => `man/${name}`);
}

function description() {
  const ours = JSON.parse(readFileSync(join(top, "package.json"), "utf8"));
  const { name, version, description, keywords, license, type, engines, os, bin } = ours;
  const used = Object.entries<string>(ours.dependencies).filter(([library]) => !notShipped.includes(library));
  const types = Object.entries<string>(ours.devDependencies).filter(([library]) =>
    used.some(([dependency]) => library === `@types/${dependency}`),
  );
  const dependencies = Object.fromEntries([...types, ...used]);
  return {
    ...{ name, version, description, keywords, license, type, engines, os, bin },
    exports: { ...Object.fromEntries(modules.map(exported)), "./package.json": "./package.json" },
    dependencies,
    man: manual,
  };
}

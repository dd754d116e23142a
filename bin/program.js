import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { SourceMap } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

/**
 * The program's one file, made of its sources: it starts in a quarter of the time that loading each of them takes. It lies in
 * `node_modules`, which is trusted as the sources are, is named by the digest of all that it is made of, and made anew whenever
 * that changes. Undefined where nothing can be written there: then the sources are run as they are.
 * @param {string} top the checkout
 * @returns {Promise<string | undefined>} what to import
 */
export async function programFile(top) {
  const directory = join(top, "node_modules/.cache/imgbuild");
  const name = `${digestOf(top)}.mjs`;
  const file = join(directory, name);
  if (existsSync(file)) return traced(file);
  const beside = `${file}.new-${process.pid}`;
  try {
    mkdirSync(directory, { recursive: true });
    for (const old of readdirSync(directory)) if (!old.includes(".new-")) rmSync(join(directory, old));
    const { code, map } = await bundle(top);
    writeFileSync(`${file}.map`, map);
    writeFileSync(beside, code);
    // Whoever may read the sources may read it, whatever the umask of who made it.
    for (const [path, mode] of [
      [directory, 0o755],
      [`${file}.map`, 0o644],
      [beside, 0o644],
    ])
      chmodSync(path, mode);
    renameSync(beside, file);
    return traced(file);
  } catch (error) {
    rmSync(beside, { force: true });
    // Sources in error are told by who runs them.
    if (error.errors !== undefined || ["EACCES", "EROFS", "EPERM", "ENOSPC"].includes(error.code))
      return undefined;
    throw error;
  }
}

/** All sources, and the versions of what they import and what they run in. */
function digestOf(top) {
  const hash = createHash("sha256").update(process.version);
  const add = (path) => hash.update(`\0${path}\0`).update(readFileSync(join(top, path)));
  for (const path of ["package-lock.json", "bin/program.js"]) add(path);
  const sources = readdirSync(join(top, "src"), { recursive: true, encoding: "utf8" });
  for (const path of sources.filter((one) => one.endsWith(".ts")).sort()) add(join("src", path));
  return hash.digest("hex").slice(0, 32);
}

async function bundle(top) {
  const { build } = await import("esbuild");
  const result = await build({
    absWorkingDir: top,
    entryPoints: ["src/main.ts"],
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    minifyWhitespace: true,
    minifySyntax: true,
    keepNames: true,
    legalComments: "none",
    // Looked for beside their own files; the last ones are optional and not installed.
    external: ["esbuild", "tsx", "*.node", "cpu-features"],
    banner: {
      js: [
        `import { createRequire as __requireIn } from "node:module";`,
        `const require = __requireIn(${JSON.stringify(pathToFileURL(join(top, "package.json")).href)});`,
        `const __dirname = ${JSON.stringify(top)};`,
      ].join("\n"),
    },
    plugins: [ownPlaces()],
    define: { "import.meta.url": "__ownPlace" },
    sourcemap: "external",
    outfile: "program.mjs",
    write: false,
    logLevel: "silent",
  });
  const [map, code] = result.outputFiles;
  return { code: code.contents, map: map.contents };
}

/** Stacks tell places in the sources. The map is read only when there is a stack to tell: reading it takes as long as starting. */
function traced(file) {
  const url = pathToFileURL(file).href;
  let map;
  const place = (found, line, column) => {
    map ??= new SourceMap(JSON.parse(readFileSync(`${file}.map`, "utf8")));
    const entry = map.findEntry(Number(line) - 1, Number(column) - 1);
    if (entry.originalSource === undefined) return found;
    return `${entry.originalSource.replace(/^(\.\.\/)+/, "")}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  };
  Error.prepareStackTrace = (error, frames) =>
    [
      String(error),
      ...frames.map((frame) => `    at ${String(frame).replace(new RegExp(`${url}:(\\d+):(\\d+)`), place)}`),
    ].join("\n");
  return url;
}

/** A source that looks for files beside itself finds them where it lies, and a package too. */
function ownPlaces() {
  return {
    name: "own-places",
    setup({ onLoad }) {
      onLoad({ filter: /\.(ts|m?js)$/ }, ({ path }) => {
        const text = readFileSync(path, "utf8");
        if (!text.includes("import.meta.url")) return undefined;
        const place = JSON.stringify(pathToFileURL(path).href);
        return {
          contents: `const __ownPlace = ${place};${text}`,
          loader: path.endsWith(".ts") ? "ts" : "js",
          resolveDir: dirname(path),
        };
      });
    },
  };
}

import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire, SourceMap } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

/**
 * Loads the program as one file, made of its sources: it starts in a quarter of the time that loading each of them takes. It lies in
 * `node_modules`, which is trusted as the sources are, is named by the digest of all that it is made of, and made anew whenever
 * that changes. Undefined where nothing can be written there: then the sources are run as they are.
 * @param {string} top the checkout
 * @returns {Promise<{ main: Function } | undefined>}
 */
export async function loadProgram(top) {
  const directory = join(top, "node_modules/.cache/imgbuild");
  const file = join(directory, `${digestOf(top)}.cjs`);
  try {
    if (!existsSync(file)) {
      mkdirSync(directory, { recursive: true });
      for (const old of readdirSync(directory)) if (!old.includes(".new-")) rmSync(join(directory, old));
      const { code, map } = await bundle(top);
      write(`${file}.map`, map);
      write(file, code);
    }
    return load(file);
  } catch (error) {
    // Sources in error are told by who runs them; files may go while another version of the sources is made a program.
    if (error.errors !== undefined || ["EACCES", "EROFS", "EPERM", "ENOSPC", "ENOENT"].includes(error.code))
      return undefined;
    throw error;
  }
}

/** Whole or not at all; whoever may read the sources may read it, whatever the umask of who made it. */
function write(path, content) {
  const beside = `${path}.new-${process.pid}`;
  try {
    writeFileSync(beside, content);
    chmodSync(dirname(path), 0o755);
    chmodSync(beside, 0o644);
    renameSync(beside, path);
  } finally {
    rmSync(beside, { force: true });
  }
}

/** Runs the file as Node runs any other. */
function load(file) {
  const place = realpathSync(file);
  traceSources(place);
  return { main: createRequire(place)(place).main };
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
    format: "cjs",
    target: "node20",
    minifyWhitespace: true,
    minifySyntax: true,
    keepNames: true,
    legalComments: "none",
    // Looked for beside their own files; the last ones are optional and not installed.
    external: ["esbuild", "tsx", "*.node", "cpu-features"],
    plugins: [ownPlaces()],
    define: { "import.meta.url": "__ownPlace" },
    sourcemap: "external",
    outfile: "program.cjs",
    write: false,
    logLevel: "silent",
  });
  const [map, code] = result.outputFiles;
  return { code: code.contents, map: map.contents };
}

/** Stacks tell places in the sources. The map is read only when there is a stack to tell: reading it takes as long as starting. */
function traceSources(file) {
  let map;
  const place = (found, line, column) => {
    map ??= readMap(`${file}.map`);
    if (map === undefined) return found;
    const entry = map.findEntry(Number(line) - 1, Number(column) - 1);
    if (entry.originalSource === undefined) return found;
    return `${entry.originalSource.replace(/^(\.\.\/)+/, "")}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  };
  Error.prepareStackTrace = (error, frames) =>
    [
      String(error),
      ...frames.map((frame) => `    at ${String(frame).replace(new RegExp(`${file}:(\\d+):(\\d+)`), place)}`),
    ].join("\n");
}

/** Undefined when a newer version of the sources has been made a program meanwhile, which clears the old one away. */
function readMap(path) {
  try {
    return new SourceMap(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return undefined;
  }
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

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
  statSync,
  writeFileSync,
} from "node:fs";
import { SourceMap } from "node:module";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const keptMs = 24 * 3_600_000;

/**
 * Loads the program as a few files made of its sources: it starts in a fraction of the time that loading each of them takes. They
 * are in `node_modules`, which is trusted as the sources are, in a directory named by the digest of all that they are made of, and
 * are made anew whenever that changes. Undefined where nothing can be written there: then the sources are run as they are.
 * @param {string} top the checkout
 * @returns {Promise<{ main: Function } | undefined>}
 */
export async function loadProgram(top) {
  const cache = join(top, "node_modules/.cache/imgbuild");
  const directory = join(cache, digestOf(top));
  try {
    if (!existsSync(directory)) {
      mkdirSync(cache, { recursive: true });
      clear(cache);
      write(directory, await bundleProgram(top, (path) => JSON.stringify(pathToFileURL(path).href)));
    }
    return await loadMade(directory);
  } catch (error) {
    // Who runs the sources shows what is wrong with them; files may go while another version is made a program.
    if (error.errors !== undefined || ["EACCES", "EROFS", "EPERM", "ENOSPC", "ENOENT"].includes(error.code))
      return undefined;
    throw error;
  }
}

/**
 * Loads the program that was made in a directory.
 * @param {string} directory
 * @returns {Promise<{ main: Function }>}
 */
export async function loadMade(directory) {
  const place = realpathSync(directory);
  traceSources(place);
  return await import(pathToFileURL(join(place, "main.js")).href);
}

/** Older versions, but for those that may run still: a command loads parts of its program late. */
function clear(cache) {
  for (const name of readdirSync(cache)) {
    const old = join(cache, name);
    const made = statSync(old, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - made > keptMs) rmSync(old, { recursive: true, force: true });
  }
}

/** Whole or not at all; whoever may read the sources may read it, whatever the umask of who made it. */
function write(directory, files) {
  const beside = `${directory}.new-${process.pid}`;
  try {
    mkdirSync(beside);
    chmodSync(dirname(directory), 0o755);
    chmodSync(beside, 0o755);
    for (const [name, content] of files) {
      writeFileSync(join(beside, name), content);
      chmodSync(join(beside, name), 0o644);
    }
    renameSync(beside, directory);
  } catch (error) {
    // Another process was faster.
    if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
  } finally {
    rmSync(beside, { recursive: true, force: true });
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

/** What packages that are CommonJS look for. */
const forCommonJs = [
  'import{createRequire as requireOf}from"node:module";',
  "const require=requireOf(import.meta.url),__filename=import.meta.filename,__dirname=import.meta.dirname;",
].join("");

/**
 * The program as ES modules and their maps, by name; `main.js` is the one to load, and loads the others as they are needed.
 * @param {string} top the checkout
 * @param {(path: string) => string} placeOf an expression for the URL of a source, by its path
 * @returns {Promise<Map<string, Uint8Array>>}
 */
export async function bundleProgram(top, placeOf) {
  const { build } = await import("esbuild");
  const { outputFiles } = await build({
    absWorkingDir: top,
    entryPoints: { main: "src/main.ts" },
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    target: "node20",
    minifyWhitespace: true,
    minifySyntax: true,
    keepNames: true,
    legalComments: "none",
    // Looked for beside their own files; the last ones are optional and not installed.
    external: ["esbuild", "tsx", "*.node", "cpu-features"],
    // For packages that are CommonJS.
    banner: { js: forCommonJs },
    plugins: [ownPlaces(placeOf)],
    sourcemap: "external",
    outdir: join(top, "program"),
    write: false,
    logLevel: "silent",
  });
  return new Map(outputFiles.map(({ path, contents }) => [basename(path), contents]));
}

/** Stacks tell places in the sources. A map is read only when there is a stack to tell: reading it takes as long as starting. */
function traceSources(directory) {
  const maps = new Map();
  const place = (found, name, line, column) => {
    if (!maps.has(name)) maps.set(name, readMap(join(directory, `${name}.map`)));
    const entry = maps.get(name)?.findEntry(Number(line) - 1, Number(column) - 1);
    if (entry?.originalSource === undefined) return found;
    return `${entry.originalSource.replace(/^(\.\.\/)+/, "")}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  };
  const own = new RegExp(
    `${RegExp.escape?.(pathToFileURL(directory).href) ?? pathToFileURL(directory).href}/([\\w.-]+):(\\d+):(\\d+)`,
  );
  Error.prepareStackTrace = (error, frames) =>
    [String(error), ...frames.map((frame) => `    at ${String(frame).replace(own, place)}`)].join("\n");
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
function ownPlaces(placeOf) {
  return {
    name: "own-places",
    setup({ onLoad }) {
      onLoad({ filter: /\.(ts|m?js)$/ }, ({ path }) => {
        const text = readFileSync(path, "utf8");
        if (!text.includes("import.meta.url")) return undefined;
        return {
          contents: `const __ownPlace = ${placeOf(path)};${text.replaceAll("import.meta.url", "__ownPlace")}`,
          loader: path.endsWith(".ts") ? "ts" : "js",
          resolveDir: dirname(path),
        };
      });
    },
  };
}

import { existsSync, readFileSync, realpathSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { OnResolveArgs, OnResolveResult, Plugin } from "esbuild";

/** Where our own modules are, which may read for a definition. */
const own = fileURLToPath(new URL("../../", import.meta.url));
/** Built-in modules that only work on what they are given. */
const harmless = [
  ...["assert", "assert/strict", "buffer", "crypto", "events", "path", "path/posix", "querystring"],
  ...["stream", "string_decoder", "timers", "url", "util", "util/types"],
];
const files = 'readText, readLines and readBase64 of "imgbuild" read files';
const instead: Readonly<Record<string, string>> = { fs: files, "fs/promises": files };
const seen = Symbol();

/**
 * What a definition may import: modules, JSON and YAML of its own repository, npm packages that are installed for it, and
 * built-in modules that read nothing of the machine. So it says the same wherever the repository is.
 */
export function definitionImports(file: string): Plugin {
  const repository = repositoryAbove(dirname(file));
  return {
    name: "imports",
    setup(build) {
      build.onResolve({ filter: /./ }, async (args): Promise<OnResolveResult | undefined> => {
        if (args.pluginData === seen || args.namespace !== "file" || args.importer.startsWith(own))
          return undefined;
        const name = args.path.replace(/^node:/, "");
        if (name === "process") return { path: name, namespace: "process" };
        if (isBuiltin(args.path)) return harmless.includes(name) ? undefined : refusal(builtinText(name));
        const { path, errors, external } = await build.resolve(args.path, {
          ...asked(args),
          pluginData: seen,
        });
        // esbuild says best what is wrong with it.
        if (errors.length > 0) return undefined;
        if (external) return refusal(`"${args.path}" is not a file of the repository`);
        const inside = repository === undefined || path.startsWith(repository + sep);
        if (inside || path.startsWith(own) || path.includes("/node_modules/")) return undefined;
        return refusal(
          `"${args.path}" is ${path}, outside of the repository ${repository}: who clones that does not have it`,
        );
      });
      build.onLoad({ filter: /./, namespace: "process" }, () => ({
        contents: "export default globalThis.process;",
      }));
      yamlImports.setup(build);
    },
  };
}

/** A YAML file is imported as the data that it holds, as a JSON file is. */
export const yamlImports: Plugin = {
  name: "yaml",
  setup(build) {
    build.onLoad({ filter: /\.ya?ml$/ }, async ({ path }) => {
      // Late, as most definitions have no YAML.
      const { parseStrictYaml } = await import("./strict-yaml.ts");
      const read = parseStrictYaml(readFileSync(path, "utf8"));
      if (!("problem" in read)) return { contents: JSON.stringify(read.data), loader: "json" };
      const { line, message } = read.problem;
      return { errors: [{ text: message, location: { file: path, line } }] };
    });
  },
};

/** The nearest directory upwards that is a git repository. */
export function repositoryAbove(directory: string): string | undefined {
  for (let at = realpathSync(directory); ; at = dirname(at)) {
    if (existsSync(join(at, ".git"))) return at;
    if (at === dirname(at)) return undefined;
  }
}

function asked({ importer, resolveDir, namespace, kind, with: attributes }: OnResolveArgs) {
  return { importer, resolveDir, namespace, kind, with: attributes };
}

function refusal(text: string): OnResolveResult {
  return { errors: [{ text }] };
}

function builtinText(name: string): string {
  const more = instead[name] === undefined ? "" : `; ${instead[name]}`;
  return `"node:${name}" is not for definitions: it reads or changes what differs from machine to machine${more}`;
}

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { hostRecords } from "../../operator/definition/host-records.ts";
import type { Look } from "./candidates.ts";

/** Directories above this many below the working directory are looked into, and no more entries than this in all. */
const depth = 3;
const mostEntries = 2_000;
const passedOver = new Set(["node_modules", "out", "dist"]);

/** What is near the working directory, in its hosts.yaml and in the user's ssh_config. What cannot be read is left out. */
export async function lookAround(env: Readonly<Record<string, string | undefined>>): Promise<Look> {
  const found = await hostRecords(process.cwd()).catch(() => undefined);
  const named = (found?.hosts ?? []).map(({ name }) => name);
  return {
    named,
    definitions: () => definitionsBelow(process.cwd()),
    aliases: () => (env.HOME === undefined ? [] : aliasesIn(join(env.HOME, ".ssh/config"))),
  };
}

function definitionsBelow(top: string): string[] {
  const found: string[] = [];
  let entries = 0;
  const visit = (path: string, level: number) => {
    for (const entry of listed(join(top, path))) {
      entries += 1;
      if (entries > mostEntries) return;
      if (entry.name === "IMGBUILD.ts" && entry.isFile()) found.push(path === "" ? "." : path);
      if (entry.isDirectory() && level < depth && !entry.name.startsWith(".") && !passedOver.has(entry.name))
        visit(join(path, entry.name), level + 1);
    }
  };
  visit("", 0);
  return found.sort();
}

function listed(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** The names after `Host` that stand for one host. */
function aliasesIn(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return [];
  }
  const names = [...text.matchAll(/^[ \t]*Host[ \t=]+(.+)$/gim)].flatMap(([, list]) =>
    list!.trim().split(/\s+/),
  );
  return [...new Set(names)].filter((name) => /^[A-Za-z0-9._@:-]+$/.test(name)).sort();
}

import { Fail } from "../../util/fail.ts";

/** modules.dep as a map: a module's path → the paths it needs, as depmod(8) writes it. */
export function parseModulesDep(text: string): ReadonlyMap<string, readonly string[]> {
  const dependencies = new Map<string, readonly string[]>();
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const colon = line.indexOf(":");
    if (colon === -1) throw new Fail(`modules.dep: not "module: modules": ${line.slice(0, 200)}`);
    dependencies.set(
      line.slice(0, colon),
      line
        .slice(colon + 1)
        .split(" ")
        .filter((word) => word !== ""),
    );
  }
  return dependencies;
}

/** Paths of the named modules ("loop", as modprobe takes it) with all they need, in an order in which insmod can load them. */
export function loadOrder(
  dependencies: ReadonlyMap<string, readonly string[]>,
  names: readonly string[],
): readonly string[] {
  const order: string[] = [];
  const visit = (path: string, chain: readonly string[]) => {
    if (order.includes(path)) return;
    if (chain.includes(path)) throw new Fail(`modules.dep: ${path} needs itself`);
    const needs = dependencies.get(path);
    if (needs === undefined) throw new Fail(`modules.dep does not know ${path}`);
    for (const need of needs) visit(need, [...chain, path]);
    order.push(path);
  };
  for (const name of names) {
    const path = [...dependencies.keys()].find((key) => moduleName(key) === name);
    if (path === undefined)
      throw new Fail(`the base's kernel has no module ${name}`, {
        hint: "it may be pruned in initramfs/IMGBUILD.ts, or built into this kernel",
      });
    visit(path, []);
  }
  return order;
}

/** Modules of `present` that need one which is not: "a.ko.xz needs b.ko.xz". A pruned tree must have none. */
export function missingDependencies(
  dependencies: ReadonlyMap<string, readonly string[]>,
  present: ReadonlySet<string>,
): readonly string[] {
  const missing: string[] = [];
  for (const path of [...present].sort())
    for (const need of dependencies.get(path) ?? [])
      if (!present.has(need)) missing.push(`${path} needs ${need}`);
  return missing;
}

/** "kernel/drivers/block/loop.ko.xz" → "loop"; the kernel takes `-` for `_`. */
export function moduleName(path: string): string {
  return (path.split("/").at(-1) ?? "").replace(/\.ko(\.(xz|zst|gz))?$/, "").replaceAll("-", "_");
}

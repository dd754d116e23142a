import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { onlyArchitecture } from "../../tables/architecture.ts";
import { Fail } from "../../util/fail.ts";
import type { FilterOptions } from "../run/filter.ts";
import { plainEnv, type RunOptions, type RunResult } from "../run/run.ts";
import { filterBehindDoor, interfaces, type Room, runBehindDoor } from "./door.ts";
import { checkRoot, hostnameOf, readyMountPoints } from "./mount-points.ts";

/** Something outside that a program sees inside of its own root. */
export interface Bind {
  readonly from: string;
  /** Absolute, inside. */
  readonly to: string;
  readonly readOnly?: boolean;
}

/** How a program of a tree runs. */
export interface TreeRunOptions extends RunOptions {
  readonly binds?: readonly Bind[];
  /** With the machine's network; else it has one of its own, in which there is nothing. */
  readonly network?: boolean;
  /** Without libeatmydata, which would be seen in its environment. */
  readonly bare?: boolean;
}

/** Parts of a base's tree that tools need; everything elsewhere is the caller's. */
const toolDirectories = ["usr", "etc"];
const toolLinks = ["bin", "sbin", "lib", "lib64"];
/** Tools must not know where they run. */
const toolHostname = "localhost";

/**
 * Runs a program with the tree as its root directory, behind the door: what it mounts and starts ends with it, however it ends. Needs
 * root, if only of a user namespace.
 */
export async function chrootRun(
  tree: string,
  argv: readonly string[],
  { binds = [], network = false, ...options }: TreeRunOptions = {},
): Promise<RunResult> {
  checkRoot(tree);
  const clear = readyMountPoints(
    tree,
    binds.map(({ from, to }) => ({ to, isDirectory: statSync(from).isDirectory() })),
  );
  try {
    return await runBehindDoor(treeRoom(tree, binds, network), argv, options);
  } finally {
    clear();
  }
}

/** The tree as root directory, with the kernel's interfaces mounted over it. */
export function treeRoom(tree: string, binds: readonly Bind[], network: boolean): Room {
  const layout = ["--bind", tree, "/", ...interfaces, ...bindWords(binds)];
  return { layout, network, hostname: hostnameOf(tree) };
}

/** Avoids the wait for the disk after every file; a build is flushed as a whole, or made anew. */
export const eatmydata = `${onlyArchitecture.libraries}/libeatmydata.so`;
const eatmydataInside = "/run/imgbuild/libeatmydata.so";

/** `chrootRun` with the base's libeatmydata laid over the program, where the base has one. */
export async function treeRun(
  tree: string,
  baseTree: string | undefined,
  argv: readonly string[],
  options: TreeRunOptions = {},
): Promise<RunResult> {
  return await chrootRun(tree, argv, withEatmydata(baseTree, options));
}

/** The options with the library laid over the program. */
export function withEatmydata(baseTree: string | undefined, options: TreeRunOptions): TreeRunOptions {
  const library = baseTree === undefined || options.bare ? undefined : join(baseTree, eatmydata);
  if (library === undefined || !existsSync(library)) return options;
  return {
    ...options,
    binds: [...(options.binds ?? []), { from: library, to: eatmydataInside, readOnly: true }],
    env: { ...(options.env ?? plainEnv), LD_PRELOAD: eatmydataInside },
  };
}

/** Runs a tool of the base's tree, which stays as it is. `binds` are what it works on, at the same paths inside. */
export async function toolRun(
  baseTree: string,
  argv: readonly string[],
  { binds, ...options }: RunOptions & { readonly binds: readonly Bind[] },
): Promise<RunResult> {
  for (const { to } of binds)
    if (toolDirectories.includes(to.split("/")[1] ?? ""))
      throw new Fail(`${to} is where the tools' own files are`, {
        hint: "build into a directory elsewhere",
      });
  return await runBehindDoor(toolRoom(baseTree, binds), argv, options);
}

/** Runs a tool of the base's tree as a filter; it sees nothing but that tree. */
export async function toolFilter(
  baseTree: string,
  argv: readonly string[],
  options: FilterOptions,
): Promise<void> {
  await filterBehindDoor(toolRoom(baseTree, []), argv, options);
}

/** The base's programs and settings, in a root directory that is memory. */
export function toolRoom(baseTree: string, binds: readonly Bind[]): Room {
  const own = toolDirectories.flatMap((name) => ["--ro-bind", join(baseTree, name), `/${name}`]);
  const links = toolLinks.flatMap((name) => ["--symlink", `usr/${name}`, `/${name}`]);
  const empty = ["--dir", "/var", "--dir", "/root"];
  return { layout: [...own, ...links, ...empty, ...interfaces, ...bindWords(binds)], hostname: toolHostname };
}

function bindWords(binds: readonly Bind[]): string[] {
  return binds.flatMap(({ from, to, readOnly }) => [readOnly ? "--ro-bind" : "--bind", from, to]);
}

import type { Facts, Start } from "./probe.ts";
import { Unreadable } from "./unreadable.ts";

/** What a machine is after its power was cut. */
export type Verdict = "old" | "base" | "new" | "dead";

/** What each of the systems starts with when it is whole. */
export interface Whole {
  readonly old: Start;
  readonly new: Start;
  /** The base, where the build puts one on the disk. */
  readonly base: Start | undefined;
}

/** Whether the root filesystem is what it was before the build, or what it is after it. */
export interface Roots {
  oldIsWhole(): boolean;
  newIsWhole(): boolean;
}

/** Exactly one of four, and why. Nothing is read here but what the probe has seen. */
export function judge(
  { start }: Pick<Facts, "start">,
  whole: Whole,
  roots: Roots,
): { readonly verdict: Verdict; readonly why: string } {
  if (start instanceof Unreadable) return { verdict: "dead", why: start.message };
  if (same(start, whole.old))
    return roots.oldIsWhole()
      ? { verdict: "old", why: "as before" }
      : { verdict: "dead", why: "the old system starts, and its filesystems are written over" };
  if (same(start, whole.new))
    return roots.newIsWhole()
      ? { verdict: "new", why: "as built" }
      : { verdict: "dead", why: "the new system starts before its root filesystem is whole" };
  if (whole.base !== undefined && same(start, whole.base))
    return { verdict: "base", why: "as written first" };
  const { name } = [whole.base, whole.new, whole.old].flatMap((one) => nearly(start, one))[0] ?? {
    name: "what it starts is of no system",
  };
  return { verdict: "dead", why: name };
}

function same(a: Start, b: Start): boolean {
  return a.cmdline === b.cmdline && [a.linux, ...a.initrds].join() === [b.linux, ...b.initrds].join();
}

/** The same command line, or the same kernel: then a file is not whole. */
function nearly(start: Start, wanted: Start | undefined): { name: string }[] {
  if (wanted === undefined || start.cmdline !== wanted.cmdline) return [];
  return [
    { name: start.linux === wanted.linux ? "an initramfs that is not whole" : "a kernel that is not whole" },
  ];
}

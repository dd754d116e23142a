import type { Pe } from "./pe.ts";

/** Names of parts of EFI programs → their generation; shim's "SBAT.md" says what is revoked by them. */
export type Sbat = ReadonlyMap<string, number>;

/** The generations that an EFI program says of itself, in its section `.sbat`. */
export function sbatOf(pe: Pe): Sbat {
  return parseSbat(section(pe, ".sbat"));
}

/**
 * The generations that a shim asks for: what it sets in firmware that knows less, in its section `.sbatlevel`. It holds two lists; the
 * later is the stricter.
 */
export function sbatLevelOf(shim: Pe): Sbat {
  const lists = section(shim, ".sbatlevel")
    .split(/(?=sbat,1,\d{10}\n)/)
    .filter((text) => text.startsWith("sbat,"));
  return parseSbat(lists.at(-1) ?? "");
}

/** Lines of `component,generation,…`; what is no such line is left out. */
export function parseSbat(text: string): Sbat {
  const lines = text.split("\0")[0]!.split("\n");
  return new Map(
    lines.flatMap((line) => {
      const [, name, generation] = /^([\w.-]+),(\d+)(?:,|$)/.exec(line) ?? [];
      return name === undefined ? [] : [[name, Number(generation)] as const];
    }),
  );
}

/** Parts of a program that are of an older generation than is asked for: "grub 2, where 3 is asked for". */
export function revokedBy(level: Sbat, program: Sbat): string[] {
  return [...program].flatMap(([name, generation]) => {
    const least = level.get(name);
    return least === undefined || generation >= least
      ? []
      : [`${name} ${generation}, where ${least} is asked for`];
  });
}

function section(pe: Pe, name: string): string {
  return pe.sections.find((one) => one.name === name)?.content.toString("latin1") ?? "";
}

import type { Pe } from "./pe.ts";

/** Names of parts of EFI programs → their generation; shim's "SBAT.md" says what is revoked by them. */
type Sbat = ReadonlyMap<string, number>;

/** The generations that an EFI program says of itself, in its section `.sbat`. */
export function sbatOf(pe: Pe): Sbat {
  const own = pe.sections.find(({ name }) => name === ".sbat");
  return parseSbat(own?.content.toString("latin1") ?? "");
}

/** How a list begins: with the day it was made. */
const list = /sbat,1,\d{10}\n/;

/**
 * The generations that a shim asks for: what it sets in firmware that knows less, in its section `.sbatlevel`, of whose name the table of
 * sections has no more than where it is. It holds two lists; the later is the stricter.
 */
export function sbatLevelOf(shim: Pe): Sbat {
  const level = shim.sections
    .map(({ content }) => content.toString("latin1"))
    .find((text) => list.test(text));
  return parseSbat(level?.split(new RegExp(`(?=${list.source})`)).at(-1) ?? "");
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

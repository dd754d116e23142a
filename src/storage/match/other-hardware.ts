import type { Spec } from "../../schema/spec.ts";
import { DiskMatch } from "../../schema/storage.ts";
import { Size } from "../../schema/words.ts";
import { exitCodes, Fail } from "../../util/fail.ts";

/** What a person says of a machine that is not the one of the definition: which disk and which card takes the place of which. */
interface OtherHardware {
  /** By the definition's name of the disk. */
  readonly disks: ReadonlyMap<string, DiskMatch>;
  /** MAC addresses by the definition's name of the link. */
  readonly cards: ReadonlyMap<string, string>;
}

/** As the command line has it. */
export interface HardwareOptions {
  /** "system=serial:S3Z8NB0K", "system=size:400GiB..500GiB". */
  readonly disk?: readonly string[];
  /** "lan=52:54:00:12:34:56". */
  readonly card?: readonly string[];
}

const diskForms =
  "NAME=serial:…, NAME=wwn:…, NAME=id:… (of /dev/disk/by-id), NAME=path:… (of /dev/disk/by-path) or NAME=size:LEAST..MOST";
const keys: Readonly<Record<string, "serial" | "wwn" | "byId" | "path">> = {
  ...{ serial: "serial", wwn: "wwn" },
  ...{ id: "byId", path: "path" },
};

/** Reads what was typed. Nothing of it is guessed: each form is refused that is not exactly one of those known. */
export function parseHardware({ disk = [], card = [] }: HardwareOptions): OtherHardware {
  return {
    disks: mapped("--disk", disk, diskForms, (how) => diskMatch(how)),
    cards: mapped("--card", card, "NAME=MAC, as lan=52:54:00:12:34:56", (mac) =>
      /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac) ? mac.toLowerCase() : undefined,
    ),
  };
}

/** The spec of that machine: its named disks and links are matched as was said, and as nothing else. */
export function onHardware<T extends Pick<Spec, "storage" | "network">>(spec: T, other: OtherHardware): T {
  return withCards(withDisks(spec, other.disks), other.cards);
}

function withDisks<T extends Pick<Spec, "storage">>(spec: T, disks: OtherHardware["disks"]): T {
  const { storage } = spec;
  requireKnown("--disk", "disk", [...disks.keys()], Object.keys(storage?.disks ?? {}));
  if (storage === undefined || disks.size === 0) return spec;
  const changed = Object.entries(storage.disks).map(([name, disk]) => {
    const match = disks.get(name);
    const { alternatives: _, ...rest } = disk;
    return [name, match === undefined ? disk : { ...rest, match }] as const;
  });
  return { ...spec, storage: { ...storage, disks: Object.fromEntries(changed) } };
}

function withCards<T extends Pick<Spec, "network">>(spec: T, cards: OtherHardware["cards"]): T {
  const real = Object.entries(spec.network).filter(([, { match }]) => match !== undefined);
  requireKnown(
    "--card",
    "card",
    [...cards.keys()],
    real.map(([name]) => name),
  );
  if (cards.size === 0) return spec;
  const changed = Object.entries(spec.network).map(([name, link]) => {
    const mac = cards.get(name);
    return [name, mac === undefined ? link : { ...link, match: { mac } }] as const;
  });
  return { ...spec, network: Object.fromEntries(changed) };
}

function requireKnown(
  option: string,
  kind: string,
  named: readonly string[],
  known: readonly string[],
): void {
  const stranger = named.find((name) => !known.includes(name));
  if (stranger !== undefined)
    throw new Fail(`${option}: the definition has no ${kind} ${stranger}`, {
      exitCode: exitCodes.usage,
      hint: `it has ${known.join(", ") || "none"}`,
    });
}

function mapped<T>(
  option: string,
  words: readonly string[],
  forms: string,
  read: (how: string) => T | undefined,
): Map<string, T> {
  const all = new Map<string, T>();
  for (const word of words) {
    const [, name, how] = /^([a-z][a-z0-9_-]{0,31})=(\S.*)$/.exec(word) ?? [];
    const value = how === undefined ? undefined : read(how);
    if (name === undefined || value === undefined)
      throw new Fail(`${option} ${word}: ${forms} is accepted`, { exitCode: exitCodes.usage });
    if (all.has(name))
      throw new Fail(`${option} names ${name} twice`, {
        exitCode: exitCodes.usage,
        hint: "give each name once",
      });
    all.set(name, value);
  }
  return all;
}

function diskMatch(how: string): DiskMatch | undefined {
  const [, kind = "", value = ""] = /^([a-z]+):(.+)$/.exec(how) ?? [];
  if (kind === "size") return sizes(value);
  const key = keys[kind];
  return key === undefined ? undefined : DiskMatch.safeParse({ [key]: value }).data;
}

/** By size alone, which exactly one disk must have, as any match. */
function sizes(value: string): DiskMatch | undefined {
  const [, least, most] = /^([0-9A-Za-z]+)\.\.([0-9A-Za-z]*)$/.exec(value) ?? [];
  const minSize = Size.safeParse(least).data;
  const maxSize = most === "" ? Number.MAX_SAFE_INTEGER : Size.safeParse(most).data;
  if (minSize === undefined || maxSize === undefined || minSize > maxSize) return undefined;
  return most === "" ? { minSize } : { minSize, maxSize };
}

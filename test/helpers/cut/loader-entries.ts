import type { MenuEntry } from "./grub-menu.ts";
import { Unreadable } from "./unreadable.ts";

/** Of the ESP: text of a file, and names in a directory; undefined where there is none. */
export interface EspFiles {
  text(path: string): string | undefined;
  names(path: string): readonly string[] | undefined;
}

interface Entry extends MenuEntry {
  readonly name: string;
  readonly sortKey: string;
  readonly version: string;
  /** Whether its tries are used up. */
  readonly bad: boolean;
}

/** The entry that systemd-boot starts unasked: loader.conf(5), and the order of the Boot Loader Specification. */
export function defaultEntry({ text, names }: EspFiles): MenuEntry {
  const entries = (names("/loader/entries") ?? [])
    .filter((name) => name.endsWith(".conf"))
    .map((name) => entryOf(name, text(`/loader/entries/${name}`) ?? ""))
    .filter(({ linux }) => linux !== "" && text(linux) !== undefined)
    .sort(inMenu);
  if (entries.length === 0) throw new Unreadable("no entry of systemd-boot");
  const pattern = /^default\s+(\S+)/m.exec(text("/loader/loader.conf") ?? "")?.[1];
  const wanted = pattern === undefined ? undefined : entries.find(({ name }) => matches(pattern, name));
  return wanted ?? entries.find(({ bad }) => !bad) ?? entries[0]!;
}

function entryOf(name: string, content: string): Entry {
  const fields = content.split("\n").flatMap((line) => {
    const match = /^(\S+)\s+(.*?)\s*$/.exec(line);
    return match === null || match[1]!.startsWith("#") ? [] : [[match[1]!, match[2]!] as const];
  });
  const all = (key: string) => fields.filter(([field]) => field === key).map(([, value]) => value);
  const tries = /\+(\d+)(?:-\d+)?\.conf$/.exec(name)?.[1];
  return {
    ...{ name: name.replace(/(\+\d+(-\d+)?)?\.conf$/, ""), title: all("title")[0] ?? name, on: undefined },
    ...{ linux: all("linux")[0] ?? "", initrds: all("initrd"), cmdline: all("options").join(" ") },
    ...{ sortKey: all("sort-key")[0] ?? "", version: all("version")[0] ?? "", bad: tries === "0" },
  };
}

function inMenu(a: Entry, b: Entry): number {
  if (a.bad !== b.bad) return a.bad ? 1 : -1;
  if ((a.sortKey === "") !== (b.sortKey === "")) return a.sortKey === "" ? 1 : -1;
  const later = b.version.localeCompare(a.version, "en", { numeric: true });
  return a.sortKey.localeCompare(b.sortKey) || later || b.name.localeCompare(a.name);
}

function matches(pattern: string, name: string): boolean {
  const expression = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${expression}$`).test(name) || new RegExp(`^${expression}$`).test(`${name}.conf`);
}

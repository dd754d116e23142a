import { Unreadable } from "./unreadable.ts";

/** What a bootloader starts, by paths of one filesystem. */
export interface MenuEntry {
  readonly title: string;
  /** UUID of the filesystem with the files; undefined where it is that of the menu. */
  readonly on: string | undefined;
  readonly linux: string;
  readonly initrds: readonly string[];
  readonly cmdline: string;
}

/** Files beside the menu and on its filesystem; undefined where there is none. */
export type ReadText = (path: string) => string | undefined;

type Statement = readonly string[];
interface Entry {
  readonly title: string;
  readonly id: string | undefined;
  readonly body: readonly Statement[];
  readonly on: string | undefined;
}

/** What changes nothing of what is started. */
const harmless = new Set([
  "insmod",
  "serial",
  "terminal_input",
  "terminal_output",
  "save_env",
  "export",
  "echo",
  "sleep",
]);
const mostSources = 4;

/**
 * The entries that GRUB would start from a menu, in the order in which it tries them: the default, and the fallback. A small part of
 * GRUB's language, that of the menus of imgbuild and of the stock host; a word that is not known is refused, as it might change what starts.
 */
export function grubEntries(prefix: string, readText: ReadText): MenuEntry[] {
  const text = readText(`${prefix}/grub.cfg`);
  if (text === undefined) throw new Unreadable("no menu of GRUB");
  const state = {
    variables: new Map([["prefix", prefix]]),
    entries: [] as Entry[],
    on: undefined as string | undefined,
  };
  perform(statementsOf(text), state, readText, 0);
  const { variables, entries } = state;
  const chosen = [variables.get("default") || "0", variables.get("fallback")].flatMap((name) => {
    const named = entries.find(({ id, title }) => name !== undefined && (id === name || title === name));
    return named ?? entries[/^\d+$/.test(name ?? "") ? Number(name) : -1] ?? [];
  });
  if (chosen.length === 0) throw new Unreadable("a menu of GRUB without entries");
  return chosen.map(startOf);
}

function startOf({ title, body, on }: Entry): MenuEntry {
  const all = (name: string) => body.filter(([first]) => first === name).map((words) => words.slice(1));
  const [linux] = all("linux");
  if (linux?.[0] === undefined) throw new Unreadable(`GRUB's entry ${title} starts nothing`);
  return {
    ...{ title, linux: linux[0], cmdline: linux.slice(1).join(" ") },
    ...{ initrds: all("initrd").flat(), on: body.map(searched).findLast((uuid) => uuid !== undefined) ?? on },
  };
}

/** The UUID that a statement looks for: `search --fs-uuid --set=root UUID`, or `search.fs_uuid UUID root`. */
function searched([first, ...words]: Statement): string | undefined {
  if (first === "search.fs_uuid") return words[0];
  return first === "search" ? words.at(-1) : undefined;
}

function perform(
  statements: readonly Statement[],
  state: { readonly variables: Map<string, string>; readonly entries: Entry[]; on: string | undefined },
  readText: ReadText,
  depth: number,
): void {
  if (depth > mostSources) throw new Unreadable("menus of GRUB without end");
  const { variables } = state;
  const value = (word: string) =>
    word.replace(/\$\{?(\w+)\}?/g, (_all, name: string) => variables.get(name) ?? "");
  /** Of each `if` that is open: whether its present branch is gone through, and whether one was. */
  const branches: { now: boolean; done: boolean }[] = [];
  for (let index = 0; index < statements.length; index += 1) {
    const [first = "", ...raw] = statements[index]!;
    const active = branches.every(({ now }) => now);
    if (first === "if") {
      const now = active && holds(raw.map(value), readText);
      branches.push({ now, done: now });
    } else if (first === "else") {
      const branch = branches.at(-1)!;
      branch.now = !branch.done;
    } else if (first === "fi") branches.pop();
    else if (first === "menuentry") {
      const end = statements.findIndex(([word], at) => at > index && word === "}");
      if (end < 0) throw new Unreadable("a torn menu of GRUB");
      if (active)
        state.entries.push(
          entryOf(
            raw,
            statements.slice(index + 1, end).map((words) => words.map(value)),
            state.on,
          ),
        );
      index = end;
    } else if (active) simple(first, raw.map(value), state, readText, depth);
  }
  if (branches.length > 0) throw new Unreadable("a torn menu of GRUB");
}

function simple(
  first: string,
  words: readonly string[],
  state: { readonly variables: Map<string, string>; readonly entries: Entry[]; on: string | undefined },
  readText: ReadText,
  depth: number,
): void {
  const { variables } = state;
  const assign = (text: string) => {
    const at = text.indexOf("=");
    if (at > 0) variables.set(text.slice(0, at), text.slice(at + 1));
  };
  if (first === "set") assign(words[0] ?? "");
  else if (first === "unset") variables.delete(words[0] ?? "");
  else if (searched([first, ...words]) !== undefined) state.on = searched([first, ...words]);
  else if (first === "load_env")
    for (const line of environment(readText(`${variables.get("prefix")}/grubenv`) ?? "")) assign(line);
  else if (first === "source")
    perform(statementsOf(readText(words[0] ?? "") ?? ""), state, readText, depth + 1);
  else if (first !== "" && !harmless.has(first))
    throw new Unreadable(`a menu of GRUB with the word ${first}`);
}

function holds(words: readonly string[], readText: ReadText): boolean {
  const inside = words.filter((word) => word !== "[" && word !== "]");
  const [a = "", b, c] = inside;
  if (a === "-s" || a === "-f" || a === "-e") return (readText(b ?? "") ?? "") !== "";
  if (b === undefined) return a !== "";
  if (b === "=" || b === "==") return a === (c ?? "");
  throw new Unreadable(`a menu of GRUB with the condition ${words.join(" ")}`);
}

function entryOf(words: readonly string[], body: readonly Statement[], on: string | undefined): Entry {
  const id = words.findIndex((word) => word === "$menuentry_id_option" || word === "--id");
  return { title: words[0] ?? "", id: id < 0 ? undefined : words[id + 1], body, on };
}

/** Commands, as words; `then` and what opens a body are not words of their own. */
function statementsOf(text: string): Statement[] {
  const found: Statement[] = [];
  for (const line of text.split("\n")) {
    if (line.trim().startsWith("#")) continue;
    let words: string[] = [];
    for (const word of line.match(/;|(?:'[^']*'|"(?:\\.|[^"])*"|\\.|[^\s'";])+/g) ?? []) {
      if (word === ";") {
        found.push(words);
        words = [];
      } else if (word !== "then" && word !== "{") words.push(unquoted(word));
    }
    found.push(words);
  }
  return found.filter((words) => words.length > 0);
}

function unquoted(word: string): string {
  return word.replace(
    /'([^']*)'|"((?:\\.|[^"])*)"|\\(.)/g,
    (_all, a?: string, b?: string, c?: string) => a ?? b ?? c ?? "",
  );
}

/** grub/lib/envblk.h: lines of a block that is filled with "#". */
function environment(text: string): string[] {
  return text.split("\n").filter((line) => !line.startsWith("#") && line.includes("="));
}

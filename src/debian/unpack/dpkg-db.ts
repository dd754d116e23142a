import { onlyName } from "../../tables/architecture.ts";
import { distribution } from "../../tables/distribution.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import { diverted, type TreeRules } from "./dpkg-rules.ts";
import { conffilesOf, type StagedPackage } from "./stage.ts";

const admin = distribution.database;

/** What dpkg keeps of its files as they were before. */
export const databaseBackups = ["status", "available", "diversions", "statoverride"].map(
  (name) => `${admin}/${name}-old`,
);

/** dpkg's own directory and files in a tree in which dpkg has not run yet. */
export function beginDatabase(root: string): void {
  const tree = new Tree(root);
  for (const directory of ["info", "triggers", "updates", "parts", "alternatives"])
    tree.makeDirectories(`${admin}/${directory}`);
  // Format 1 names the files of packages that can be there in several architectures after both (dpkg's db-ctrl-format.c).
  if (tree.stat(`${admin}/info/format`) === undefined) tree.write(`${admin}/info/format`, "1\n");
  // Without this file dpkg takes the tree for one from before triggers, and activates all there are.
  for (const name of ["status", "available", "triggers/Unincorp"]) tree.append(`${admin}/${name}`, "");
}

/**
 * Tells dpkg of a package whose files are in their places: unpacked, to be configured. What it would do by itself when it unpacks
 * a new package (process_archive() in its unpack.c): the package's files in info/, its paths, triggers, status.
 */
export function registerUnpacked(
  root: string,
  staged: StagedPackage,
  rules: TreeRules,
  options: { readonly bootstrap: boolean },
): void {
  const { control, entries } = staged;
  const fields = control.get("control")!.bytes.toString("utf8").trim();
  const name = infoName(staged.locked.name, fields);
  const tree = new Tree(root);
  const info = (suffix: string) => `${admin}/info/${name}.${suffix}`;
  for (const [file, { bytes, mode }] of control) {
    if (file === "control" || file === "list" || file.includes(".") || file.includes("/")) continue;
    tree.write(info(file), bytes, { mode });
  }
  tree.write(info("list"), entries.map(({ path }) => `${path}\n`).join(""));
  if (!control.has("md5sums")) tree.write(info("md5sums"), digests(staged));
  registerTriggers(tree, staged, name, rules);
  const stanza = statusStanza(fields, conffileLines(staged, options.bootstrap));
  tree.append(`${admin}/status`, stanza);
}

/** The packages that dpkg knows, each with its fields. */
export function statusStanzas(root: string): { readonly name: string; readonly fields: string }[] {
  const text = new Tree(root).text(`${admin}/status`) ?? "";
  return text.split(/\n\n+/).flatMap((fields) => {
    const name = /^Package: (\S+)$/m.exec(fields)?.[1];
    return name === undefined ? [] : [{ name, fields }];
  });
}

/** Whose each path is, of the packages that dpkg knows. */
export function ownersIn(root: string): Map<string, string> {
  const tree = new Tree(root);
  const owners = new Map<string, string>();
  for (const file of tree.list(`${admin}/info`).filter((name) => name.endsWith(".list"))) {
    const name = file.slice(0, -".list".length).replace(/:.*/, "");
    for (const path of (tree.text(`${admin}/info/${file}`) ?? "").split("\n")) owners.set(path, name);
  }
  return owners;
}

/** The paths of a package's configuration files, as dpkg knows them. */
export function conffilePaths(root: string, owner: string): string[] {
  const tree = new Tree(root);
  const [text = ""] = [owner, `${owner}:${onlyName}`].flatMap(
    (name) => tree.text(`${admin}/info/${name}.conffiles`) ?? [],
  );
  return text.split("\n");
}

/** The name of a package's files in info/, and by which triggers know it. */
function infoName(name: string, fields: string): string {
  const same = /^Multi-Arch: *same *$/m.test(fields);
  const architecture = /^Architecture: *(\S+)/m.exec(fields)?.[1];
  if (architecture === undefined) throw new Fail(`${name} does not say its architecture`);
  return same ? `${name}:${architecture}` : name;
}

function statusStanza(fields: string, conffiles: readonly string[]): string {
  const at = fields.indexOf("\n");
  if (!/^Package: /.test(fields) || at < 0)
    throw new Fail("a package's control file does not begin with its name");
  const list = conffiles.length === 0 ? "" : `\nConffiles:\n${conffiles.join("\n")}`;
  return `${fields.slice(0, at)}\nStatus: install ok unpacked${fields.slice(at)}${list}\n\n`;
}

/**
 * In the bootstrap conffiles are in their places, and known by their digest. Else dpkg puts them there when it configures the
 * package, and says "newconffile" meanwhile.
 */
function conffileLines({ control, entries }: StagedPackage, bootstrap: boolean): string[] {
  const digest = new Map(entries.map(({ path, md5 }) => [path, md5]));
  return conffilesOf(control).map(({ path, flag }) => {
    const state = (bootstrap && flag === undefined ? digest.get(path) : undefined) ?? "newconffile";
    return ` ${path} ${state}${flag === undefined ? "" : ` ${flag}`}`;
  });
}

function digests({ entries }: StagedPackage): string {
  const known = new Map(entries.map(({ path, md5 }) => [path, md5]));
  const lines = entries.map(({ path, type, link, md5 }) => {
    const sum = type === "hardlink" ? known.get(`/${link.replace(/^\.?\/+/, "")}`) : md5;
    return sum === undefined ? "" : `${sum}  ${path.slice(1)}\n`;
  });
  return lines.join("");
}

/**
 * Its interests are noted, and what it activates is left for dpkg's next run to take in. That run forgets what nobody who is
 * configured waits for, as it must: a package that is only unpacked sees everything when it is configured.
 */
function registerTriggers(tree: Tree, staged: StagedPackage, name: string, rules: TreeRules): void {
  const triggers = `${admin}/triggers`;
  const fileInterests = interestsIn(tree.text(`${triggers}/File`) ?? "");
  const activations: string[] = [];
  for (const { path } of staged.entries) {
    const used = diverted(rules, path, staged.locked.name);
    if (fileInterests.has(used)) activations.push(`${used} ${name}\n`);
  }
  for (const line of (staged.control.get("triggers")?.bytes.toString("utf8") ?? "").split("\n")) {
    const [directive = "", trigger] = line.trim().split(/\s+/);
    if (trigger === undefined || directive.startsWith("#")) continue;
    const [verb, how] = directive.split("-");
    const option = how === "noawait" ? "/noawait" : "";
    if (verb === "activate") activations.push(`${trigger} ${option === "" ? name : "-"}\n`);
    else if (verb !== "interest") throw new Fail(`${name} has an unknown trigger directive ${directive}`);
    else if (trigger.startsWith("/")) tree.append(`${triggers}/File`, `${trigger} ${name}${option}\n`);
    else tree.append(`${triggers}/${trigger}`, `${name}${option}\n`);
  }
  tree.append(`${triggers}/Unincorp`, activations.join(""));
}

function interestsIn(text: string): Set<string> {
  const lines = text.split("\n");
  return new Set(lines.map((line) => line.slice(0, line.indexOf(" "))).filter((path) => path !== ""));
}

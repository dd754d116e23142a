import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { distribution } from "../../tables/distribution.ts";
import { archiveSuites } from "../../tables/release.ts";

/** Debian's own archives, each served from a base URL of its own. */
type DebianArchive = "debian" | "debian-security";

/** Base URLs by archive, the first preferred, without a slash at the end. */
export type Mirrors = Readonly<Record<string, readonly string[]>> &
  Readonly<Record<DebianArchive, readonly string[]>>;

const fallback: Mirrors = {
  debian: ["http://ftp.debian.org/debian"],
  "debian-security": ["http://security.debian.org/debian-security"],
};

const debianSuite = new RegExp(
  `^(${archiveSuites.join("|")})(-updates|-security|/updates|-backports|-proposed-updates)?$`,
);

interface MirrorUrl {
  readonly archive: DebianArchive;
  readonly url: string;
}

/** The definition's mirror alone, else the environment's, then what the machines know, then the archive's own name. */
export function chooseMirrors(sources: {
  readonly definition?: string | undefined;
  readonly target?: readonly MirrorUrl[];
  readonly machine?: readonly MirrorUrl[];
  readonly environment?: string | undefined;
}): Mirrors {
  const given = sources.definition ?? sources.environment;
  const known = [...(sources.target ?? []), ...(sources.machine ?? [])];
  const of = (archive: DebianArchive) => {
    const urls = known.filter((mirror) => mirror.archive === archive).map((mirror) => trim(mirror.url));
    const own = given === undefined ? [] : [archive === "debian" ? trim(given) : securityOf(trim(given))];
    if (sources.definition !== undefined) return own;
    return [...new Set([...own, ...urls, ...fallback[archive]])];
  };
  return { debian: of("debian"), "debian-security": of("debian-security") };
}

/**
 * Mirrors in the text of apt sources, one-line and deb822. Only Debian's own archives count: other vendors name their
 * suites after Debian's, but have suites or components of their own.
 */
export function mirrorsInSources(oneLine: string, deb822: string): MirrorUrl[] {
  const found: MirrorUrl[] = [];
  const add = (url: string, suites: readonly string[], components: readonly string[]) => {
    if (!isPlainUrl(url) || !components.includes("main")) return;
    for (const suite of suites) {
      const kind = debianSuite.exec(suite);
      if (kind === null) continue;
      const archive = ["-security", "/updates"].includes(kind[2] ?? "") ? "debian-security" : "debian";
      found.push({ archive, url: trim(url) });
    }
  };
  for (const line of oneLine.split("\n")) {
    const match = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line);
    if (match !== null) add(match[1]!, [match[2]!], match[3]!.trim().split(/\s+/));
  }
  for (const stanza of deb822.split(/\n\s*\n/)) {
    const field = (name: string) =>
      (new RegExp(`^${name}:((?:.*)(?:\\n[ \\t].*)*)`, "im").exec(stanza)?.[1] ?? "")
        .split("\n")
        .filter((line) => !line.startsWith("#"))
        .join(" ")
        .trim()
        .split(/\s+/);
    if (field("Enabled")[0]?.toLowerCase() === "no" || !field("Types").includes("deb")) continue;
    for (const url of field("URIs")) add(url, field("Suites"), field("Components"));
  }
  const seen = new Set<string>();
  return found.filter(({ archive, url }) => !seen.has(`${archive} ${url}`) && seen.add(`${archive} ${url}`));
}

/** The mirrors in this machine's own /etc/apt; none where there is no apt. */
export async function machineMirrors(etcApt: string = distribution.settings): Promise<MirrorUrl[]> {
  const parts = await readdir(join(etcApt, "sources.list.d")).catch(() => []);
  const read = async (names: readonly string[]) =>
    (await Promise.all(names.map((name) => readFile(join(etcApt, name), "utf8").catch(() => "")))).join(
      "\n\n",
    );
  const inParts = (ending: string) =>
    parts.filter((name) => name.endsWith(ending)).map((name) => `sources.list.d/${name}`);
  return mirrorsInSources(await read(["sources.list", ...inParts(".list")]), await read(inParts(".sources")));
}

/** The security archive stands beside the main one on mirrors that carry both. */
function securityOf(url: string): string {
  return /\/debian$/.test(url) ? `${url}-security` : `${url}/../debian-security`;
}

/** It goes into other systems' sources and into command lines: no password, no quote, nothing that a shell or apt would read. */
function isPlainUrl(url: string): boolean {
  return /^https?:\/\/[A-Za-z0-9.:[\]-]+(\/[A-Za-z0-9._~%+=/-]*)?$/.test(url) && URL.canParse(url);
}

function trim(url: string): string {
  return url.replace(/\/+$/, "");
}

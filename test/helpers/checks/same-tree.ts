import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/** Where two trees of the same packages may differ, and why; docs/PERFORMANCE.md has the same list in words. */
const toPeers: readonly (readonly [why: string, where: RegExp])[] = [
  ["made when a machine starts", /^\/(dev|run|tmp|proc|sys)\//],
  ["logs", /^\/var\/log\//],
  ["caches", /^\/var\/cache\//],
  ["apt's own state: the lists it fetched, what it takes for automatic", /^\/var\/lib\/apt\//],
  ["copies of what was before", /^\/etc\/(passwd|group|shadow|gshadow)-$|^\/var\/lib\/dpkg\/[a-z]+-old$/],
  [
    "mmdebstrap's own",
    /^\/etc\/(fstab|hostname|resolv\.conf|\.resolv\.conf\..*)$|^\/var\/lib\/dpkg\/arch(-native)?$/,
  ],
  ["mmdebstrap's own", /^\/etc\/apt\/sources\.list\.d\/0000[a-z]+\.list$/],
  ["dpkg's, which apt does without", /^\/var\/lib\/dpkg\/available$/],
  [
    "random or of its day: identities, keys and certificates",
    /^\/etc\/machine-id$|^\/var\/lib\/dbus\/machine-id$/,
  ],
  ["random or of its day: identities, keys and certificates", /^\/etc\/ssh\/ssh_host_.*_key(\.pub)?$/],
  [
    "random or of its day: identities, keys and certificates",
    /^\/etc\/ssl\/.*\/(ssl-cert-snakeoil\..*|cacerts)$/,
  ],
  ["random or of its day: a database's identity", /^\/var\/lib\/postgresql\//],
  ["imgbuild makes it of a list of modules, at the end", /^\/boot\/initrd\.img-/],
];
/** Of these the lines count, not their order, which is that of installing. */
const lists = /^\/etc\/(shadow|gshadow)$|^\/var\/lib\/dpkg\/triggers\/File$/;

/** Every path that differs in being there, type, mode, owner, group, link target or content. */
export function treeDifferences(ours: string, peer: string, mayDiffer = toPeers): string[] {
  const differences: string[] = [];
  const visit = (path: string) => {
    const [a, b] = [ours, peer].map((root) => describe(root, path === "" ? "/" : path));
    const allowed = mayDiffer.some(([, where]) => where.test(path));
    if (a !== b && !allowed) differences.push(`${path === "" ? "/" : path}: ${a} instead of ${b}`);
    if (allowed) return;
    for (const name of [...new Set([ours, peer].flatMap((root) => namesIn(join(root, path))))].sort())
      visit(`${path}/${name}`);
  };
  visit("");
  return differences;
}

function describe(root: string, path: string): string {
  const full = join(root, path);
  const found = lstatSync(full, { throwIfNoEntry: false });
  if (found === undefined) return "nothing";
  const owner = `${found.uid}:${found.gid}`;
  if (found.isSymbolicLink()) return `a link to ${readlinkSync(full)} of ${owner}`;
  const mode = (found.mode & 0o7777).toString(8);
  if (found.isDirectory()) return `a directory ${mode} of ${owner}`;
  if (!found.isFile()) return `something else ${mode} of ${owner}`;
  const content = createHash("sha256").update(contentOf(full, path)).digest("hex").slice(0, 16);
  return `a file ${mode} of ${owner}, ${content}`;
}

function contentOf(full: string, path: string): Buffer | string {
  const bytes = readFileSync(full);
  if (!lists.test(path)) return bytes;
  const lines = bytes.toString("utf8").split("\n").sort();
  // The third field of shadow(5) is the day of the making.
  return lines
    .map((line) => (path === "/etc/shadow" ? line.replace(/^([^:]*:[^:]*):\d*:/, "$1:") : line))
    .join("\n");
}

function namesIn(directory: string): string[] {
  return lstatSync(directory, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(directory) : [];
}

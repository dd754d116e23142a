import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Lock } from "../../../src/schema/lock.ts";
import { plainEnv, run } from "../../../src/system/run/run.ts";

const suite = "trixie";
const peerMs = 3_600_000;

/** What mmdebstrap needs to install the packages of a lock from a cache, prepared in a directory. */
export interface Peer {
  readonly directory: string;
  readonly names: string;
}

/** Lays the packages of a lock where apt looks for them, under the names it gives them. */
export async function preparePeer(
  lock: Lock,
  options: {
    readonly directory: string;
    readonly packages: string;
    readonly mirrors: Readonly<Record<string, readonly string[]>>;
  },
): Promise<Peer> {
  const { directory, packages, mirrors } = options;
  await copyArchives(lock, packages, join(directory, "archives"));
  await writeFile(join(directory, "sources.list"), sourcesList(mirrors));
  return { directory, names: lock.packages.map(({ name }) => name).join(",") };
}

/** Copies from our cache, under the names that apt gives to packages in its own. */
export async function copyArchives(lock: Lock, from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const { name, version, architecture, sha256 } of lock.packages)
    await copyFile(
      join(from, `${sha256}.deb`),
      join(to, `${name}_${version.replaceAll(":", "%3a")}_${architecture}.deb`),
    );
}

/** Where apt finds what our locks are made from. */
export function sourcesList(mirrors: Readonly<Record<string, readonly string[]>>): string {
  const keyring = resolve("src/debian/archive/keyrings", `${suite}.asc`);
  const list = [
    `deb [signed-by=${keyring}] ${mirrors.debian?.[0]} ${suite} main`,
    `deb [signed-by=${keyring}] ${mirrors.debian?.[0]} ${suite}-updates main`,
    `deb [signed-by=${keyring}] ${mirrors["debian-security"]?.[0]} ${suite}-security main`,
  ];
  return `${list.join("\n")}\n`;
}

/** As a tree of ours that has no name yet: scripts of packages put the name of the machine into certificates. */
const named = ["unshare", "--uts", "--", "sh", "-ec", 'hostname localhost; exec "$@"', "sh"];

/** A tree with the same packages, made by mmdebstrap as it is shipped. */
export async function mmdebstrap({ directory, names }: Peer, to: string): Promise<void> {
  await run(
    [
      ...[...named, "mmdebstrap", "--quiet", "--variant=apt", "--mode=root", `--include=${names}`],
      '--setup-hook=mkdir -p "$1/var/cache/apt/archives"',
      `--setup-hook=cp ${directory}/archives/*.deb "$1/var/cache/apt/archives/"`,
      ...[suite, to, join(directory, "sources.list")],
    ],
    { timeoutMs: peerMs, env: { ...plainEnv, TMPDIR: directory } },
  );
}

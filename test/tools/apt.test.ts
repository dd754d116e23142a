import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type ArchiveIndex, loadIndex } from "../../src/debian/archive/index.ts";
import { chooseMirrors, machineMirrors } from "../../src/debian/archive/mirrors.ts";
import { debianSources, partsOf, type Source } from "../../src/debian/archive/sources.ts";
import type { Policy } from "../../src/debian/resolve/policy.ts";
import { Pool } from "../../src/debian/resolve/pool.ts";
import { resolve } from "../../src/debian/resolve/resolve.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { Fail } from "../../src/util/fail.ts";
import { silentLog } from "../../src/util/log.ts";
import { type AptAnswer, type AptRoot, aptRoot } from "../helpers/labs/apt.ts";
import { differences, groups, type Sets } from "./apt-sets.ts";

const dir = mkdtempSync(join(tmpdir(), "imgbuild-apt-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** One core each for apt; ours takes a tenth of its time. */
const parallel = 2;

interface Prepared {
  readonly apt: AptRoot;
  readonly pool: Pool;
  readonly release: string;
}

describe.each(groups)("the packages of $title", (group) => {
  let prepared: Promise<Prepared> | undefined;
  const ready = () => {
    prepared ??= prepare(group);
    return prepared;
  };

  it("are those that apt would install, but for the differences that are listed", async () => {
    const listed = differences[group.title] ?? {};
    const wrong: string[] = [];
    await each(group.sets, async (set) => {
      const difference = compare(ours(await ready(), set), await theirs(await ready(), set));
      if (difference !== undefined && listed[set] === undefined) wrong.push(`${set}: ${difference}`);
      if (difference === undefined && listed[set] !== undefined)
        wrong.push(`${set}: does not differ any more`);
    });
    expect(wrong).toEqual([]);
    expect(Object.keys(listed).filter((set) => !group.sets.includes(set))).toEqual([]);
  });

  it("are accepted by apt, version by version, where it gave another answer", async () => {
    for (const set of Object.keys(differences[group.title] ?? {})) {
      const { apt, pool } = await ready();
      const mine = ours(await ready(), set);
      if (!("set" in mine)) throw new Error(`${set}: ${mine.refused}`);
      const exact = mine.set.map((one) => one.replace(" ", "="));
      expect(await apt.install([...standing(pool), ...exact], { recommends: false }), set).toEqual(mine);
    }
  });

  it("cannot be had where apt finds no way either, and that is told", async () => {
    const wrong: string[] = [];
    await each(group.refused, async (set) => {
      const mine = ours(await ready(), set);
      const other = await theirs(await ready(), set);
      if ("set" in mine) wrong.push(`${set}: found ${mine.set.length} packages`);
      else if (!/^[^\n]{20,400}$/.test(mine.refused)) wrong.push(`${set}: ${mine.refused}`);
      if ("set" in other) wrong.push(`${set}: apt found ${other.set.length} packages`);
    });
    expect(wrong).toEqual([]);
  });
});

describe("a version of one's own choice", () => {
  it("is the one that apt takes", async () => {
    const group = groups[0]!;
    const made = await prepare({ ...group, title: "versions" });
    const wrong: string[] = [];
    const sets = olderVersions(made.pool, 12);
    expect(sets.length).toBeGreaterThan(3);
    await each(sets, async (set) => {
      const mine = ours(made, set);
      const other = await theirs(made, set);
      // apt does not look for versions of what the package needs; where it finds an answer it must be ours.
      const difference = "refused" in other && "set" in mine ? undefined : compare(mine, other);
      if (difference !== undefined) wrong.push(`${set}: ${difference}`);
    });
    expect(wrong).toEqual([]);
  });
});

it("is compared for many sets", () => {
  const count = (field: "sets" | "refused") => groups.reduce((sum, group) => sum + group[field].length, 0);
  expect(count("sets")).toBeGreaterThanOrEqual(150);
  expect(count("refused")).toBeGreaterThanOrEqual(15);
});

async function prepare(group: Sets): Promise<Prepared> {
  const sources = await debianSources(group.suites, group.components);
  const read: ArchiveIndex[] = [];
  for (const source of sources) read.push(await loadSource(source));
  const [release = ""] = group.suites;
  const own = partsOf(release).map(({ suite }) => suite);
  const policy: Policy = { pins: group.pins ?? [], target: group.target ? own : [] };
  const tables = read.flatMap((one) => one.tables);
  const files = read.flatMap((one) => one.files);
  const apt = await aptRoot(join(dir, group.title.replaceAll(" ", "-")), sources, files, policy);
  return { apt, pool: new Pool(tables, policy), release };
}

/** A mirror that stands still has suites that have expired: what they say is good enough to compare by. */
async function loadSource(source: Source): Promise<ArchiveIndex> {
  const mirrors = chooseMirrors({
    machine: await machineMirrors(),
    environment: process.env.IMGBUILD_MIRROR,
  });
  const load = (now: Date) =>
    loadIndex([source], "amd64", { cache: cacheRoot(process.env), mirrors, now, log: silentLog });
  try {
    return await load(new Date());
  } catch (error) {
    const until = /expired on (.*)$/.exec((error as Error).message)?.[1];
    if (until === undefined) throw error;
    return await load(new Date(Date.parse(until) - 1000));
  }
}

/** What is asked of both beside a set: mmdebstrap's essential and required packages, and apt. */
function standing(pool: Pool): string[] {
  const { essential, required } = pool.standing();
  return [...new Set([...essential, ...required, "apt"])];
}

function parse(set: string): { readonly install: string[]; readonly recommends: boolean } {
  return { install: set.replace(/^\+ /, "").split(" "), recommends: set.startsWith("+ ") };
}

function ours({ pool, release }: Prepared, set: string): AptAnswer {
  try {
    const { packages } = resolve(pool, { ...parse(set), suite: release });
    return { set: packages.map(({ name, version }) => `${name} ${version}`).sort() };
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    return { refused: error.message };
  }
}

async function theirs({ apt, pool }: Prepared, set: string): Promise<AptAnswer> {
  const { install, recommends } = parse(set);
  return await apt.install([...standing(pool), ...install], { recommends });
}

function compare(mine: AptAnswer, other: AptAnswer): string | undefined {
  if ("refused" in mine)
    return "refused" in other ? undefined : `refused (${mine.refused}), apt has an answer`;
  if ("refused" in other) return `found, but apt says: ${other.refused}`;
  const more = mine.set.filter((one) => !other.set.includes(one));
  const less = other.set.filter((one) => !mine.set.includes(one));
  if (more.length + less.length === 0) return undefined;
  return `more: ${more.slice(0, 8).join(", ")}; less: ${less.slice(0, 8).join(", ")}`;
}

/** Packages of which a security update has replaced a version that is still there. */
function olderVersions(pool: Pool, count: number): string[] {
  const table = pool.tables.find(({ origin }) => origin.suite.endsWith("-security"));
  const sets: string[] = [];
  for (const name of table?.names() ?? []) {
    const { versions, preferred } = pool.package(name);
    const older = versions.find(({ version }) => version !== preferred?.version);
    if (older !== undefined) sets.push(`${name}=${older.version}`);
  }
  const step = Math.max(1, Math.floor(sets.length / count));
  return sets.filter((_set, index) => index % step === 0).slice(0, count);
}

async function each<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const queue = [...all];
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await work(next);
  };
  await Promise.all(Array.from({ length: parallel }, worker));
}

import { readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { mmdebstrap, preparePeer } from "../test/helpers/labs/mmdebstrap.ts";
import { inTurns, least, pair, type Row, rounds, row, type Spent, timed } from "./bench-rows.ts";
import { build, command, edit, forgetTrees, install, relock, type Server } from "./bench-server.ts";

const memoryLimitMib = 512;
const sampleMs = 50;

/** A tree from packages, against mmdebstrap's from the same. */
export async function treeRows(server: Server): Promise<Row[]> {
  const directory = join(server.work, "peer");
  const { packages, mirrors } = server;
  const peer = await preparePeer(server.lock, { directory, packages, mirrors });
  const to = join(server.work, "their-tree");
  const best = await inTurns(
    async () => {
      await forgetTrees(server);
      return await build(server, "dir");
    },
    async () => {
      const spent = await timed(() => mmdebstrap(peer, to));
      await rm(to, { recursive: true });
      return spent;
    },
  );
  return [row("tree-cold", best, { against: "mmdebstrap", atMost: 0.3 })];
}

/** A raw image after a change, against the same from nothing. */
export async function rebuildRows(server: Server): Promise<Row[]> {
  const spent: Record<"cold" | "file" | "package", Spent[]> = { cold: [], file: [], package: [] };
  for (let round = 0; round < rounds; round += 1) {
    await relock(server, install);
    await forgetTrees(server);
    spent.cold.push(await build(server, "raw"));
    await edit(server, `edited in round ${round}\n`);
    spent.file.push(await build(server, "raw"));
    await relock(server, [...install, "tree"]);
    spent.package.push(await build(server, "raw"));
  }
  await relock(server, install);
  const against = "our own cold build";
  const peer = least(spent.cold);
  return [
    row("rebuild-file", { ours: least(spent.file), peer }, { against, atMost: 0.1 }),
    row("rebuild-package", { ours: least(spent.package), peer }, { against, atMost: 0.25 }),
  ];
}

/** The most that all processes of a command hold at once, shared pages counted once, what lies in tmpfs not at all. */
export async function memoryRows(server: Server): Promise<Row[]> {
  await forgetTrees(server);
  let most = 0;
  let timer: NodeJS.Timeout | undefined;
  const watch = (pid: number) => {
    clearInterval(timer);
    timer = setInterval(() => {
      most = Math.max(most, familyKib(pid));
    }, sampleMs);
  };
  try {
    await command(server, ["lock", "--update", server.definition], watch);
    await build(server, "raw", { onStart: watch });
  } finally {
    clearInterval(timer);
  }
  const figures = pair(most / 1024, memoryLimitMib);
  return [{ name: "peak-memory", unit: "MiB", ...figures, against: "the limit", atMost: 1, rounds: 1 }];
}

function familyKib(root: number): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc").filter((one) => /^\d+$/.test(one))) {
    const stat = textOf(`/proc/${name}/stat`);
    const parent = /\) \S (\d+)/.exec(stat)?.[1];
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  const isOurs = (pid: number | undefined): boolean =>
    pid !== undefined && (pid === root || isOurs(parents.get(pid)));
  let kib = 0;
  for (const pid of parents.keys()) {
    if (!isOurs(pid)) continue;
    const rollup = textOf(`/proc/${pid}/smaps_rollup`);
    const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(rollup)?.[1] ?? 0);
    kib += field("Pss") - field("Pss_Shmem");
  }
  return kib;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    // It has ended meanwhile.
    return "";
  }
}

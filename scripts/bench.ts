import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { memoryRows, rebuildRows, treeRows } from "./bench-build.ts";
import { downtimeRow } from "./bench-downtime.ts";
import { imageRows } from "./bench-image.ts";
import { lockRows } from "./bench-lock.ts";
import { busyCores, machine, versions } from "./bench-machine.ts";
import { recoverRows, rescueRows } from "./bench-rescue.ts";
import { type Row, rounds } from "./bench-rows.ts";
import { withServer } from "./bench-server.ts";
import { startRows } from "./bench-start.ts";
import { vmRows } from "./bench-vm.ts";

/** Rows that are measured together, and the group by which they are chosen. */
interface Measurement {
  readonly group: string;
  readonly rows: readonly string[];
  readonly measure: () => Promise<readonly Row[]>;
}

const measurements: readonly Measurement[] = [
  { group: "lock", rows: ["lock"], measure: () => withServer(lockRows) },
  { group: "build", rows: ["tree-cold"], measure: () => withServer(treeRows) },
  { group: "build", rows: ["rebuild-file", "rebuild-package"], measure: () => withServer(rebuildRows) },
  { group: "build", rows: ["peak-memory"], measure: () => withServer(memoryRows) },
  { group: "image", rows: ["image-cold"], measure: () => withServer(imageRows) },
  { group: "rescue", rows: ["rescue-iso-size", "rescue-iso"], measure: rescueRows },
  { group: "rescue", rows: ["recover-offline"], measure: recoverRows },
  { group: "start-up", rows: ["start-up-mkosi", "start-up-ansible"], measure: startRows },
  { group: "vm", rows: ["test-verdict", "snapshot-restore"], measure: vmRows },
  { group: "downtime", rows: ["downtime-local"], measure: async () => [await downtimeRow("local")] },
  { group: "downtime", rows: ["downtime-host"], measure: async () => [await downtimeRow("host")] },
  { group: "downtime", rows: ["downtime-target"], measure: async () => [await downtimeRow("target")] },
];

const quietCores = 0.1;
const out = "out/bench.json";
const chosen = choose(process.env.ROWS);
const about = { machine: await machine(), versions: await versions() };
const { cores, processor, memoryGib, accelerator, system } = about.machine;
console.log(`${cores} cores of ${processor}, ${memoryGib} GiB, ${accelerator}, ${system}; best of ${rounds}`);
for (const { rows, measure } of chosen) {
  console.log(`measuring ${rows.join(", ")}`);
  const before = { date: new Date().toISOString(), busyCores: await busyCores() };
  if (before.busyCores >= quietCores)
    console.log(`others keep ${before.busyCores} cores at work: figures of now say little`);
  for (const row of await measure()) {
    await keep(row, before);
    const cpu = row.cpu === undefined ? "" : ` (CPU ${row.cpu.ours} s, ${row.cpu.peer} s, ${row.cpu.ratio})`;
    const asked = row.atMost === undefined ? "" : `, asked for at most ${row.atMost}`;
    console.log(
      `${row.name}: ours ${row.ours} ${row.unit}, ${row.against} ${row.peer} ${row.unit}, ratio ${row.ratio}${cpu}${asked}`,
    );
  }
}

/** ROWS: names of groups or rows, with commas; nothing is all. */
function choose(text = ""): readonly Measurement[] {
  const wanted = text.split(/[\s,]+/).filter((one) => one !== "");
  const names = new Set(measurements.flatMap(({ group, rows }) => [group, ...rows]));
  const unknown = wanted.filter((one) => !names.has(one));
  if (unknown.length > 0) {
    console.error(`ROWS names ${unknown.join(", ")}\n  hint: there are ${[...names].join(", ")}`);
    process.exit(2);
  }
  return measurements.filter(
    ({ group, rows }) => wanted.length === 0 || [group, ...rows].some((one) => wanted.includes(one)),
  );
}

/** Puts the row into the list, in the place of what was known of it; the others stay. */
async function keep(row: Row, before: object): Promise<void> {
  const known: unknown = JSON.parse(await readFile(out, "utf8").catch(() => "[]"));
  const others = (Array.isArray(known) ? (known as Row[]) : []).filter(({ name }) => name !== row.name);
  await mkdir("out", { recursive: true });
  await writeFile(`${out}.new`, `${JSON.stringify([...others, { ...row, ...before, ...about }], null, 2)}\n`);
  await rename(`${out}.new`, out);
}

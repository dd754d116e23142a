// Changes the source one place at a time (Stryker) and counts the changes that the unit tests notice. A run that was stopped
// goes on where it was: results are kept in out/mutants and serve until the part's code or tests change.
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import { z } from "zod";
import { digestOf } from "../src/util/digest.ts";
import { type Instrumented, instrument } from "./mutants/instrument.ts";
import { lastSign, readResults } from "./mutants/results.ts";

interface Part {
  /** Files of src. */
  readonly sources: RegExp;
  /** Folders of test/unit. */
  readonly tests: readonly string[];
}

/** What guards disks, hosts, secrets and archives. How a filesystem is made is shown by the tests that make it. */
const parts: Readonly<Record<string, Part>> = {
  storage: {
    sources: /^(storage\/|disks\/(?!filesystem\/mkfs\.ts))/,
    tests: ["storage", "disks"],
  },
  steps: { sources: /^steps\//, tests: ["steps", "boot"] },
  transport: { sources: /^transport\//, tests: ["transport"] },
  deploy: {
    sources: /^operator\/(inspect\/preflight|deploy\/(?!host-keys|prove|who-answers)[\w-]+)\.ts$/,
    tests: ["operator/deploy", "operator/inspect"],
  },
  // What signs and what refuses; what writes boot files is shown by machines that start.
  boot: { sources: /^boot\/(efi\/sign-efi\.ts|check\/)/, tests: ["boot"] },
  archive: { sources: /^archive\//, tests: ["archive"] },
  door: { sources: /^system\/door\//, tests: ["system/door"] },
  secrets: { sources: /^secrets\//, tests: ["secrets", "target"] },
};
const atLeast = 85;
const atOnce = 2;
/** Until the first change is tried: every test runs twice before. */
const loadMs = 10 * 60_000;
/** Longer than any test takes: a process that says nothing for so long hangs in the change that it began. */
const silenceMs = 15_000;
/** Processes in a row that come to no change at all. */
const fruitless = 2;
const directory = "out/mutants";
/** A file a part. */
const acceptedIn = "scripts/mutants/accepted";

/** Changes that alter nothing that matters, each with the reason. */
const Accepted = z.array(
  z.strictObject({
    file: z.string(),
    /** The line as it stands, without the spaces around it. */
    line: z.string(),
    /** What the change puts there; without it, every change of the line. */
    becomes: z.string().optional(),
    reason: z.string().min(10),
  }),
);
interface Score {
  readonly noticed: number;
  readonly counted: number;
}

const accepted = readdirSync(acceptedIn).flatMap((name) =>
  Accepted.parse(parse(readFileSync(join(acceptedIn, name), "utf8"))),
);
const stale = accepted.filter(({ file, line }) => !linesOf(file).includes(line));
if (stale.length > 0) {
  for (const { file, line } of stale)
    console.error(`${acceptedIn} names a line that ${file} no longer has: ${line}`);
  process.exit(2);
}
const names = process.argv.slice(2);
const unknown = names.filter((name) => parts[name] === undefined);
if (unknown.length > 0) {
  console.error(`no part ${unknown.join(", ")}; there are ${Object.keys(parts).join(", ")}`);
  process.exit(2);
}

const queue = names.length > 0 ? names : Object.keys(parts);
const scores: Score[] = [];
await Promise.all(Array.from({ length: atOnce }, work));
const all = sum(scores);
console.log(`all: ${shown(all)}`);
if (share(all) < atLeast) {
  console.error(`fewer than ${atLeast} % of the changes are noticed`);
  process.exitCode = 1;
}

async function work(): Promise<void> {
  for (let name = queue.shift(); name !== undefined; name = queue.shift())
    scores.push(await scorePart(name, parts[name]!));
}

async function scorePart(name: string, { sources, tests }: Part): Promise<Score> {
  const files = typescriptBelow("src")
    .filter((file) => sources.test(file.slice("src/".length)))
    .sort();
  const folders = tests.map((folder) => join("test/unit", folder));
  const to = join(directory, name);
  const inputs = [...files, ...folders.flatMap(typescriptBelow)].map((file) => [
    file,
    readFileSync(file, "utf8"),
  ]);
  const digest = digestOf(inputs);
  if (!existsSync(join(to, digest))) await rm(to, { recursive: true, force: true });
  await mkdir(to, { recursive: true });
  await writeFile(join(to, digest), "");
  const instrumented = await instrument(files);
  await writeFile(join(to, "instrumented.json"), JSON.stringify(instrumented));
  await tryChanges(name, to, folders, instrumented.changes.length);
  const score = judge(instrumented, to);
  console.log(`${name}: ${shown(score)}`);
  return score;
}

/** One process after another, until every change has its outcome. */
async function tryChanges(
  name: string,
  to: string,
  tests: readonly string[],
  changes: number,
): Promise<void> {
  const done = () => [...readResults(to).values()].filter((outcome) => outcome !== "unclear").length;
  let left = fruitless;
  while (done() < changes) {
    const before = done();
    await tryWhatIsLeft(to, tests);
    console.log(`${name}: ${done()} of ${changes} changes tried`);
    left = done() > before ? fruitless : left - 1;
    if (left === 0) throw new Error(`the tests of ${name} do not run; see ${to}/vitest.log`);
  }
}

async function tryWhatIsLeft(to: string, tests: readonly string[]): Promise<void> {
  const env = { ...process.env, IMGBUILD_MUTANTS: to, IMGBUILD_MUTANTS_TESTS: tests.join(",") };
  const vitest = [
    "node_modules/.bin/vitest",
    "run",
    "--config",
    "scripts/mutants/vitest.config.ts",
    "--configLoader",
    "runner",
  ];
  const log = openSync(join(to, "vitest.log"), "w");
  const child = spawn("bwrap", [...sandbox(resolve(to)), ...vitest], {
    env,
    stdio: ["ignore", log, log],
    detached: true,
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  closeSync(log);
  const began = Date.now();
  for (;;) {
    const isOver = await Promise.race([ended.then(() => true), sleep(1_000, false)]);
    if (isOver) return;
    const sign = lastSign(to) ?? 0;
    const until = sign > began ? sign + silenceMs : began + loadMs;
    // What the change started, too.
    if (Date.now() > until) process.kill(-child.pid!, "SIGKILL");
  }
}

/**
 * Code that is changed at random may do anything, and a test that links to a file outside may lead it there: it can write to its
 * own results and to memory, sees no disk, and has a network and processes of its own.
 */
function sandbox(results: string): string[] {
  return [
    ...["--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"],
    ...["--tmpfs", "/tmp", "--tmpfs", "/run", "--tmpfs", "/var/tmp", "--bind", results, results, "--"],
  ];
}

function judge({ changes }: Instrumented, to: string): Score {
  const results = readResults(to);
  let [noticed, counted] = [0, 0];
  for (const { id, file, line: number, kind, becomes } of changes) {
    const outcome = results.get(id);
    if (outcome === "static") continue;
    const isNoticed = outcome === "noticed" || outcome === "begun";
    const line = linesOf(file)[number - 1]!;
    if (!isNoticed && isAccepted({ file, line, becomes })) continue;
    counted += 1;
    if (isNoticed) noticed += 1;
    else console.log(`${outcome}: ${file}:${number} ${kind}: ${line} → ${becomes}`);
  }
  return { noticed, counted };
}

function isAccepted({ file, line, becomes }: { file: string; line: string; becomes: string }): boolean {
  return accepted.some(
    (change) =>
      change.file === file &&
      change.line === line &&
      (change.becomes === undefined || change.becomes === becomes),
  );
}

/** Without the spaces around them. */
function linesOf(file: string): string[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .map((line) => line.trim());
}

function typescriptBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"))
    .sort()
    .map((name) => join(folder, name));
}

function sum(scores: readonly Score[]): Score {
  const total = (key: keyof Score) => scores.reduce((so, score) => so + score[key], 0);
  return { noticed: total("noticed"), counted: total("counted") };
}

function share({ noticed, counted }: Score): number {
  return counted === 0 ? 100 : Math.floor((1000 * noticed) / counted) / 10;
}

function shown(score: Score): string {
  return `${score.noticed} of ${score.counted} changes noticed, ${share(score)} %`;
}

// Changes the source one place at a time (Stryker) and counts the changes that the unit tests notice. A run that was stopped
// goes on where it was: results are kept in out/mutants, a few files together, and serve until their code or tests change.
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { run } from "../src/system/run/run.ts";
import { digestOf } from "../src/util/digest.ts";

/** What guards disks, hosts, secrets and archives: files of src. How a filesystem is made is shown by the tests that make it. */
const parts: Readonly<Record<string, RegExp>> = {
  secrets: /^secrets\//,
  archive: /^archive\//,
  transport: /^transport\//,
  storage: /^(storage\/|disks\/(?!filesystem\/mkfs\.ts))/,
  steps: /^steps\//,
  // What signs and what refuses; what writes boot files is shown by machines that start.
  boot: /^boot\/(efi\/sign-efi\.ts|check\/)/,
  door: /^system\/door\//,
  deploy: /^operator\/(inspect\/preflight|deploy\/(?!host-keys|prove|who-answers)[\w-]+)\.ts$/,
};
const atLeast = 85;
/** Files of one run of Stryker: what is lost when it is stopped. */
const together = 6;
const runMs = 2 * 3_600_000;
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
const Report = z.object({
  files: z.record(
    z.string(),
    z.object({
      source: z.string(),
      mutants: z.array(
        z.object({
          status: z.string(),
          mutatorName: z.string(),
          replacement: z.string().default(""),
          location: z.object({ start: z.object({ line: z.int() }) }),
        }),
      ),
    }),
  ),
});
interface Score {
  readonly noticed: number;
  readonly counted: number;
}

const accepted = readdirSync(acceptedIn).flatMap((name) =>
  Accepted.parse(parse(readFileSync(join(acceptedIn, name), "utf8"))),
);
const stale = accepted.filter(
  ({ file, line }) =>
    !readFileSync(file, "utf8")
      .split("\n")
      .some((one) => one.trim() === line),
);
if (stale.length > 0) {
  for (const { file, line } of stale)
    console.error(`${acceptedIn} names a line that ${file} has no more: ${line}`);
  process.exit(2);
}
const names = process.argv.slice(2);
const unknown = names.filter((name) => parts[name] === undefined);
if (unknown.length > 0) {
  console.error(`no part ${unknown.join(", ")}; there are ${Object.keys(parts).join(", ")}`);
  process.exit(2);
}
await mkdir(directory, { recursive: true });
const scores: Score[] = [];
for (const part of names.length > 0 ? names : Object.keys(parts)) {
  const score = await scorePart(part);
  console.log(`${part}: ${tell(score)}`);
  scores.push(score);
}
const all = sum(scores);
console.log(`all: ${tell(all)}`);
if (share(all) < atLeast) {
  console.error(`fewer than ${atLeast} % of the changes are noticed`);
  process.exitCode = 1;
}

async function scorePart(part: string): Promise<Score> {
  const found = readdirSync("src", { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts") && parts[part]!.test(name))
    .sort()
    .map((name) => join("src", name));
  const scores: Score[] = [];
  for (let at = 0; at < found.length; at += together)
    scores.push(judge(await mutate(found.slice(at, at + together))));
  return sum(scores);
}

async function mutate(files: readonly string[]): Promise<z.output<typeof Report>> {
  const at = join(directory, digestOf(files).slice(0, 16));
  await writeFile(`${at}.config.json`, JSON.stringify(configOf(files, at), null, 2));
  await run(["npx", "stryker", "run", `${at}.config.json`], {
    timeoutMs: runMs,
    env: { ...(process.env as Record<string, string>), NO_COLOR: "1" },
    onLine: (line) => console.log(line),
  });
  return Report.parse(JSON.parse(await readFile(`${at}.json`, "utf8")));
}

function configOf(files: readonly string[], at: string): object {
  return {
    mutate: files,
    testRunner: "vitest",
    plugins: ["@stryker-mutator/vitest-runner", "./scripts/mutants/ignore-prose.js"],
    ignorers: ["prose"],
    vitest: { configFile: "scripts/mutants/vitest.config.ts" },
    coverageAnalysis: "perTest",
    // What is worked out once, when a module is loaded, would need every test anew for each change.
    ignoreStatic: true,
    concurrency: 2,
    timeoutMS: 5_000,
    timeoutFactor: 3,
    disableTypeChecks: "src/**/*.ts",
    // Stryker would rewrite it by a programming interface that TypeScript no longer has.
    tsconfigFile: `${directory}/none.json`,
    tempDirName: `${at}-work`,
    ignorePatterns: ["out"],
    incremental: true,
    incrementalFile: `${at}.incremental.json`,
    reporters: ["json", "progress-append-only"],
    jsonReporter: { fileName: `${at}.json` },
  };
}

function judge({ files }: z.output<typeof Report>): Score {
  let [noticed, counted] = [0, 0];
  for (const [file, { source, mutants }] of Object.entries(files)) {
    const lines = source.split("\n");
    for (const { status, mutatorName, replacement: becomes, location } of mutants) {
      if (["Ignored", "CompileError", "RuntimeError"].includes(status)) continue;
      const caught = status === "Killed" || status === "Timeout";
      const line = lines[location.start.line - 1]!.trim();
      if (!caught && isAccepted({ file, line, becomes })) continue;
      counted += 1;
      if (caught) noticed += 1;
      else console.log(`not noticed: ${file}:${location.start.line} ${mutatorName}: ${line} → ${becomes}`);
    }
  }
  return { noticed, counted };
}

function isAccepted({ file, line, becomes }: { file: string; line: string; becomes: string }): boolean {
  return accepted.some(
    (one) => one.file === file && one.line === line && (one.becomes === undefined || one.becomes === becomes),
  );
}

function sum(scores: readonly Score[]): Score {
  const total = (key: keyof Score) => scores.reduce((so, score) => so + score[key], 0);
  return { noticed: total("noticed"), counted: total("counted") };
}

function share({ noticed, counted }: Score): number {
  return counted === 0 ? 100 : Math.floor((1000 * noticed) / counted) / 10;
}

function tell(score: Score): string {
  return `${score.noticed} of ${score.counted} changes noticed, ${share(score)} %`;
}

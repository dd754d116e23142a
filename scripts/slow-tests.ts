// The tests with real tools and those with machines, side by side where there are two cores. Both lanes draw from one list, so that neither
// is idle at the end: the first begins with machines, the others with tools.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { createInterface } from "node:readline";
import { stripVTControlCharacters } from "node:util";

interface Part {
  readonly tier: "tools" | "vm";
  readonly files: readonly string[];
}

/** Of tools; a start of vitest takes some seconds. */
const filesTogether = 3;
/** Both make the package in `out`. */
const oneAfterAnother = ["test/tools/completions.test.ts", "test/tools/package.test.ts"];
const machines = testsIn("test/machine");
const others = testsIn("test/tools").filter((path) => !oneAfterAnother.includes(path));
const todo: Part[] = [
  ...machines.map((path): Part => ({ tier: "vm", files: [path] })),
  ...[oneAfterAnother, ...chunksOf(others, filesTogether)].map((files): Part => ({ tier: "tools", files })),
];
const all = todo.length;
const began = Date.now();
const results = mkdtempSync(join(tmpdir(), "imgbuild-results-"));
const failed: Part[] = [];
let done = 0;
const lanes = Array.from({ length: Math.min(2, availableParallelism()) }, (_, lane) =>
  runLane(lane === 0 ? "vm" : "tools"),
);
await Promise.all(lanes);
for (const part of failed) showFailures(part);
rmSync(results, { recursive: true });
process.exitCode = failed.length === 0 ? 0 : 1;

function testsIn(directory: string): string[] {
  const names = readdirSync(directory).filter((name) => name.endsWith(".test.ts"));
  return names.sort().map((name) => join(directory, name));
}

function chunksOf(paths: readonly string[], size: number): string[][] {
  return Array.from({ length: Math.ceil(paths.length / size) }, (_, index) =>
    paths.slice(index * size, (index + 1) * size),
  );
}

async function runLane(first: Part["tier"]): Promise<void> {
  for (;;) {
    const own = todo.findIndex(({ tier }) => tier === first);
    const [part] = todo.splice(Math.max(own, 0), 1);
    if (part === undefined) return;
    if (!(await runPart(part))) failed.push(part);
  }
}

/** Whether all of it passed. */
async function runPart(part: Part): Promise<boolean> {
  const { tier, files } = part;
  const reports = ["--reporter=json", `--outputFile.json=${resultsOf(part)}`];
  const child = spawn("npm", ["run", "--silent", tier, "--", ...reports, ...files], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "close");
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on("line", (line) => console.log(`${tier.padEnd(5)} | ${line}`));
  const [code] = (await ended) as [number | null];
  done += 1;
  const seconds = Math.round((Date.now() - began) / 1000);
  console.log(`${tier.padEnd(5)} | ended with ${code ?? "a signal"}; ${done} of ${all} parts, ${seconds} s`);
  return code === 0;
}

function resultsOf({ files }: Part): string {
  return join(results, `${files[0]!.replaceAll("/", "-")}.json`);
}

/** Each failure again in a few lines at the very end, where no other lines are between. */
function showFailures(part: Part): void {
  let read: { testResults: FileResult[] };
  try {
    read = JSON.parse(readFileSync(resultsOf(part), "utf8"));
  } catch {
    console.log(`failed: ${part.files.join(", ")}: ended before it could write its results`);
    return;
  }
  for (const file of read.testResults) {
    const failures = file.assertionResults.filter(({ status }) => status === "failed");
    const reasons = failures.map(({ fullName, failureMessages }) => ({
      fullName,
      text: failureMessages.join("\n"),
    }));
    if (file.status === "failed" && failures.length === 0) reasons.push({ fullName: "", text: file.message });
    for (const { fullName, text } of reasons) {
      const lines = stripVTControlCharacters(text).split("\n");
      const own = lines.filter((line) => !/^ +at .*node_modules/.test(line)).slice(0, 50);
      console.log([`failed: ${relative(".", file.name)}: ${fullName}`, ...own].join("\n  "));
    }
  }
}

interface FileResult {
  readonly name: string;
  readonly status: string;
  readonly message: string;
  readonly assertionResults: readonly {
    readonly status: string;
    readonly fullName: string;
    readonly failureMessages: readonly string[];
  }[];
}

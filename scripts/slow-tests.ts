// The tests with real tools and those with machines, side by side where there are two cores: each keeps one of them busy.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { createInterface } from "node:readline";
import { stripVTControlCharacters } from "node:util";

const tiers = ["tools", "vm"];
const began = Date.now();
const results = mkdtempSync(join(tmpdir(), "imgbuild-results-"));
const codes: number[] = [];
if (availableParallelism() >= tiers.length) codes.push(...(await Promise.all(tiers.map(runTier))));
else for (const tier of tiers) codes.push(await runTier(tier));
for (const [index, tier] of tiers.entries()) if (codes[index] !== 0) showFailures(tier);
rmSync(results, { recursive: true });
process.exitCode = codes.every((code) => code === 0) ? 0 : 1;

async function runTier(tier: string): Promise<number> {
  const reports = ["--reporter=json", `--outputFile.json=${resultsOf(tier)}`];
  const child = spawn("npm", ["run", "--silent", tier, "--", ...reports], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "close");
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on("line", (line) => console.log(`${tier.padEnd(5)} | ${line}`));
  const [code] = (await ended) as [number | null];
  console.log(
    `${tier.padEnd(5)} | ended with ${code ?? "a signal"} after ${Math.round((Date.now() - began) / 1000)} s`,
  );
  return code ?? 1;
}

function resultsOf(tier: string): string {
  return join(results, `${tier}.json`);
}

/** Each failure again in a few lines at the very end, where the other tier's lines are not between. */
function showFailures(tier: string): void {
  let read: { testResults: FileResult[] };
  try {
    read = JSON.parse(readFileSync(resultsOf(tier), "utf8"));
  } catch {
    console.log(`${tier}: ended before it could write its results`);
    return;
  }
  for (const file of read.testResults) {
    const failed = file.assertionResults.filter(({ status }) => status === "failed");
    const reasons = failed.map(({ fullName, failureMessages }) => ({
      fullName,
      text: failureMessages.join("\n"),
    }));
    if (file.status === "failed" && failed.length === 0) reasons.push({ fullName: "", text: file.message });
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

// The tests with real tools and those with machines, side by side where there are two cores: each keeps one of them busy.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { createInterface } from "node:readline";

const tiers = ["tools", "vm"];
const began = Date.now();
const codes: number[] = [];
if (availableParallelism() >= tiers.length) codes.push(...(await Promise.all(tiers.map(runTier))));
else for (const tier of tiers) codes.push(await runTier(tier));
process.exitCode = codes.every((code) => code === 0) ? 0 : 1;

async function runTier(tier: string): Promise<number> {
  const child = spawn("npm", ["run", "--silent", tier], { stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "close");
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on("line", (line) => console.log(`${tier.padEnd(5)} | ${line}`));
  const [code] = (await ended) as [number | null];
  console.log(
    `${tier.padEnd(5)} | ended with ${code ?? "a signal"} after ${Math.round((Date.now() - began) / 1000)} s`,
  );
  return code ?? 1;
}

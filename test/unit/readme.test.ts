import { expect, it } from "vitest";
import { loadDefinition } from "../../src/operator/definition/load.ts";
import { boundTo } from "../../src/operator/inspect/host-binding.ts";
import { planLines } from "../../src/operator/plan/plan-text.ts";
import { planFor } from "../../src/operator/plan/planned.ts";
import { matchDisks } from "../../src/storage/match/match-disks.ts";
import { inputsOfDeploy, lockOf, machineFacts } from "../helpers/builders/deployable.ts";
import { diskFacts, keptUuid, mib } from "../helpers/builders/storage.ts";
import { docBlocks, writeModule } from "../helpers/checks/docs.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const mirror = "http://mirror.example.org/debian";

/** The host of the README's plan, as its first lines describe it. */
const facts = machineFacts({
  hostname: "old-web",
  firmware: "bios",
  memoryMib: { total: 3915, available: 3400 },
  mirrors: [{ archive: "debian", url: mirror }],
  disks: [
    diskFacts("sda", {
      serial: "S3Z8NB0K",
      model: "Samsung SSD 870",
      sizeBytes: 238475 * mib,
      partitions: [
        { name: "sda1", startBytes: mib, sizeBytes: 237499 * mib, fsType: "ext4", mountPoints: ["/"] },
        { name: "sda5", startBytes: 237501 * mib, sizeBytes: 975 * mib, fsType: "swap", mountPoints: [] },
      ],
    }),
    diskFacts("sdb", {
      serial: "WD-71K2",
      model: "WDC WD20EFRX",
      sizeBytes: 1907729 * mib,
      partitions: [
        {
          ...{ name: "sdb1", startBytes: mib, sizeBytes: 1907727 * mib },
          ...{ fsType: "ext4", uuid: keptUuid, mountPoints: ["/srv"] },
        },
      ],
    }),
  ],
});

it("the README's plan is what is printed for the definition above it", async () => {
  const blocks = docBlocks().filter(({ place }) => place.startsWith("README.md"));
  const definition = blocks.find(({ text }) => /^export default/m.test(text))!;
  const shown = blocks.find(({ language, text }) => language === "text" && text.includes("WIPE"))!;
  const printed = await planOf(definition.text);
  const lines = shown.text.split("\n").filter((line) => line.trim() !== "" && line.trim() !== "…");
  expect(lines.length).toBeGreaterThan(20);
  let at = 0;
  for (const line of lines) {
    const found = printed.indexOf(comparable(line), at);
    expect(found, `${line}\nis not among\n${printed.slice(at).join("\n")}`).toBeGreaterThanOrEqual(0);
    at = found + 1;
  }
});

async function planOf(text: string): Promise<string[]> {
  const directory = tempDir();
  writeModule(directory, text);
  const { spec } = await loadDefinition(directory);
  const inputs = inputsOfDeploy({ spec, lock: lockOf(spec), secrets: new Map() });
  const matched = matchDisks(spec.storage!, facts.disks);
  const planned = planFor(inputs, facts, matched, { debian: [mirror], "debian-security": [] });
  // Preflight's word on how the base is started is among the first lines.
  const findings = [{ check: "takeover", verdict: "go" as const, detail: "kexec: allowed" }];
  const lines = planLines({ facts, findings, bound: boundTo(spec, facts, matched), ...planned });
  return lines.map(comparable);
}

/** Numbers of packages follow from the lock, and so does the digest. */
function comparable(line: string): string {
  return line
    .trimEnd()
    .replace(/\d+ (?=(essential )?packages)/, "N ")
    .replace(/[0-9a-f]{64}/, "DIGEST");
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { plainLog } from "../../src/cli/log.ts";
import { standIns } from "../../src/operator/test-image.ts";
import type { StepData } from "../../src/schema/plan.ts";
import { graphOf, isKept } from "../../src/storage/graph.ts";
import { cacheRoot } from "../../src/system/cache.ts";
import type { Secret } from "../../src/util/secret.ts";
import { hashOf, inBase, layouts, makeRack, markers, type Rack, specOf, stepsOn } from "../helpers/ladder.ts";

const options = {
  cache: cacheRoot(process.env),
  env: process.env,
  log: plainLog(process.stderr, Date.now),
  signal: new AbortController().signal,
};
const only = process.env.IMGBUILD_LAYOUTS?.split(",");
const vmMs = 3_600_000;

describe("storage: the ladder of every layout", () => {
  let rack: Rack;
  let directory: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "imgbuild-ladder-"));
    rack = await makeRack(directory, [3584, 2560, 1536, 1536]);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it(
    "creates, mounts twice, unmounts twice, opens again, and creates anew over what is open",
    async () => {
      const steps: StepData[] = [];
      const secrets = new Map<string, Secret>();
      for (const name of layouts.filter((one) => only?.includes(one) ?? true)) {
        const spec = await specOf(name);
        // What is kept has to be there first: those have cases of their own.
        if (graphOf(spec.storage!).nodes.some((node) => node.kind === "content" && isKept(node.content)))
          continue;
        for (const [key, secret] of standIns(spec)) secrets.set(key, secret);
        const once = stepsOn(spec, rack, `${name} first`);
        const again = stepsOn(spec, rack, `${name} second`);
        steps.push(
          // The layout before this one is still mounted.
          ...once.prepare(),
          ...once.create,
          ...once.mount,
          ...once.mount,
          ...once.fill,
          markers(spec.storage!, name),
          ...once.unmount,
          ...once.unmount,
          ...once.close,
          ...once.close,
          ...once.open,
          ...once.open,
          ...once.mount,
          ...again.prepare(),
          ...again.create,
          ...again.mount,
        );
      }
      const before = await hashOf(rack.bystander.file);
      const report = await inBase(rack, { steps }, secrets, options);
      expect(report.outcome).toBe("done");
      expect(await hashOf(rack.bystander.file)).toBe(before);
    },
    vmMs,
  );
});

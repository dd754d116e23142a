import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { baseTree } from "../../../src/operator/base/base.ts";
import { nativeContext } from "../../../src/operator/native/native-context.ts";
import { allSteps } from "../../../src/steps/registry.ts";
import { executeSteps } from "../../../src/steps/step/execute.ts";
import type { StepContext } from "../../../src/steps/step/step.ts";
import { stepData } from "../../../src/steps/step/step.ts";
import { cacheRoot } from "../../../src/system/files/cache.ts";
import { run } from "../../../src/system/run/run.ts";
import { silentLog } from "../../../src/util/log.ts";
import type { Secret } from "../../../src/util/secret.ts";

const cache = cacheRoot(process.env);
const signal = new AbortController().signal;

/** The base's tree, made once and then found in the cache. */
export async function theBase(): Promise<string> {
  return (await baseTree({ cache, env: process.env, log: silentLog, signal })).tree;
}

export interface Workshop {
  readonly work: string;
  readonly context: StepContext;
  /** Runs one step as a plan would: its data checked, then executed. */
  run(kind: string, input: object): Promise<void>;
}

/** A directory to build in, with the base's tools at hand; `root` is the tree, by default an empty one. */
export async function workshop(
  options: { root?: string; files?: string; secrets?: ReadonlyMap<string, Secret>; nonce?: string } = {},
): Promise<Workshop> {
  const work = mkdtempSync(join(tmpdir(), "imgbuild-tools-"));
  onTestFinished(() => rmSync(work, { recursive: true, force: true }));
  const root = options.root ?? join(work, "tree");
  mkdirSync(root, { recursive: true });
  const native = nativeContext({
    root,
    work,
    baseTree: await theBase(),
    cache,
    mirrors: {},
    files: options.files,
    secrets: options.secrets ?? new Map(),
    log: silentLog,
    signal,
  });
  const context = { ...native, nonce: options.nonce };
  return {
    work,
    context,
    run: (kind, input) =>
      executeSteps([stepData(allSteps.get(kind)!, `running ${kind}`, input)], allSteps, context),
  };
}

/** The base's tree to write upon: an overlay, so that the cached one stays as it is. */
export async function writableBase(): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), "imgbuild-overlay-"));
  for (const name of ["upper", "work", "tree"]) mkdirSync(join(dir, name));
  const tree = join(dir, "tree");
  const layers = `lowerdir=${await theBase()},upperdir=${join(dir, "upper")},workdir=${join(dir, "work")}`;
  await run(["mount", "-t", "overlay", "overlay", "-o", layers, tree]);
  onTestFinished(async () => {
    await run(["umount", tree]);
    rmSync(dir, { recursive: true, force: true });
  });
  return tree;
}

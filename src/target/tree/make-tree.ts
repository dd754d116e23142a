import { rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { writeTreeArchive } from "../../archive/tree-archive.ts";
import { settleTimes } from "../../disks/filesystem/tree-usage.ts";
import type { FromTreeJob, TreeJob } from "../../schema/base/tree-job.ts";
import { Plan } from "../../schema/plan.ts";
import { settlePackages } from "../../steps/packages/settle-packages.ts";
import { allSteps } from "../../steps/registry.ts";
import { executeSteps } from "../../steps/step/execute.ts";
import type { StepContext } from "../../steps/step/step.ts";
import { packArgv } from "../../steps/tree/unpack-tree.ts";
import { fileDigest } from "../../system/files/file-digest.ts";
import { plainEnv } from "../../system/run/run.ts";
import { Fail } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { baseContext, type Fetched } from "../context.ts";
import type { OpenedPayload } from "../open-payload.ts";
import { availablePackages, sourcesOf } from "../work.ts";

/** A few GiB, by a processor that is left over. */
const packMs = 4 * 3_600_000;
/** As a build on the operator's machine packs it; more processors are the old system's. */
const zstd = "zstd --quiet -9 --threads=2";

/**
 * Makes the tree of a payload and packs it, beside the old system: without a secret, a host key or a machine-id, which the base adds. What
 * the payload's plan has to prepare are the packages.
 */
export async function makeTree(
  { order, files }: OpenedPayload,
  about: Pick<TreeJob, "epoch" | "mountPoints"> & {
    /** Where the payload's files are unpacked. */
    readonly directory: string;
    /** Where the archive is put, as `tree`. */
    readonly out: string;
    readonly log: Log;
    readonly signal: AbortSignal;
  },
): Promise<Extract<FromTreeJob, { type: "made" }>> {
  const { epoch, mountPoints, directory, out, log, signal } = about;
  const plan = Plan.parse(JSON.parse(Buffer.from(files.get("plan.json") ?? []).toString("utf8")));
  const none = new Map();
  const sources = await sourcesOf({ order, files, directory }, none);
  const { mirrors, keepers } = sources;
  const steps = [...plan.prepare, ...plan.steps];
  await availablePackages({ ...plan, steps }, { mirrors, keepers, signal, log });
  const fetched: Fetched = { packages: 0, bytes: 0 };
  const context = baseContext({ ...sources, secrets: none, log, signal, fetched, nonce: undefined });
  await executeSteps(plan.prepare, allSteps, context);
  await settlePackages(context, { epoch, mountPoints });
  await executeSteps(plan.steps, allSteps, context);
  settleTimes(context.root, epoch, context.began);
  const packed = await log.task("packing the tree", () => pack(context, epoch, { directory, out }));
  return { type: "made", ...packed, fetched };
}

/** One stream, as neither RAM nor a foreign disk has room for the archive beside its compressed form. */
async function pack(
  { tool, root, signal }: StepContext,
  epoch: number,
  { directory, out }: { readonly directory: string; readonly out: string },
): Promise<Pick<Extract<FromTreeJob, { type: "made" }>, "tree" | "archiveBytes">> {
  const file = join(directory, "tree.tar.zst");
  const [tar, ...words] = packArgv(root, file, epoch);
  const { stderr } = await tool([tar!, `--use-compress-program=${zstd}`, "--totals", ...words], {
    ...{ timeoutMs: packMs, signal, env: { ...plainEnv, TZ: "UTC" } },
  });
  const contentBytes = Number(/^Total bytes written: (\d+)/m.exec(stderr)?.[1]);
  if (!(contentBytes > 0)) throw new Fail(`tar does not say how much it has packed: ${stderr.trim()}`);
  const { size } = await stat(file);
  // It has its name when it is whole.
  const part = join(out, "tree.part");
  await writeTreeArchive(file, size, part);
  const tree = { size, sha256: await fileDigest(file), contentBytes };
  await rm(file);
  await rename(part, join(out, "tree"));
  return { tree, archiveBytes: (await stat(join(out, "tree"))).size };
}

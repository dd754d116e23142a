import { createReadStream, createWriteStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type CpioEntry, cpioBytes } from "../../archive/cpio.ts";
import { type DeployData, deployWord, type Machine, type Order } from "../../schema/base/deploy.ts";
import { canonicalJson, sha256 } from "../../util/digest.ts";
import { signedPayload } from "../runner-link/payload.ts";
import type { BaseFiles } from "../takeover/takeover.ts";
import type { VmJob } from "./vm-job.ts";

/** Where the runner is reached, beside its socket. */
export const runnerPort = "org.imgbuild.runner";
/** It is ours, for a while, and has no hardware to be known by. */
const machine: Machine = { macs: [] };
/** Nobody arms it here: the machine ends with the process that started it. */
const deadManSeconds = 7_200;

/** What distinguishes a start of the base from any other. */
interface VmStart {
  readonly nonce: string;
  readonly planDigest: string;
}

/** Base and work as one initramfs, and the word of the command line by which the base knows them for ours. */
export async function composeInitrd(
  job: Pick<VmJob, "plan" | "lock" | "disks" | "secrets" | "directory" | "more">,
  start: VmStart,
  base: Pick<BaseFiles, "outer" | "squashfs">,
): Promise<{ file: string; word: string }> {
  const { files, word } = await workFiles(job, start);
  const own = await cpioBytes([...(job.more ?? []), ...files]);
  const to = join(job.directory, "initrd");
  async function* parts(): AsyncGenerator<Uint8Array> {
    for (const { path } of [base.outer, base.squashfs]) yield* createReadStream(path);
    yield own;
  }
  await pipeline(Readable.from(parts()), createWriteStream(to, { mode: 0o600 }));
  return { file: to, word };
}

/** What the runner finds in the base: the order, signed. It is a file of this computer for a while, and holds no secret. */
export async function workFiles(
  job: Pick<VmJob, "plan" | "lock" | "disks" | "secrets">,
  { nonce, planDigest }: VmStart,
): Promise<{ files: CpioEntry[]; word: string }> {
  const order: Order = {
    version: 1,
    definition: job.plan.definition,
    planDigest,
    disks: job.disks.map(({ identity }) => identity),
    mirrors: {},
    secrets: [...job.secrets.keys()],
  };
  const { payload, publicKey } = await signedPayload(
    { plan: job.plan, order, lock: job.lock, files: new Map(), debs: new Map() },
    { nonce, machine, now: undefined },
  );
  const deploy: DeployData = {
    ...{ version: 1, nonce, publicKey, oldBootId: "", hostname: job.plan.hostname },
    network: { links: [], dns: [] },
    deadManSeconds,
    port: runnerPort,
  };
  const file = (name: string, content: Uint8Array) =>
    ({ type: "file", name: `imgbuild/${name}`, mode: 0o600, content }) as const;
  const data = Buffer.from(canonicalJson(deploy));
  return {
    files: [file("deploy.json", data), file("payload.tar.gz", payload)],
    word: `${deployWord}=${sha256(data)}`,
  };
}

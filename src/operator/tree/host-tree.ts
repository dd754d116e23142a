import { FromTreeJob, type TreeJob } from "../../schema/base/tree-job.ts";
import type { Host } from "../../transport/host.ts";
import { scriptArgv } from "../../transport/script.ts";
import { canonicalJson, parsedJson, sha256 } from "../../util/digest.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { squashfsStart } from "../base/pack.ts";
import { replayJournal } from "../runner-link/journal-log.ts";
import { type BaseFiles, upload, workDir } from "../takeover/takeover.ts";
import { makeTreeScript, treeSeconds } from "../takeover/tree-script.ts";
import type { HostRoom } from "./host-room.ts";

/** Its own bound, and time to clear up. */
const boundMs = (treeSeconds + 120) * 1000;

type Made = Extract<FromTreeJob, { type: "made" }>;

/**
 * Has the running old system make the tree, by the programs of the base that is on it already, and leave it where the initramfs is laid
 * together. However it ends, nothing else of it stays.
 */
export async function makeTreeOnHost(
  host: Host,
  job: Omit<TreeJob, "version"> & { readonly payload: Uint8Array },
  at: {
    readonly base: BaseFiles;
    /** Where the base is, and where the tree is to be. */
    readonly directory: string;
    readonly stage: string;
    readonly room: HostRoom;
    readonly log: Log;
    readonly signal: AbortSignal;
  },
): Promise<Made> {
  const { base, directory, stage, room, log, signal } = at;
  const { payload, ...rest } = job;
  await upload(host, base.busybox, `${workDir}/busybox`, signal, { mode: 0o700 });
  const words = Buffer.from(canonicalJson({ version: 1, ...rest } satisfies TreeJob));
  for (const [name, bytes] of [
    ["job.json", words],
    ["job.tar.gz", payload],
  ] as const)
    await host.upload(bytes, `${workDir}/${name}`, {
      ...{ mode: 0o600, size: bytes.length, sha256: sha256(bytes), root: true, signal },
    });
  const journal = replayJournal(log);
  let end: Exclude<FromTreeJob, { type: "journal" }> | undefined;
  const onLine = (line: string) => {
    const { data } = FromTreeJob.safeParse(parsedJson(line));
    if (data?.type === "journal") journal.entry(data.entry);
    else end = data ?? end;
  };
  const start = await squashfsStart();
  const args = [
    ...[workDir, directory, stage, room.on, String(room.mib), String(treeSeconds), String(start)],
  ];
  try {
    const how = { root: true, timeoutMs: boundMs, signal, onLine };
    await host.exec(scriptArgv(makeTreeScript, args), how);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof Fail) || host.closed) throw error;
    throw failure(end?.type === "failed" ? end : { message: messageOf(error) }, error, room);
  } finally {
    journal.end();
  }
  if (end?.type !== "made") throw failure(end ?? { message: "it said nothing" }, undefined, room);
  return end;
}

function failure(
  { message, hint }: { readonly message: string; readonly hint?: string | undefined },
  cause: unknown,
  { mib, on }: HostRoom,
): Fail {
  const other = "deploy with --build-on local or --build-on target";
  // What helps against that on this machine is of no use there.
  const isFull = /no space (is )?left|ENOSPC/i.test(message);
  const first = isFull ? `${mib} MiB of ${on} were too few` : hint;
  return new Fail(`the tree could not be made on the old system: ${message.replaceAll(/\n{2,}/g, "\n")}`, {
    ...(cause === undefined ? {} : { cause }),
    hint: `${first === undefined ? "" : `${first}; `}${other}; nothing was changed`,
  });
}

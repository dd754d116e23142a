import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type FromTreeJob, TreeJob } from "../../schema/base/tree-job.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import { Journal, journalLog } from "../journal.ts";
import { hardware, uptime } from "../machine.ts";
import { openPayload } from "../open-payload.ts";
import { makeTree } from "./make-tree.ts";

/** A line comes whole where others write to the same pipe: Linux' PIPE_BUF is 4,096, and JSON takes more for odd letters. */
const mostOfMessage = 1_000;

/** Does the job in a directory, and says on stdout, a line each, how it goes and what came of it. False: it failed. */
export async function runTreeJob(directory: string): Promise<boolean> {
  const say = (line: FromTreeJob) => void process.stdout.write(`${JSON.stringify(line)}\n`);
  const journal = new Journal(join(directory, "journal.jsonl"), uptime);
  journal.listen((entry) => say({ type: "journal", entry }));
  try {
    const job = TreeJob.parse(JSON.parse(await readFile(join(directory, "job.json"), "utf8")));
    const payload = await openPayload(await readFile(join(directory, "job.tar.gz")), job, {
      machine: hardware(),
      now: new Date(),
    });
    const { epoch, mountPoints } = job;
    say(
      await makeTree(payload, {
        ...{ epoch, mountPoints, directory, out: join(directory, "out") },
        // Whoever wants it to end kills the namespace of its processes.
        ...{ log: journalLog(journal), signal: new AbortController().signal },
      }),
    );
    return true;
  } catch (error) {
    const hint = error instanceof Fail ? error.hint : undefined;
    const message = messageOf(error).slice(0, mostOfMessage);
    say({ type: "failed", message, ...(hint === undefined ? {} : { hint }) });
    if (!(error instanceof Fail)) console.error(error);
    return false;
  }
}

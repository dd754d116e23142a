import { buildImage } from "../../../src/operator/build/image.ts";
import { definitionDigest } from "../../../src/operator/definition/digest.ts";
import { readFiles } from "../../../src/operator/definition/files.ts";
import { makeLockFor, mirrorsFor } from "../../../src/operator/lock/lock.ts";
import { Spec } from "../../../src/schema/spec.ts";
import { silentLog } from "../../../src/util/log.ts";
import { root } from "../builders/storage.ts";

/** A program: builds a small disk with that cache to that output, in the middle of which it waits for /srv/go in the tree. */
const [cache = "", output = ""] = process.argv.slice(2);
const spec = Spec.parse({
  hostname: "waiting",
  packages: { install: ["apt"] },
  storage: {
    disks: {
      system: { match: { serial: "S" }, imageSize: "1GiB", table: { type: "gpt", partitions: [root] } },
    },
  },
  provision: [{ name: "wait", script: "#!/bin/sh\nuntil [ -e /srv/go ]; do sleep 0.2; done\n" }],
});
const log = { ...silentLog, task: tell };

async function tell<T>(doing: string, work: (inner: typeof log) => Promise<T>): Promise<T> {
  console.log(doing);
  return await work(log);
}

async function main(): Promise<void> {
  const options = { cache, env: process.env, log, signal: new AbortController().signal };
  const lock = await makeLockFor(spec, options);
  const files = readFiles(undefined);
  await buildImage(
    {
      ...{ spec, lock, files, filesDir: undefined, secrets: undefined },
      definition: definitionDigest(spec, lock, files),
      mirrors: await mirrorsFor(spec, process.env),
    },
    output,
    "raw",
    options,
  );
}

void main();

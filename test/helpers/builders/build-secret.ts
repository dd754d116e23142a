import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { buildImage } from "../../../src/operator/build/image.ts";
import { definitionDigest } from "../../../src/operator/definition/digest.ts";
import { readFiles } from "../../../src/operator/definition/files.ts";
import { makeLockFor, mirrorsFor } from "../../../src/operator/lock/lock.ts";
import { Spec } from "../../../src/schema/spec.ts";
import { type Log, silentLog } from "../../../src/util/log.ts";
import { Secret } from "../../../src/util/secret.ts";
import { root } from "./storage.ts";

/** What must be nowhere but in the output. */
export const secretText = "plain-secret-7c1e5b90";

/** A small system. */
export const secretSpec = {
  hostname: "secretive",
  packages: { install: ["apt"] },
  storage: {
    disks: {
      system: { match: { serial: "S" }, imageSize: "1GiB", table: { type: "gpt", partitions: [root] } },
    },
  },
};

/** The same with one secret in a file. */
export async function secretDefinition(options: Parameters<typeof makeLockFor>[1]) {
  const spec = Spec.parse({
    ...secretSpec,
    secrets: { token: { file: "token.age", path: "/etc/token" } },
  });
  return { spec, lock: await makeLockFor(spec, options) };
}

/** How long a step that the build stops in may run: it is at work then, or has just ended. */
const withinMs = 30;

/**
 * A program: builds that system's disk with that cache to that output, says what it does, and stops (SIGSTOP) in the step with
 * `stopIn` in its name.
 */
async function main(cache: string, output: string, stopIn = ""): Promise<void> {
  const tell = async <T>(doing: string, work: (inner: Log) => Promise<T>): Promise<T> => {
    console.log(doing);
    const working = work(log);
    if (stopIn !== "" && doing.includes(stopIn)) {
      await Promise.race([working, sleep(withinMs)]);
      process.kill(process.pid, "SIGSTOP");
    }
    return await working;
  };
  const log: Log = { ...silentLog, task: tell };
  const options = { cache, env: process.env, log, signal: new AbortController().signal };
  const { spec, lock } = await secretDefinition(options);
  const files = readFiles(undefined);
  await buildImage(
    {
      ...{ spec, lock, files, filesDir: undefined },
      secrets: new Map([["token", new Secret("token", Buffer.from(secretText))]]),
      definition: definitionDigest(spec, lock, files),
      mirrors: await mirrorsFor(spec, process.env),
    },
    output,
    "raw",
    options,
  );
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href)
  void main(process.argv[2]!, process.argv[3]!, process.argv[4]);

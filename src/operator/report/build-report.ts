import { stat } from "node:fs/promises";
import type { Lock } from "../../schema/lock.ts";
import type { BuildReport } from "../../schema/report.ts";
import type { Spec } from "../../schema/spec.ts";
import { disksMade } from "../../storage/match/disk-fates.ts";
import { fileDigest } from "../../system/files/file-digest.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { buildPage } from "./build-page.ts";
import { timedLog } from "./timed-log.ts";
import { reportLine, writeReport } from "./write-report.ts";

/** What is known of a build before it begins. */
interface Begun extends Pick<BuildReport, "definition" | "format" | "minimized"> {
  readonly spec: Pick<Spec, "hostname" | "storage">;
  readonly lock: Pick<Lock, "packages">;
  /** Whether it makes disks; otherwise the tree alone. */
  readonly isDisk: boolean;
}

/** Builds, and writes to `file` what came of it, also where it failed: then the failure is what is thrown. */
export async function withBuildReport<Image extends { readonly files: readonly string[] }>(
  file: string,
  begun: Begun,
  log: Log,
  build: (log: Log) => Promise<Image>,
): Promise<Image> {
  const began = Date.now();
  const { log: timed, steps } = timedLog(log, Date.now);
  const write = async (end: Pick<BuildReport, "outcome" | "message" | "hint" | "files">) => {
    const seconds = { total: (Date.now() - began) / 1000, steps };
    const report: BuildReport = {
      ...aboutOf(begun),
      started: new Date(began).toISOString(),
      seconds,
      ...end,
    };
    await writeReport(file, report, buildPage(report));
    log.info(reportLine(file));
  };
  let image: Image;
  try {
    image = await build(timed);
  } catch (error) {
    const hint = error instanceof Fail ? error.hint : undefined;
    const message = messageOf(error);
    await write({ outcome: "failed", message, ...(hint === undefined ? {} : { hint }), files: [] }).catch(
      (why: unknown) => log.warn(`the report could not be written: ${messageOf(why)}`),
    );
    throw error;
  }
  const files = await log.task("computing SHA-256 of what was made", () =>
    Promise.all(image.files.map(fileOf)),
  );
  await write({ outcome: "done", files });
  return image;
}

function aboutOf({ spec, lock, definition, format, minimized, isDisk }: Begun) {
  const security = lock.packages.filter(({ archive }) => archive === "debian-security");
  return {
    version: 1 as const,
    hostname: spec.hostname,
    ...{ definition, format, minimized },
    disks:
      !isDisk || spec.storage === undefined
        ? []
        : disksMade(spec.storage).map((disk) => ({ ...disk, partitions: [...disk.partitions] })),
    packages: {
      count: lock.packages.length,
      security: security.map(({ name, version }) => ({ name, version })),
    },
  };
}

async function fileOf(path: string): Promise<BuildReport["files"][number]> {
  const found = await stat(path);
  return found.isFile() ? { path, sizeBytes: found.size, sha256: await fileDigest(path) } : { path };
}

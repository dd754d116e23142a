import { resolve } from "node:path";
import { withStore } from "../../debian/archive/keepers.ts";
import type { Report } from "../../schema/report.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import { deploy } from "../deploy/deploy.ts";
import {
  type DeployOptions,
  deployInputs,
  deployWorld,
  type LoginOptions,
  type Outside,
} from "../deploy/inputs.ts";
import type { DeployWorld } from "../deploy/world.ts";
import { noteTried } from "../records/rehearsal-record.ts";
import { reportPage } from "../report/report-page.ts";
import { placeForReport, reportLine, writeReport } from "../report/write-report.ts";
import { identityKeeper } from "../secrets/keep-identity.ts";
import { fillStores } from "../store/fill-store.ts";
import { earlierBase } from "./earlier-base.ts";

const usualReport = "out/report.json";

/** As the command line says it. */
export interface DeployRequest extends DeployOptions, LoginOptions {
  readonly report?: string;
  /** Directory in which host keys and machine-id of the new system are kept, encrypted for the recipients that it names. */
  readonly escrow?: string;
}

interface Outcome {
  readonly report: Report;
  /** Where it was written. */
  readonly file: string;
  /** What is shown in its place, where it is known better why the deploy came to nothing. */
  readonly instead: Fail | undefined;
}

/** Deploys a definition to a host, and writes the report to its file, and beside it the page of it. */
export async function deployDefinition(
  path: string,
  host: string,
  options: DeployRequest,
  given: Outside,
  confirm: DeployWorld["confirm"],
): Promise<Outcome> {
  const outside = { ...given, env: withStore(given.env, options.store) };
  const file = resolve(options.report ?? usualReport);
  // A place that cannot be written is reported now, not after the server was replaced.
  await placeForReport(file, options.report !== undefined);
  const inputs = await deployInputs(path, host, options, outside);
  const directory = options.escrow ?? options.record?.escrow;
  const keep = directory === undefined ? undefined : await identityKeeper(resolve(directory));
  const world = { ...deployWorld(host, options, outside, confirm), keep };
  const report = await deploy(inputs, world);
  if (report.outcome === "done") await noteTried(outside.env, inputs.definition);
  if (report.outcome === "done") await fillStores({ ...inputs, stores: inputs.keepers.stores }, outside);
  await writeReport(file, report, reportPage(report)).catch((error: unknown) =>
    outside.log.warn(`the report could not be written: ${messageOf(error)}`),
  );
  // Not even looked at: it may be in the middle of another deploy.
  const isUnseen = report.outcome === "failed" && report.os.old === "";
  if (!isUnseen || !(await earlierBase(outside.env, host, world)))
    return { report, file, instead: undefined };
  const instead = new Fail(
    `${host} runs the base of an earlier deploy, which waits there\n${reportLine(file)}`,
    {
      hint: `\`imgbuild follow ${host}\` shows why; \`imgbuild resume ${host} --with ${path}\` brings it this definition`,
    },
  );
  return { report, file, instead };
}

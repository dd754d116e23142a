import { randomBytes } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { requireStorage } from "../operator/deploy/inputs.ts";
import { needsOf } from "../operator/inspect/needs.ts";
import { type OpenDefinition, openDefinition } from "../operator/lock/open-definition.ts";
import type { TpmOf } from "../operator/rescue/host-tpm.ts";
import { askedOnce, makeRescue } from "../operator/rescue/rescue.ts";
import type { RescueOptions } from "../operator/rescue/rescue-options.ts";
import { identityFiles, revealSecrets } from "../operator/secrets/secrets.ts";
import { networkdFiles } from "../operator/test/test-image.ts";
import type { RecoveryReport } from "../schema/report.ts";
import { fileDigest } from "../system/files/file-digest.ts";
import { Fail, messageOf } from "../util/fail.ts";
import { Secret } from "../util/secret.ts";
import type { MachineDisk } from "../vm/machine/machine.ts";
import { cardsOf } from "./cards.ts";
import { casesOf } from "./cases.ts";
import { defaultChecks } from "./checks.ts";
import { asDefined, openTestLab, type TestLabOptions, uefiFor } from "./lab.ts";
import { readNetworkd } from "./networkd.ts";
import { hostKeysSaid, loadedChecks, recover, restoredIn } from "./recover.ts";
import { runCases } from "./verdict.ts";

export interface DrillOptions extends Pick<RescueOptions, "identity" | "offline" | "unlock"> {
  readonly firmware: "bios" | "uefi" | "declared";
  readonly memory?: number;
  readonly keep?: boolean;
}

type Outside = TestLabOptions & {
  readonly passphraseOf: (of: string) => Promise<Secret>;
  readonly tpmOf: TpmOf;
};

/** What came of a drill; `error` is why it ended early. */
interface Drilled {
  readonly report: RecoveryReport;
  readonly error: unknown;
}

/**
 * Makes the medium, starts it in a VM whose disks are blank, and does at its console what somebody would do after a disaster: the
 * passphrase, the serials, Enter. The system that starts afterwards has to pass the checks of `imgbuild test`.
 */
export async function drill(path: string, options: DrillOptions, given: Outside): Promise<Drilled> {
  const outside = { ...given, ...(options.keep === undefined ? {} : { keep: options.keep }) };
  const definition = await openDefinition(path, { check: ({ spec }) => requireStorage(spec, path) });
  const { spec } = definition;
  const began = Date.now();
  const found: Found = { phases: [], checks: [], tests: [] };
  const firmware = options.firmware === "declared" ? (spec.boot?.firmware[0] ?? "bios") : options.firmware;
  let error: unknown;
  try {
    await tryRecovery(path, definition, { ...options, firmware }, outside, found);
  } catch (thrown) {
    error = thrown;
  }
  const { phases, ...seen } = found;
  const all = [...found.checks, ...found.tests];
  const failed = all.filter(({ ok }) => !ok).map(({ check }) => check);
  const message =
    error === undefined
      ? `${failed.length} of ${all.length} checks failed: ${failed.join(", ")}`
      : messageOf(error);
  const isUp = phases.some(({ phase }) => phase === "system");
  const report: RecoveryReport = {
    version: 1,
    ...(error === undefined && failed.length === 0 ? { outcome: "done" } : { outcome: "failed", message }),
    ...(error instanceof Fail && error.hint !== undefined ? { hint: error.hint } : {}),
    hostname: spec.hostname,
    definition: definition.digest,
    started: new Date(began).toISOString(),
    firmware,
    seconds: {
      total: (Date.now() - began) / 1000,
      recover: isUp ? phases.reduce((sum, { seconds }) => sum + seconds, 0) : null,
      phases,
    },
    ...seen,
  };
  return { report, error };
}

/** What a report has besides, as far as it came. */
type Found = Pick<RecoveryReport, "accelerator" | "medium" | "hostKeys" | "restored" | "checks" | "tests"> &
  Pick<RecoveryReport["seconds"], "phases">;

async function tryRecovery(
  path: string,
  definition: OpenDefinition,
  options: DrillOptions & { readonly firmware: "bios" | "uefi" },
  outside: Outside,
  found: Found,
): Promise<void> {
  const { log, signal } = outside;
  const { spec } = definition;
  const disks = blankDisks(definition);
  const tests = await casesOf(definition.file);
  const passphraseOf = askedOnce(outside.passphraseOf);
  const keys = { identityFiles: identityFiles(options, outside.env), passphrase: passphraseOf };
  const real = {
    names: Object.keys(spec.secrets),
    open: async () => await revealSecrets(definition, keys),
  };
  // Machines of its own tests are beside it.
  const lab = await openTestLab({ ...outside, from: definition.dir }, real);
  try {
    found.accelerator = lab.accelerator.name;
    const iso = join(lab.directory, "rescue.iso");
    const { passphrase, label } = await makeMedium(path, iso, options, { ...outside, passphraseOf });
    const { size: sizeBytes } = await stat(iso);
    const sha256 = await fileDigest(iso);
    found.medium = { label, sizeBytes, sha256, offline: options.offline === true };
    const declared = readNetworkd(networkdFiles(spec, definition.files));
    const { nics = cardsOf(declared, spec.boot?.cmdline), moreDisks = [] } = tests.shape(lab);
    const machine = await lab.machine({
      ...{
        name: spec.hostname,
        firmware: options.firmware === "uefi" ? uefiFor(spec) : "bios",
        disks: [...disks, ...moreDisks, discOf(iso)],
      },
      ...{ memoryMib: options.memory ?? 1024, nics },
      tpm: needsOf(spec).machine.tpm2 !== undefined,
    });
    await recover(machine, { spec, disks, passphrase, phases: found.phases }, log);
    found.hostKeys = hostKeysSaid(machine.console.text);
    if (spec.data !== undefined) found.restored = await restoredIn(machine, spec.data);
    const hostKey = (await machine.succeed("cat /etc/ssh/ssh_host_ed25519_key.pub")).trim();
    const defined = asDefined(machine, { spec, hostKey, placed: [...definition.files.keys()] });
    found.checks = loadedChecks(found.restored);
    found.checks.push(
      ...(await log.task("checking", (inner) => defaultChecks(defined, machine, { log: inner, signal }))),
    );
    const failed = async () => {};
    found.tests = await runCases(tests.cases, { lab, machine: defined, spec }, { log, signal, failed });
  } finally {
    await lab.close();
  }
}

/** Gives the medium's label and its passphrase: made up, or that of an identity that has one already. */
async function makeMedium(
  path: string,
  iso: string,
  options: DrillOptions,
  outside: Outside,
): Promise<{ readonly passphrase: Secret; readonly label: string }> {
  let passphrase = new Secret("passphrase", Buffer.from(randomBytes(12).toString("hex")));
  const { volume: label = "" } = await makeRescue(
    [path],
    { ...options, output: iso, format: "iso" },
    {
      ...{ ...outside, hasPlace: true, newPassphrase: async () => passphrase },
      passphraseOf: async (of) => {
        passphrase = await outside.passphraseOf(of);
        return passphrase;
      },
    },
  );
  return { passphrase, label };
}

function blankDisks({ spec: { storage } }: OpenDefinition): (MachineDisk & { readonly serial: string })[] {
  return Object.entries(storage?.disks ?? {}).map(([name, disk]) => {
    const { serial, minSize } = disk.match;
    if (serial === undefined)
      throw new Fail(
        `disk ${name} is matched by something else than its serial, and a machine here has serials only`,
      );
    if ("keep" in disk)
      throw new Fail(`disk ${name} is kept, and a drill begins with blank disks`, {
        hint: "back up what it holds (`data` in the definition), and declare its table",
      });
    return { serial: serial.slice(0, 20), sizeBytes: Math.max(disk.imageSize, minSize ?? 0) };
  });
}

function discOf(iso: string): MachineDisk {
  return { file: { file: iso, format: "raw" }, serial: "MEDIUM", bus: "cdrom", readOnly: true };
}

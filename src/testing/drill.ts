import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { requireStorage } from "../operator/deploy/inputs.ts";
import { needsOf } from "../operator/inspect/needs.ts";
import { type OpenDefinition, openDefinition } from "../operator/lock/open-definition.ts";
import { makeRescue } from "../operator/rescue/rescue.ts";
import type { RescueOptions } from "../operator/rescue/rescue-options.ts";
import { networkdFiles } from "../operator/test/test-image.ts";
import { Fail } from "../util/fail.ts";
import type { Log } from "../util/log.ts";
import { Secret } from "../util/secret.ts";
import type { Machine, MachineDisk } from "../vm/machine/machine.ts";
import { cardsOf } from "./cards.ts";
import { casesOf } from "./cases.ts";
import { type CheckResult, defaultChecks } from "./checks.ts";
import { asDefined, openTestLab, type TestLabOptions, uefiFor } from "./lab.ts";
import { readNetworkd } from "./networkd.ts";
import { runCases } from "./verdict.ts";

/** On ordinary hardware; an emulated machine gets its scale of it. */
const waits = { base: 120, question: 60, build: 1_800, restore: 7_200, system: 180 } as const;

/** What a drill was like. */
interface Drill {
  readonly hostname: string;
  readonly firmware: "bios" | "uefi";
  readonly checks: readonly CheckResult[];
  /** Seconds to recover, by phase: until the base asks, until the system is on its disks, until it is up. */
  readonly phases: readonly { readonly phase: string; readonly seconds: number }[];
  readonly accelerator: string;
}

export interface DrillOptions extends Pick<RescueOptions, "identity" | "offline"> {
  readonly firmware: "bios" | "uefi" | "declared";
  readonly memory?: number;
  readonly keep?: boolean;
}

/**
 * Makes the medium, starts it in a VM whose disks are blank, and does at its console what somebody would do after a disaster: the
 * passphrase, the serials, Enter. The system that starts afterwards has to pass the checks of `imgbuild test`.
 */
export async function drill(
  path: string,
  options: DrillOptions,
  given: TestLabOptions & { readonly passphraseOf: (of: string) => Promise<Secret> },
): Promise<Drill> {
  const outside = { ...given, ...(options.keep === undefined ? {} : { keep: options.keep }) };
  const { log, signal } = outside;
  const definition = await openDefinition(path, { check: ({ spec }) => requireStorage(spec, path) });
  const { spec } = definition;
  const disks = blankDisks(definition);
  const firmware = options.firmware === "declared" ? (spec.boot?.firmware[0] ?? "bios") : options.firmware;
  const tests = await casesOf(definition.file);
  // Machines of its own tests are beside it.
  const lab = await openTestLab({ ...outside, from: definition.dir });
  try {
    const iso = join(lab.directory, "rescue.iso");
    const passphrase = await makeMedium(path, iso, options, outside);
    const declared = readNetworkd(networkdFiles(spec, definition.files));
    const { nics = cardsOf(declared, spec.boot?.cmdline), moreDisks = [] } = tests.shape(lab);
    const machine = await lab.machine({
      ...{
        name: spec.hostname,
        firmware: firmware === "uefi" ? uefiFor(spec) : "bios",
        disks: [...disks, ...moreDisks, discOf(iso)],
      },
      ...{ memoryMib: options.memory ?? 1024, nics },
      tpm: needsOf(spec).machine.tpm2 !== undefined,
    });
    const phases = await recover(machine, { definition, disks, passphrase }, log);
    const hostKey = (await machine.succeed("cat /etc/ssh/ssh_host_ed25519_key.pub")).trim();
    const defined = asDefined(machine, { spec, hostKey, placed: [...definition.files.keys()] });
    const checks = await log.task("checking", (inner) =>
      defaultChecks(defined, machine, { log: inner, signal }),
    );
    const failed = async () => {};
    checks.push(...(await runCases(tests.cases, { lab, machine: defined, spec }, { log, signal, failed })));
    return { hostname: spec.hostname, firmware, checks, phases, accelerator: lab.accelerator.name };
  } finally {
    await lab.close();
  }
}

/** Gives the passphrase of the medium: made up, or that of an identity that has one already. */
async function makeMedium(
  path: string,
  iso: string,
  options: DrillOptions,
  outside: Parameters<typeof drill>[2],
): Promise<Secret> {
  let passphrase = new Secret("passphrase", Buffer.from(randomBytes(12).toString("hex")));
  await makeRescue(
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
  return passphrase;
}

/** The machine's own disks come before the medium: they are started as soon as there is something to start. */
async function recover(
  machine: Machine,
  about: {
    readonly definition: OpenDefinition;
    readonly disks: readonly MachineDisk[];
    readonly passphrase: Secret;
  },
  log: Log,
): Promise<Drill["phases"]> {
  const { spec } = about.definition;
  const hasSecrets = Object.keys(spec.secrets).length > 0;
  let asked = 0;
  const answer = async (question: RegExp, text: string, withinSeconds: number) => {
    await machine.waitForConsole(question, { withinSeconds, after: asked });
    asked = machine.console.mark();
    machine.type(`${text}\n`);
  };
  const phases: { phase: string; seconds: number }[] = [];
  const phase = async (name: string, doing: string, work: () => Promise<unknown>) => {
    const began = Date.now();
    await log.task(doing, work);
    phases.push({ phase: name, seconds: Math.round((Date.now() - began) / 100) / 10 });
  };
  await phase("medium", "starting the medium", async () => {
    await machine.start();
    await machine.waitForConsole(/Type a number: /, { withinSeconds: waits.base });
  });
  await phase("rebuild", "rebuilding the machine", async () => {
    await answer(/ 1 {2}rebuild this machine[\s\S]*Type a number: /, "1", waits.question);
    if (hasSecrets)
      await answer(
        /Passphrase of the medium .*: /,
        Buffer.from(about.passphrase.expose()).toString(),
        waits.question,
      );
    for (const { serial = "" } of about.disks)
      await answer(
        new RegExp(
          `Type the serial of the disk to be wiped \\(.*, ${serial.replace(/[^A-Za-z0-9]/g, "\\$&")}\\): `,
        ),
        serial,
        waits.question,
      );
    const bound = spec.data === undefined ? waits.build : waits.restore;
    const end = await machine.waitForConsole(/FAILED: .*|press Enter; in \d+ s/, {
      withinSeconds: bound,
      after: asked,
    });
    if (end[0].startsWith("FAILED"))
      throw new Fail(`the machine was not rebuilt: ${end[0]}`, {
        hint: `its console: ${machine.directory}/console.log, with --keep`,
      });
    machine.type("\n");
  });
  await phase("system", "waiting for the new system", () => machine.boot({ withinSeconds: waits.system }));
  return phases;
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

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { openDefinition } from "../../../src/operator/lock/open-definition.ts";
import type { TpmOf } from "../../../src/operator/rescue/host-tpm.ts";
import { makeRescue } from "../../../src/operator/rescue/rescue.ts";
import type { RescueOptions } from "../../../src/operator/rescue/rescue-options.ts";
import { cacheRoot } from "../../../src/system/files/cache.ts";
import { defaultChecks } from "../../../src/testing/checks.ts";
import type { Machine, MachineOptions, TestLab } from "../../../src/testing/index.ts";
import { silentLog } from "../../../src/util/log.ts";
import { Secret } from "../../../src/util/secret.ts";

/** Of ordinary hardware; an emulated machine gets its scale of it. */
const waits = { base: 120, question: 60 } as const;

/** A machine with a rescue medium in its drive, and somebody at its serial console. */
export interface AtMedium {
  readonly machine: Machine;
  readonly passphrase: string;
  /** Until the console shows it, after what was seen or typed last. */
  see(what: RegExp, withinSeconds?: number): Promise<RegExpMatchArray>;
  /** Waits for a question, and types the answer. */
  answer(question: RegExp, text: string, withinSeconds?: number): Promise<void>;
  /** Waits for the menu, and types a number. Gives what was shown since what was seen or typed last. */
  choose(number: string, withinSeconds?: number): Promise<string>;
  /** Types the serial of a disk that is to be wiped. */
  name(serial: string): Promise<void>;
  /** Types passphrase and serial, once "rebuild" was chosen. */
  confirm(serial: string): Promise<void>;
}

/** Makes the medium of a definition with secrets, and a machine that has it in its drive, after its own disks; it is off. */
export async function withMedium(
  lab: TestLab,
  definition: string,
  how: Omit<MachineOptions, "name"> &
    Pick<RescueOptions, "offline" | "withoutIdentity" | "unlock"> & {
      readonly tpmOf?: TpmOf;
      /** It starts though there is something on the machine's own disks. */
      readonly mediumFirst?: boolean;
    },
): Promise<AtMedium> {
  const { offline = false, withoutIdentity = false, unlock = [], tpmOf = noTpm, ...rest } = how;
  const { mediumFirst = false, disks, ...more } = rest;
  const passphrase = randomBytes(8).toString("hex");
  const typed = async () => new Secret("passphrase", Buffer.from(passphrase));
  const iso = join(lab.directory, "medium.iso");
  await makeRescue(
    [definition],
    { output: iso, format: "iso", offline, withoutIdentity, unlock, identity: ["secrets/demo-identity.txt"] },
    {
      ...{ env: process.env, cache: cacheRoot(process.env), log: silentLog, hasPlace: true },
      ...{ signal: new AbortController().signal, newPassphrase: typed, passphraseOf: typed, tpmOf },
    },
  );
  const file = { file: iso, format: "raw" as const };
  const disc = { file, serial: "MEDIUM", bus: "cdrom" as const, readOnly: true };
  const machine = await lab.machine({
    ...{ name: "rescued", memoryMib: 1024, ...more },
    disks: mediumFirst ? [disc, ...disks] : [...disks, disc],
  });
  return { machine, passphrase, ...conversation(machine, passphrase) };
}

const noTpm: TpmOf = () => Promise.reject(new Error("a TPM was asked"));

function conversation(
  machine: Machine,
  passphrase: string,
): Pick<AtMedium, "see" | "answer" | "choose" | "name" | "confirm"> {
  let after = 0;
  const see: AtMedium["see"] = async (what, withinSeconds = waits.question) => {
    const seen = await machine.waitForConsole(what, { withinSeconds, after });
    // What came at once with it is still to be seen.
    after += seen.index! + seen[0].length;
    return seen;
  };
  const answer: AtMedium["answer"] = async (question, text, withinSeconds) => {
    await see(question, withinSeconds);
    machine.type(`${text}\n`);
  };
  const name: AtMedium["name"] = async (serial) =>
    await answer(new RegExp(`Type the serial of the disk to be wiped \\(.*, ${serial}\\): `), serial);
  return {
    ...{ see, answer, name },
    choose: async (number, withinSeconds = waits.base) => {
      const [shown] = await see(/[\s\S]*Type a number: /, withinSeconds);
      machine.type(`${number}\n`);
      return shown.replaceAll("\r", "");
    },
    confirm: async (serial) => {
      await answer(/Passphrase of the medium .*: /, passphrase);
      await name(serial);
    },
  };
}

/** The checks of `imgbuild test` on a system that was rebuilt: each that failed, and how many passed. */
export async function checksOf(
  machine: Machine,
  path: string,
): Promise<{ readonly failed: string[]; readonly passed: number }> {
  const { spec, files } = await openDefinition(path);
  const hostKey = (await machine.succeed("cat /etc/ssh/ssh_host_ed25519_key.pub")).trim();
  const results = await defaultChecks({ spec, hostKey, placed: [...files.keys()] }, machine, {
    ...{ log: silentLog, signal: new AbortController().signal },
  });
  const bad = results.filter(({ ok }) => !ok).map(({ check, detail }) => `${check}: ${detail}`);
  return { failed: bad, passed: results.length - bad.length };
}

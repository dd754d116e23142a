import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { Machine } from "../../schema/base/deploy.ts";
import { Report } from "../../schema/report.ts";
import type { Env } from "../../system/files/cache.ts";
import { readIfThere } from "../../system/files/read-if-there.ts";
import { writeWhole } from "../../system/files/write-whole.ts";
import { Expected } from "../../system/health/expected.ts";
import { parsedJson, sha256 } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";

/** Host keys of an initramfs or rescue system that are kept: of the last deploy, and of those before it. */
const mostPins = 3;

/** How a new system is known, and when it is well: all that another run of this operator needs for it, and nothing secret. */
export const NewSystem = Expected.extend({
  /** 64 hexadecimal digits, which its mark holds. */
  nonce: z.string(),
  /** Host keys to accept instead of those in known_hosts. */
  pins: z.array(z.string()).optional(),
  user: z.string().optional(),
  /** Where its root is opened over SSH: how the initramfs is reached and known, and which secret opens which volume. */
  unlock: z
    .strictObject({
      /** Left out: that by which the host is reached. */
      port: z.int().optional(),
      pins: z.array(z.string()),
      /** Name in /dev/mapper → name of the secret. */
      volumes: z.record(z.string(), z.string()),
    })
    .optional(),
  /** Host keys of the base that stays as its rescue system. */
  rescue: z.strictObject({ pins: z.array(z.string()) }).optional(),
  /** Factor on the times of the checks. */
  slow: z.number(),
  /** Bound of the wait for its first answer, in milliseconds. */
  bootMs: z.number(),
});
export type NewSystem = z.output<typeof NewSystem>;
export type KnownInitramfs = NonNullable<NewSystem["unlock"]>;

/** What another run of this operator needs to find the base of a deploy again: nothing secret. */
export const KnownDeploy = z.strictObject({
  host: z.string(),
  started: z.string(),
  nonce: z.string(),
  planDigest: z.string(),
  /** "ssh-ed25519 AAAA…", the host key of the base. */
  baseHostKey: z.string(),
  /** What the old system still has of the base when it comes back. */
  left: z.strictObject({ what: z.string(), remedy: z.string() }).optional(),
  /** What a build that is followed or resumed has to end in. */
  newSystem: NewSystem,
  /** What is known of the deploy at the takeover; whoever follows it completes it. */
  report: Report.optional(),
  /** The machine as the old system saw it: what a plan depends on besides its disks. */
  machine: z.strictObject({
    machineId: z.string(),
    hardware: Machine,
    bootId: z.string(),
    firmware: z.enum(["uefi", "bios"]),
    consoles: z.array(z.string()),
    /** By which the host is known besides: the base has others. */
    hostKeys: z.array(z.string()).optional(),
  }),
});
export type KnownDeploy = z.output<typeof KnownDeploy>;

/** Written before the takeover, so that `follow` works even if this process ends. */
export async function recordDeploy(env: Env, host: string, known: Omit<KnownDeploy, "host">): Promise<void> {
  const file = fileOf(env, host);
  const before = readDeploy(file)?.newSystem;
  const newSystem = withEarlierRescue(withEarlierInitramfs(known.newSystem, before?.unlock), before?.rescue);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeWhole(file, `${JSON.stringify({ host, ...known, newSystem }, null, 2)}\n`, 0o600);
}

export async function knownDeploy(env: Env, host: string): Promise<KnownDeploy> {
  const known = readDeploy(fileOf(env, host));
  if (known === undefined)
    throw new Fail(`no deploy of ${host} was started from here`, {
      hint: "name the host as the deploy did; where it was started from another computer, give --definition DEF, or --base-key SHA256:... as that deploy showed it",
    });
  return known;
}

function readDeploy(file: string): KnownDeploy | undefined {
  const parsed = KnownDeploy.safeParse(parsedJson(readIfThere(file) ?? ""));
  return parsed.success ? parsed.data : undefined;
}

/** A deploy that does not come to its first write leaves a system whose initramfs has the key of the deploy before. */
function withEarlierInitramfs(now: NewSystem, before: KnownInitramfs | undefined): NewSystem {
  if (before === undefined) return now;
  const { unlock = before } = now;
  const pins = [...new Set([...unlock.pins, ...before.pins])].slice(0, mostPins);
  return { ...now, unlock: { ...unlock, pins } };
}

/** The same of its rescue system. */
function withEarlierRescue(now: NewSystem, before: NewSystem["rescue"]): NewSystem {
  if (before === undefined) return now;
  const pins = [...new Set([...(now.rescue?.pins ?? []), ...before.pins])].slice(0, mostPins);
  return { ...now, rescue: { pins } };
}

function fileOf(env: Env, host: string): string {
  return join(stateDirectory(env), "deploys", `${sha256(host).slice(0, 16)}.json`);
}

/** What this operator has done; no other machine knows it. */
export function stateDirectory(env: Env): string {
  return join(env.XDG_STATE_HOME || join(env.HOME || homedir(), ".local/state"), "imgbuild");
}

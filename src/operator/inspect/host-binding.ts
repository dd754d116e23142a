import type { DiskFacts, Facts, HostBinding } from "../../schema/facts.ts";
import type { Spec } from "../../schema/spec.ts";
import { writtenDisks } from "../../storage/graph/check-storage.ts";
import { foundBy } from "../../storage/match/disk-match.ts";
import { isOwnMatch, isOwnSerial, isOwnWwn } from "../../storage/table/disk-names.ts";
import { fingerprint } from "../../transport/known-hosts.ts";
import { type Finding, noGo, warn } from "./finding.ts";

/** What a host can be known by when it is met again. */
interface HostIdentity {
  readonly dmiUuid?: string | undefined;
  readonly machineId: string;
  /** Fingerprints, as `ssh-keygen -l` prints them. */
  readonly sshHostKeys: readonly string[];
}

type About = Pick<Facts, "dmiUuid" | "machineId" | "hostKeys">;

/** Whether the definition can only mean this host. */
export interface Bound {
  /** By what, for messages; undefined where another host would do as well. */
  readonly by?: string;
  /** Why it means another host. */
  readonly problem?: string;
  /** The line of a definition that means this host. */
  readonly line: string;
}

/** Judges a definition's host, or, where it names none, its disks: `matched` is undefined where they were not found. */
export function boundTo(
  { host, storage, hostKeys }: Pick<Spec, "host" | "storage" | "hostKeys">,
  facts: About,
  matched: Readonly<Record<string, DiskFacts>> | undefined,
): Bound {
  const identity = identityOf(facts);
  const line = lineFor(identity, hostKeys === "keep");
  if (host !== undefined) {
    const problem = bindingProblem(host, identity);
    return problem === undefined ? { by: shown(host), line } : { problem, line };
  }
  if (storage === undefined || matched === undefined) return { line };
  const written = writtenDisks(storage);
  const own = written.every(([name, declared]) => {
    const disk = matched[name];
    return disk !== undefined && isOwnMatch(foundBy(declared, [disk]).match, disk);
  });
  return own ? { by: "the serial or WWN of each disk that is written", line } : { line };
}

/** Why a host is not the one that is meant; undefined where it is. */
function bindingProblem(wanted: HostBinding, host: HostIdentity): string | undefined {
  const { dmiUuid, machineId, sshHostKey } = wanted;
  if (dmiUuid !== undefined && dmiUuid !== host.dmiUuid)
    return `the definition is for the host with the DMI UUID ${dmiUuid}; this one has ${host.dmiUuid ?? "none of its own"}`;
  if (machineId !== undefined && machineId !== host.machineId)
    return `the definition is for the host with the machine-id ${machineId}; this one has ${host.machineId || "none"}`;
  if (sshHostKey !== undefined && !host.sshHostKeys.includes(sshHostKey))
    return `the definition is for the host with the SSH host key ${sshHostKey}; this one has ${host.sshHostKeys.join(", ") || "none"}`;
  return undefined;
}

export function identityOf({ dmiUuid, machineId, hostKeys }: About): HostIdentity {
  const blobs = hostKeys.map((key) => Buffer.from(key.split(" ")[1] ?? "", "base64"));
  return { dmiUuid, machineId, sshHostKeys: blobs.map(fingerprint) };
}

/** "DMI UUID …, machine-id …, SSH host key SHA256:…": for a person who compares. */
export function shownIdentity({ dmiUuid, machineId, sshHostKeys }: HostIdentity): string {
  return [
    `DMI UUID ${dmiUuid ?? "none of its own"}`,
    `machine-id ${machineId || "none"}`,
    `SSH host ${sshHostKeys.length === 1 ? "key" : "keys"} ${sshHostKeys.join(" ") || "none"}`,
  ].join(", ");
}

/** What preflight says of it; undefined where there is nothing to say yet. */
export function hostFinding(bound: Bound, disks: readonly DiskFacts[] | undefined): Finding | undefined {
  const check = "host";
  if (bound.problem !== undefined)
    return {
      ...{ check, verdict: "no-go", detail: bound.problem },
      hint: `deploy it to the host that it is for; for this one the definition says \`${bound.line}\``,
    };
  if (bound.by !== undefined)
    return { check, verdict: "go", detail: `the definition is for this one, by ${bound.by}` };
  // Where disks are still to be named, those with names of their own will do.
  const nameless = ({ serial, wwn }: DiskFacts) =>
    !(serial !== undefined && isOwnSerial(serial)) && !(wwn !== undefined && isOwnWwn(wwn));
  if (disks !== undefined && !disks.some(nameless)) return undefined;
  return {
    ...{ check, verdict: "warn" },
    detail: "nothing ties the definition to this one: other machines have such disks in the same places",
    hint: `say \`${bound.line}\` in the definition`,
  };
}

/** What stays the longest first: the firmware's UUID with any system installed, host keys where they are kept. */
function lineFor({ dmiUuid, machineId, sshHostKeys }: HostIdentity, keepsKeys: boolean): string {
  const [key] = sshHostKeys;
  if (dmiUuid !== undefined) return `host: { dmiUuid: "${dmiUuid}" }`;
  if (key !== undefined && keepsKeys) return `host: { sshHostKey: "${key}" }`;
  return `host: { machineId: "${/^[0-9a-f]{32}$/.test(machineId) ? machineId : "…"}" }`;
}

function shown({ dmiUuid, machineId, sshHostKey }: HostBinding): string {
  return [
    ...(dmiUuid === undefined ? [] : [`its DMI UUID ${dmiUuid}`]),
    ...(machineId === undefined ? [] : [`its machine-id ${machineId}`]),
    ...(sshHostKey === undefined ? [] : [`its SSH host key ${sshHostKey}`]),
  ].join(", ");
}

/** What is different on a live system: there is no installed system to return to, and none whose identity could be kept. */
export function liveFindings(
  { hostKeys, host }: Pick<Spec, "hostKeys" | "host">,
  { live }: Facts,
): Finding[] {
  if (live !== true) return [];
  const keeps = [
    ...(hostKeys === "keep" ? ['`hostKeys: "keep"`'] : []),
    ...(host?.machineId === undefined ? [] : ["`host.machineId`"]),
    ...(host?.sshHostKey === undefined ? [] : ["`host.sshHostKey`"]),
  ];
  return [
    warn(
      "live system",
      "the host runs from memory or the network, as a rescue system does: where a deploy returns before its first write, the firmware decides what starts",
      "see that the provider starts its rescue system again if you may need it",
    ),
    ...(keeps.length === 0
      ? []
      : [
          noGo(
            "identity",
            `${keeps.join(" and ")} would be of the rescue system, not of the machine`,
            'say hostKeys: "new" or name a secret, and bind the definition by `host.dmiUuid`; a rescue medium brings kept keys back',
          ),
        ]),
  ];
}

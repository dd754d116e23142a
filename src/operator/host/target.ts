import { countOf } from "../../util/count.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { definitionOf, type HostRecord, hostNamed, noSuchHost } from "../definition/host-records.ts";

/** A machine, as words of the command line and hosts.yaml name it. */
interface Host {
  /** `[user@]name[:port]`, or an alias of ssh_config. */
  readonly host: string;
  readonly record?: HostRecord;
}

/** What is deployed, and where. */
interface Target extends Host {
  readonly definition: string;
  /** A word that stands where HOST would, and is none. */
  readonly spare: readonly string[];
}

/** The host that a word names: one of hosts.yaml, or an address. */
export async function hostFor(word: string, log: Log, directory = process.cwd()): Promise<Host> {
  const record = await hostNamed(word, directory);
  return record === undefined ? { host: word } : known(record, log);
}

/** DEF and HOST of a command line. A host of hosts.yaml as DEF is both; then a word in the place of HOST is `spare`. */
export async function targetOf(
  definition: string,
  host: string | undefined,
  log: Log,
  directory = process.cwd(),
): Promise<Target> {
  const own = await definitionOf(definition, directory);
  if (own === undefined) {
    if (host === undefined)
      throw new Fail("no HOST is given", {
        exitCode: exitCodes.usage,
        hint:
          (await noSuchHost(definition, directory)) ??
          "give [user@]name[:port] after DEF, or in place of DEF the name of a host in hosts.yaml",
      });
    return { definition, spare: [], ...(await hostFor(host, log, directory)) };
  }
  const spare = host === undefined || [own.name, own.address].includes(host) ? [] : [host];
  return { definition: own.definition, spare, ...known(own, log) };
}

/** The same for a plan, which may be for no host. */
export async function planTargetOf(
  definition: string,
  host: string | undefined,
  log: Log,
  directory = process.cwd(),
): Promise<Partial<Target> & Pick<Target, "definition">> {
  if (host === undefined && (await definitionOf(definition, directory)) === undefined) return { definition };
  const target = await targetOf(definition, host, log, directory);
  requireNoSpare(target);
  return target;
}

/** Refuses a host beside one that is meant already. */
export function requireNoSpare({ spare, record }: Target): void {
  if (spare.length > 0)
    throw new Fail(`${record?.name} is a host of hosts.yaml, so ${spare[0]} cannot be another`, {
      exitCode: exitCodes.usage,
      hint: "for its definition on another machine, give the definition by its path",
    });
}

function known(record: HostRecord, log: Log): Host {
  const { name, address, hostKeys, place } = record;
  const pinned = hostKeys === undefined ? "" : `, known by ${countOf(hostKeys.length, "host key")} there`;
  log.info(`${name} is ${address}, by ${place()}${pinned}`);
  return { host: address, record };
}

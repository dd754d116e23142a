import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LinkReplay } from "../../schema/base/deploy.ts";
import { readIfThere } from "../../system/files/read-if-there.ts";
import { joinCommands, makeCommand, nameOfMade, upCommand } from "../../system/machine/network-commands.ts";
import { run } from "../../system/run/run.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { waitForCard } from "./cards.ts";

const ipMs = 30_000;
const moduleMs = 30_000;

/** What is known of the base's links while they are set up. */
export interface Place {
  readonly log: Log;
  readonly sysClassNet: string;
  /** Names in the base by those of the old system. */
  readonly names: Map<string, string>;
  /** Links, each as soon as others can be made of it. */
  readonly ready: Map<string, Promise<string>>;
  /** Members that will be put into a bond or bridge. */
  readonly joining: Promise<unknown>[];
  readonly made: Set<string>;
  /** Members of bonds, which must be down when they join. */
  readonly bonded: ReadonlySet<string>;
}

/** Gives the link's name in the base once it is there and up, with its MTU. Those that it is made of were begun before. */
export function beginLink(link: LinkReplay, place: Place): Promise<string> {
  const { name: old, device } = link;
  const begin = async () => {
    if (device?.kind === "loopback") return "lo";
    const name = device === undefined ? await cardOf(link, place) : await madeOf(link, device, place);
    if (old === undefined || !place.bonded.has(old)) await ip(upCommand(link, name));
    return name;
  };
  const begun = begin();
  if (old !== undefined) place.ready.set(old, begun);
  return begun;
}

/** For `ip` alone. A runner that is started anew finds what it has made before. */
export async function ip(command: readonly string[]): Promise<void> {
  const { code, stderr } = await run(command, { timeoutMs: ipMs, accept: "any" });
  if (code !== 0 && !/File exists/.test(stderr))
    throw new Fail(`${command.join(" ")} exited ${code}: ${stderr.trim()}`);
}

/** A card that is there, with what has to be set before it is up. */
async function cardOf(link: LinkReplay, { made, sysClassNet, log, names }: Place): Promise<string> {
  const name = await waitForCard(link, made, sysClassNet);
  log.info(`${link.mac} is ${name}`);
  if (link.name !== undefined) names.set(link.name, name);
  if (link.acceptRa === false) passOverAdvertisements(name);
  if (link.address !== undefined) {
    await ip(["ip", "link", "set", "dev", name, "down"]);
    await ip(["ip", "link", "set", "dev", name, "address", link.address]);
  }
  return name;
}

type Made = Exclude<NonNullable<LinkReplay["device"]>, { kind: "loopback" }>;

/** A link of others: there as soon as one of those is; more join when they come. */
async function madeOf(link: LinkReplay, device: Made, place: Place): Promise<string> {
  const { names, ready, made, log, sysClassNet } = place;
  const own = link.name ?? device.kind;
  const lowers = device.kind === "vlan" ? [device.link] : device.members;
  const comings = lowers.map(async (old) => {
    const lower = ready.get(old);
    if (lower === undefined) throw new Fail(`${own} is made of ${old}, which is not here`);
    return [old, await lower] as const;
  });
  // By then cards that could have its name are there.
  await firstOf(comings);
  const name = nameOfMade(own, namesOfCards(sysClassNet));
  made.add(name);
  names.set(own, name);
  // Loaded by the first bond, the module would make one of its own.
  if (device.kind === "bond")
    await run(["modprobe", "-q", "bonding", "max_bonds=0"], { timeoutMs: moduleMs, accept: "any" });
  await ip(makeCommand(device, name, link.mac, (old) => names.get(old) ?? old));
  if (link.acceptRa === false) passOverAdvertisements(name);
  if (device.kind !== "vlan") {
    const joined = comings.map(async (coming) => {
      const lower = await coming;
      try {
        await stopAsking(lower[1]);
        for (const command of joinCommands(device, name, lower)) await ip(command);
      } catch (error) {
        log.warn(messageOf(error));
        throw error;
      }
    });
    place.joining.push(...joined);
    await firstOf(joined);
  }
  log.info(`${own} is made${name === own ? "" : `, as ${name}`}`);
  return name;
}

/** The base of a rescue medium asks by DHCP on every card; what belongs to another link has no address of its own. */
async function stopAsking(name: string): Promise<void> {
  const pid = Number(readIfThere(`/run/udhcpc.${name}.pid`)?.trim());
  if (!Number.isInteger(pid) || pid <= 1) return;
  try {
    process.kill(pid);
  } catch {
    // It has ended.
  }
  rmSync(`/run/udhcpc.${name}.pid`, { force: true });
  await ip(["ip", "-4", "address", "flush", "dev", name]);
}

/** Names that no made link can have; a runner that is started anew finds those that it has made. */
function namesOfCards(sysClassNet: string): string[] {
  const isMade = (name: string) =>
    ["bonding", "bridge"].some((kind) => existsSync(join(sysClassNet, name, kind))) ||
    existsSync(join("/proc/net/vlan", name));
  return readdirSync(sysClassNet).filter((name) => !isMade(name));
}

/** As soon as one is there; the first failure where none comes. */
async function firstOf<T>(comings: readonly Promise<T>[]): Promise<T> {
  try {
    return await Promise.any(comings);
  } catch (error) {
    throw error instanceof AggregateError ? (error.errors[0] ?? new Fail("it is made of no card")) : error;
  }
}

function passOverAdvertisements(name: string): void {
  for (const key of ["accept_ra", "autoconf"]) {
    const file = `/proc/sys/net/ipv6/conf/${name}/${key}`;
    // A kernel without IPv6 has none.
    if (existsSync(file)) writeFileSync(file, "0");
  }
}

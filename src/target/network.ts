import { mkdirSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { LinkReplay, NetworkReplay } from "../schema/base/deploy.ts";
import {
  isOfLinks,
  linkCommands,
  missingCommands,
  otherRouteCommand,
  ruleCommand,
  upCommand,
} from "../system/machine/network-commands.ts";
import { run } from "../system/run/run.ts";
import { Fail, messageOf } from "../util/fail.ts";
import type { Log } from "../util/log.ts";
import { askDhcp, askEverywhere } from "./network/dhcp.ts";
import { beginLink, ip, type Place } from "./network/links.ts";

const ipMs = 30_000;
/** The kernel asks three times for an advertisement, four seconds apart, after a moment. */
const advertisementMs = 15_000;

/**
 * Sets the base's network up as the old system had it, as far as it can be: one link that fails leaves the others alone. Where no
 * way out is left, every card asks by DHCP, and the kernel listens for advertisements.
 */
export async function restoreNetwork(
  replay: NetworkReplay,
  log: Log,
  sysClassNet = "/sys/class/net",
): Promise<void> {
  if (replay.dns.length > 0) writeResolvConf(replay.dns);
  const { links, rules = [], routes = [] } = replay;
  const place: Place = {
    ...{ log, sysClassNet, names: new Map(), ready: new Map(), joining: [], made: new Set() },
    bonded: new Set(links.flatMap(({ device }) => (device?.kind === "bond" ? device.members : []))),
  };
  const nameOf = (old: string) => place.names.get(old) ?? old;
  const ofLinks = rules.filter(isOfLinks);
  const plain = rules.filter((rule) => !ofLinks.includes(rule));
  const first = await failuresOf(plain.map((rule) => ip(ruleCommand(rule, nameOf))));
  const ends = await Promise.allSettled(links.map((link) => restoreLink(link, place)));
  await Promise.allSettled(place.joining);
  const problems = [
    ...first,
    ...ends.flatMap((end) => (end.status === "rejected" ? [end.reason as unknown] : [])),
  ];
  const last = [
    ...routes.map((route) => otherRouteCommand(route, nameOf)),
    ...ofLinks.map((rule) => ruleCommand(rule, nameOf)),
  ];
  for (const command of last) problems.push(...(await failuresOf([ip(command)])));
  const bug = problems.find((problem) => !(problem instanceof Fail));
  if (bug !== undefined) throw bug;
  const up = links.filter((_, index) => ends[index]?.status === "fulfilled");
  if (isCutOff(replay, up)) await askEverywhere(log, sysClassNet);
  if (problems.length > 0) throw new Fail(problems.map(messageOf).join("; "));
}

/** Whether the old system had a way out, and no link that is up has it. */
function isCutOff(replay: NetworkReplay, up: readonly LinkReplay[]): boolean {
  const outward = replay.links.filter((link) => leadsOut(link, replay));
  return outward.length === 0
    ? replay.links.length > 0 && up.length === 0
    : !outward.some((link) => up.includes(link));
}

function leadsOut(
  { name, metric, routes, given }: LinkReplay,
  { routes: others = [] }: NetworkReplay,
): boolean {
  return (
    metric !== undefined ||
    [...routes, ...given.routes].some(({ to }) => to === "default") ||
    others.some(
      ({ to, link, hops = [] }) => to === "default" && [link, ...hops.map((hop) => hop.link)].includes(name),
    )
  );
}

async function failuresOf(all: readonly Promise<unknown>[]): Promise<unknown[]> {
  const ends = await Promise.allSettled(all);
  return ends.flatMap((end) => (end.status === "rejected" ? [end.reason as unknown] : []));
}

async function restoreLink(link: LinkReplay, place: Place): Promise<void> {
  const name = await beginLink(link, place);
  const answered = link.dhcp4 && (await askDhcp(name, link.metric, place.log));
  // A lease may name another MTU.
  if (answered) await ip(upCommand(link, name));
  for (const command of linkCommands(link, name, answered)) await ip(command);
  if (answered) await addMissing(link, name, 4);
  if (missingCommands(link, name, 6).length === 0) return;
  await awaitAdvertisement(name);
  await addMissing(link, name, 6);
}

/** What has come since is there already, and a gateway that another lease does not reach is refused. */
async function addMissing(link: LinkReplay, name: string, family: 4 | 6): Promise<void> {
  for (const command of missingCommands(link, name, family))
    await run(command, { timeoutMs: ipMs, accept: "any" });
}

async function awaitAdvertisement(name: string): Promise<void> {
  const until = Date.now() + advertisementMs;
  while (Date.now() < until) {
    const shown = await run(["ip", "-6", "route", "show", "default", "dev", name], {
      ...{ timeoutMs: ipMs, accept: "any" },
    });
    if (shown.stdout.trim() !== "") return;
    await sleep(500);
  }
}

function writeResolvConf(servers: readonly string[]): void {
  mkdirSync("/etc", { recursive: true });
  writeFileSync("/etc/resolv.conf", servers.map((server) => `nameserver ${server}\n`).join(""));
}

import type { Finding } from "../operator/inspect/finding.ts";
import { planLines } from "../operator/plan/plan-text.ts";
import type { Planned } from "../operator/plan/planned.ts";
import type { Facts } from "../schema/facts.ts";
import { onHardware, parseHardware } from "../storage/match/other-hardware.ts";
import { sizeOf } from "../util/count.ts";
import { Fail, messageOf } from "../util/fail.ts";
import type { Consoles } from "./consoles.ts";
import type { OpenMedium } from "./open-medium.ts";
import type { Opened } from "./open-secrets.ts";
import type { Recovery, Said } from "./plan-recovery.ts";

/** What the dialogue needs of the machine. */
interface RescueWorld {
  readonly consoles: Consoles;
  readonly open: OpenMedium;
  /** Looks at the machine, and plans. */
  look(said: Said): Promise<{ readonly facts: Facts; readonly recovery: Recovery }>;
  /** Where the machine is reached, and by which key it is known. */
  reached(): Promise<readonly string[]>;
  openSecrets(): Promise<Opened>;
  /** Without a question; fails where that does not do. */
  openAlone(): Promise<Opened>;
  /** Checks the medium, and rebuilds the machine. Gives lines with what to know of the system: how one logs in. */
  rebuild(planned: Planned, opened: Opened): Promise<readonly string[]>;
  /** Milliseconds: of an unattended medium for somebody who stops it; until a rebuilt machine restarts by itself. */
  readonly waitMs: { readonly stop: number; readonly restart: number };
  restart(): Promise<never>;
  powerOff(): Promise<never>;
}

/** Talks to whoever sits at a console, until the machine restarts. Nothing is written before the disks were named. */
export async function converse(world: RescueWorld): Promise<never> {
  const { consoles, open } = world;
  const { medium, spec } = open;
  consoles.print();
  consoles.print(`imgbuild rescue medium for ${spec.hostname}`);
  consoles.print(
    `definition ${open.definition.slice(0, 12)}, packages of ${new Date(medium.epoch * 1000).toISOString().slice(0, 10)}, ` +
      `${medium.tree === undefined ? "fetched over the network" : "all on the medium"}`,
  );
  for (const line of await world.reached()) consoles.print(line);
  if (medium.unattended && (await mayBegin(world)) && (await byItself(world))) await world.powerOff();
  let said = saidFirst(open);
  for (;;) {
    const looked = await attempt(consoles, () => world.look(said));
    if (looked !== undefined) show(consoles, looked.facts, looked.recovery);
    const planned = looked?.recovery.planned;
    const choice = await menu(consoles, { canRebuild: planned !== undefined, restore: said.restore, open });
    if (choice === "4") await world.restart();
    else if (choice === "2" && planned !== undefined && looked !== undefined)
      showAll(consoles, looked.facts, planned);
    else if (choice === "5") said = await otherDisk(consoles, open, said);
    else if (choice === "6") said = { ...said, restore: !said.restore };
    else if (choice === "1" && planned !== undefined) {
      if (await attempt(consoles, () => recover(world, planned))) await world.restart();
    }
  }
}

function saidFirst({ spec }: OpenMedium): Said {
  return { disks: [], restore: spec.data !== undefined };
}

/** Takes another disk for one of the definition, by its serial or port. What is no such answer is asked again, and not kept. */
async function otherDisk(consoles: Consoles, { spec }: OpenMedium, said: Said): Promise<Said> {
  const names = Object.keys(spec.storage?.disks ?? {});
  for (;;) {
    const answer = await consoles.ask(
      `Which disk is which (${names.map((name) => `${name}=serial:…`).join(" or ")}; also wwn:, id:, path:; empty: as in the definition)? `,
    );
    if (answer === "") return { ...said, disks: [] };
    const word = answer.includes("=") || names.length > 1 ? answer : `${names[0]}=serial:${answer}`;
    try {
      onHardware(spec, parseHardware({ disk: [word] }));
    } catch (error) {
      if (!(error instanceof Fail)) throw error;
      consoles.print(
        `"${answer}" names no disk: type the definition's name of it and its serial, as ${names[0]}=serial:S3Z8NB0K`,
      );
      continue;
    }
    const name = word.split("=")[0]!;
    return { ...said, disks: [...said.disks.filter((one) => !one.startsWith(`${name}=`)), word] };
  }
}

async function menu(
  consoles: Consoles,
  about: { readonly canRebuild: boolean; readonly restore: boolean; readonly open: OpenMedium },
): Promise<string> {
  const { canRebuild, restore, open } = about;
  const hasData = open.spec.data !== undefined;
  const entries = [
    ...(canRebuild
      ? [
          ["1", `rebuild this machine${restore ? ", and restore its data" : ""}`],
          ["2", "show every step"],
        ]
      : []),
    ["3", "look at the machine again, after changing a disk or a cable"],
    ["4", "restart without writing"],
    ["5", "take another disk than the definition says"],
    ...(hasData ? [["6", restore ? "do not restore its data" : "restore its data"]] : []),
  ];
  consoles.print();
  for (const [number, what] of entries) consoles.print(` ${number}  ${what}`);
  for (;;) {
    const answer = await consoles.ask("Type a number: ");
    if (entries.some(([number]) => number === answer)) return answer;
    consoles.print(`Type one of ${entries.map(([number]) => number).join(", ")}, and Enter.`);
  }
}

/** Somebody typed 1: secrets, then each disk by its name, then the work. */
async function recover(world: RescueWorld, planned: Planned): Promise<true> {
  const opened = await world.openSecrets();
  await nameDisks(world.consoles, planned);
  await rebuild(world, planned, opened);
  const { restart } = world.waitMs;
  const question = `Take the medium out and press Enter; in ${restart / 1000} s it restarts by itself. `;
  await world.consoles.askWithin(question, restart);
  return true;
}

async function nameDisks(consoles: Consoles, { disks }: Planned): Promise<void> {
  for (const disk of disks.filter(({ action }) => action === "written")) {
    const name = disk.serial ?? disk.wwn ?? disk.path ?? "";
    const word = disk.serial !== null ? "serial" : disk.wwn === undefined ? "port" : "WWN";
    const shown = `${disk.model?.trim() || "no model"}, ${sizeOf(disk.sizeBytes)}, ${name}`;
    const answer = await consoles.ask(`Type the ${word} of the disk to be wiped (${shown}): `);
    if (answer !== name || name === "") throw new Fail(`"${answer}" is not ${name}; nothing was written`);
  }
}

async function rebuild(world: RescueWorld, planned: Planned, opened: Opened): Promise<void> {
  const began = Date.now();
  const known = await world.rebuild(planned, opened);
  const seconds = Math.round((Date.now() - began) / 1000);
  world.consoles.print();
  world.consoles.print(`${world.open.spec.hostname} is on its disks, after ${seconds} s.`);
  for (const line of known) world.consoles.print(line);
}

async function mayBegin({ consoles, waitMs }: RescueWorld): Promise<boolean> {
  consoles.print();
  consoles.print("This medium is made to begin without a question. It wipes the disks of its definition.");
  const question = `Press Enter within ${waitMs.stop / 1000} s to stop it: `;
  return (await consoles.askWithin(question, waitMs.stop)) === undefined;
}

/** Without a person: only where nothing speaks against it, and nothing has to be typed. It ends switched off, so that it is done once. */
async function byItself(world: RescueWorld): Promise<boolean> {
  const { consoles, open } = world;
  const done = await attempt(consoles, async () => {
    const { facts, recovery } = await world.look(saidFirst(open));
    show(consoles, facts, recovery);
    if (recovery.planned === undefined) throw new Fail("it does not begin: see above");
    await rebuild(world, recovery.planned, await world.openAlone());
    consoles.print("The machine switches off; take the medium out before it starts again.");
    return true;
  });
  return done === true;
}

/** What fails is said, and the dialogue goes on. */
async function attempt<T>(consoles: Consoles, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    consoles.print();
    for (const line of messageOf(error).split("\n")) consoles.print(`FAILED: ${line}`);
    if (error instanceof Fail && error.hint !== undefined) consoles.print(`  ${error.hint}`);
    if (!(error instanceof Fail)) console.error(error);
    return undefined;
  }
}

const verdicts: Readonly<Record<Finding["verdict"], string>> = { go: "ok  ", warn: "WARN", "no-go": "STOP" };

/** The machine, what speaks against it, and the fate of each disk: what fits on a screen. */
function show(consoles: Consoles, facts: Facts, { findings, planned }: Recovery): void {
  consoles.print();
  for (const { check, verdict, detail, hint } of findings.filter(
    ({ verdict }) => planned === undefined || verdict !== "go",
  )) {
    consoles.print(`${verdicts[verdict]}  ${check}: ${detail}`);
    if (hint !== undefined) consoles.print(`      ${hint}`);
  }
  if (planned !== undefined) for (const line of untilSteps(facts, planned)) consoles.print(line);
}

function showAll(consoles: Consoles, facts: Facts, planned: Planned): void {
  for (const line of linesOf(facts, planned)) consoles.print(line);
}

/** Without what ties a host to a definition, and without whose mirrors they are: the medium is for any machine. */
function linesOf(facts: Facts, planned: Planned): string[] {
  const lines = planLines({ ...planned, apt: [], facts, findings: [], bound: { line: "" } });
  return lines.filter((line) => !/^(known by|not bound)/.test(line));
}

/** The plan without its steps. */
function untilSteps(facts: Facts, planned: Planned): string[] {
  const lines = linesOf(facts, planned);
  const steps = lines.findIndex((line) => /^ +1\. /.test(line));
  return lines.slice(0, steps === -1 ? undefined : steps - 1);
}

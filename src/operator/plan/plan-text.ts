import { sizeOf } from "../../util/count.ts";
import { visibleLine } from "../../util/visible.ts";
import { identityOf, shownIdentity } from "../inspect/host-binding.ts";
import { diskBar } from "./disk-bar.ts";
import type { PlanView } from "./planned.ts";
import { stepLines } from "./step-lines.ts";

const words = { wiped: "WIPE      ", rewritten: "REWRITE   ", kept: "keep      " } as const;

const places = {
  local: "on this machine, and sent",
  host: "on the host, while its old system runs",
  target: "on the host",
} as const;

/** What a tired person has to read right: the host, then every disk with its fate, then the steps. */
export function planLines(view: PlanView, commands = false): string[] {
  const { facts } = view;
  const lines = [
    "",
    `host      ${facts.hostname}: ${facts.os.name}, ${facts.firmware}, ${facts.memoryMib.total} MiB of memory`,
    `known by  ${shownIdentity(identityOf(facts))}`,
    view.bound.by === undefined
      ? `not bound to this host: \`${view.bound.line}\` in the definition does so`
      : `bound to this host by ${view.bound.by}`,
    ...takeoverLines(view),
  ];
  for (const disk of view.disks) {
    const fate = view.fates.find(({ name }) => name === disk.name);
    const what = `${disk.model?.trim() || "no model"}, ${idOf(disk)}, ${sizeOf(disk.sizeBytes)}`;
    const word = words[fate?.fate ?? (disk.action === "written" ? "wiped" : "kept")];
    lines.push(`${word}${disk.name}: ${what}, now ${fate?.kernelName ?? "unknown"}`);
    if (fate !== undefined) lines.push(...barLines(fate, disk.sizeBytes), ...partLines(fate));
  }
  const planned = new Set(view.fates.map(({ kernelName }) => kernelName));
  for (const other of facts.disks.filter(({ name }) => !planned.has(name)))
    lines.push(
      `untouched ${other.name}: ${other.model?.trim() || "no model"}, ${idOf(other)}, ${sizeOf(other.sizeBytes)}`,
    );
  for (const { archive, url, from } of view.apt) lines.push(`apt       ${archive}: ${url} (from ${from})`);
  if (view.build !== undefined) lines.push(`tree      made ${places[view.build.buildOn]}`);
  for (const line of view.build?.lines ?? []) lines.push(`            ${line}`);
  if (view.powerCut !== undefined) lines.push(`power cut ${view.powerCut}`);
  lines.push("", ...stepLines(view.plan, commands));
  lines.push("", `plan      ${view.planDigest}`, "");
  return lines;
}

/** How the base is started, and why in no other way. */
function takeoverLines({ findings }: Pick<PlanView, "findings">): string[] {
  return findings.flatMap(({ check, detail }) => (check === "takeover" ? [`takeover  ${detail}`] : []));
}

/** What is on the disk now, and what will be, for disks that are changed. */
function barLines({ fate, before, after }: PlanView["fates"][number], diskBytes: number): string[] {
  if (fate === "kept") return [];
  const bar = (parts: typeof before) =>
    diskBar(
      parts.map(({ name, sizeBytes, holds, fate: part }) => ({
        label: visibleLine(`${name} ${holds}`),
        bytes: sizeBytes,
        kept: part === "kept",
      })),
      diskBytes,
    );
  return [`            now:  ${bar(before)}`, `            then: ${bar(after)}`];
}

function partLines({ before, after }: PlanView["fates"][number]): string[] {
  const line = (word: string, { name, sizeBytes, holds }: PlanView["fates"][number]["before"][number]) =>
    `            ${word}: ${name} ${sizeOf(sizeBytes)} ${holds}`;
  return [
    ...before.map((part) => line(part.fate, part)),
    // What stays was told already, by the name that it has now.
    ...after.filter(({ fate }) => fate === "made").map((part) => line("made", part)),
  ];
}

type Named = {
  readonly serial?: string | null | undefined;
  readonly wwn?: string | null | undefined;
  readonly path?: string | undefined;
};

function idOf({ serial, wwn, path }: Named): string {
  if (serial == null && wwn != null) return `wwn ${wwn}`;
  return serial == null && path !== undefined ? `at ${path}` : `serial ${serial ?? "none"}`;
}

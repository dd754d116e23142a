import type { RuleFacts } from "../../../schema/facts.ts";

/** Kernel's tables by their names; others are in the host's files. */
const tables = { local: 255, main: 254, default: 253 } as const;
export const { local: localTable, main: mainTable } = tables;
const usualRules = [
  { priority: 0, says: "from all lookup 255" },
  { priority: 32766, says: "from all lookup 254" },
  { priority: 32767, says: "from all lookup 253" },
];
/** In place of a table's name: that of the VRF which the link belongs to. */
const vrfTable = "[l3mdev-table]";

/** Of `ip rule show`, whose lines are what `ip rule add` takes; the three that every kernel has are left out. */
export function rulesOf(text: string, family: 4 | 6, numbers: ReadonlyMap<string, number>): RuleFacts[] {
  return text.split("\n").flatMap((line) => {
    const [, priority, rest = ""] = /^(\d+):\s+(.*)$/.exec(line) ?? [];
    if (priority === undefined || rest.includes(vrfTable)) return [];
    const words = rest.split(/\s+/).filter((word) => /^[\w.:,/@-]+$/.test(word));
    const at = words.indexOf("lookup") + 1;
    const table = at === 0 ? undefined : tableOf(words[at] ?? "", numbers);
    // Table 0 is BusyBox's word for a rule that names none.
    if (at > 0 && (words[at] === "unspec" || table === 0)) words.splice(at - 1, 2);
    else if (table !== undefined) words[at] = String(table);
    const says = words.join(" ");
    const isUsual = usualRules.some((one) => one.priority === Number(priority) && one.says === says);
    return isUsual || words.length === 0 ? [] : [{ family, priority: Number(priority), words }];
  });
}

/** By /etc/iproute2/rt_tables and what is beside it. */
export function tableNumbers(text: string): ReadonlyMap<string, number> {
  const own = [...text.matchAll(/^\s*(\d{1,10}|0x[\da-f]+)\s+([^\s#]+)/gim)].map(
    ([, number, name]) => [name!, Number(number)] as const,
  );
  return new Map([...Object.entries(tables), ...own]);
}

export function tableOf(name: string, numbers: ReadonlyMap<string, number>): number | undefined {
  return numbers.get(name) ?? (/^\d{1,10}$/.test(name) ? Number(name) : undefined);
}

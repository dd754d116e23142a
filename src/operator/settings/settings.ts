import type { Spec } from "../../schema/spec.ts";
import type { Expectation } from "../../steps/tree/check-tree.ts";
import type { Problem } from "../../util/problem.ts";
import { sysusers, tmpfiles } from "./accounts.ts";
import { data } from "./data.ts";
import { firewall } from "./firewall.ts";
import { hosts } from "./hosts.ts";
import { modules } from "./modules.ts";
import type { Setting, SettingFile } from "./setting.ts";
import { sshd } from "./sshd.ts";
import { sysctl } from "./sysctl.ts";
import { lingering } from "./users.ts";

/** A new one is a file beside these, a schema in `schema/settings`, and a line here. */
const settings: readonly Setting[] = [
  ...[hosts, sysctl, modules, sshd, firewall, sysusers, tmpfiles],
  ...[lingering, data],
];

/** What these words of a definition write, each with the word. */
export function settingsFiles(spec: Spec): (SettingFile & { readonly field: string })[] {
  return settings.flatMap(({ field, files }) => files(spec).map((file) => ({ field, ...file })));
}

export function settingProblems(spec: Spec): Problem[] {
  return settings.flatMap(({ problems }) => problems?.(spec) ?? []);
}

/** What the tree must have for them, or take. */
export function settingsExpect(spec: Spec): Expectation[] {
  return settings.flatMap(({ expected }) => expected?.(spec) ?? []);
}

/** Units that they need enabled. */
export function settingsEnable(spec: Spec): string[] {
  return settings.flatMap(({ enables }) => enables?.(spec) ?? []);
}

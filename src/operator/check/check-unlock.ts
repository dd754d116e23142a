import type { Spec } from "../../schema/spec.ts";
import { contentsOf, graphOf } from "../../storage/graph/graph.ts";
import { stackOf } from "../../storage/system/storage-config.ts";
import type { Problem } from "../../util/problem.ts";
import { openedBySsh, unlockBySsh, unlockKeys } from "../unlock/by-ssh.ts";
import { allOf, earlyLinks, hasAddress, notEarly } from "../unlock/early-links.ts";
import { noSecret } from "./check-credentials.ts";

/** Volumes that would not be opened over SSH, or not by anyone. */
export function unlockProblems(spec: Spec): Problem[] {
  const volumes = openedBySsh(spec);
  const [first] = volumes;
  if (first === undefined) return [];
  const problems: Problem[] = [];
  for (const { path, unlock, early } of volumes) {
    const at = [...path, "unlock"];
    if (!early)
      problems.push({
        path: at,
        message:
          "`ssh` is for what the root needs: dropbear ends before the system starts; use `key-file` here",
      });
    if (JSON.stringify(unlock) !== JSON.stringify(first.unlock))
      problems.push({
        path: at,
        message: "differs from that of another volume; one dropbear opens them all, so say the same in each",
      });
    if (unlock.hostKey !== undefined && !Object.hasOwn(spec.secrets, unlock.hostKey))
      problems.push({ path: [...at, "hostKey"], message: noSecret(unlock.hostKey, spec) });
  }
  const served = unlockBySsh(spec);
  if (served === undefined) return problems;
  const at = [...first.path, "unlock"];
  if (unlockKeys(served.unlock, spec).length === 0)
    problems.push({
      path: at,
      message: "nobody could come: needs `keys`, or keys of `root` or of a user with `sudo`",
    });
  if (asksTang(spec))
    problems.push({
      path: at,
      message: "beside `tang` each would set up the network in its own way; use one of them",
    });
  return [...problems, ...networkProblems(spec, at)];
}

function asksTang({ storage }: Spec): boolean {
  const early = new Set(["/", "/usr"].flatMap((mount) => stackOf(storage!, mount)).map(({ id }) => id));
  return contentsOf(graphOf(storage!), "luks").some(
    ({ id, content }) => content.unlock.type === "tang" && early.has(id),
  );
}

/** What the initramfs would have to set up, and cannot. */
function networkProblems({ network }: Spec, at: Problem["path"]): Problem[] {
  const problems: Problem[] = [];
  for (const [name, { match }] of Object.entries(network))
    if (match?.name?.startsWith("!"))
      problems.push({
        path: ["network", name, "match", "name"],
        message: "for `unlock: ssh` the initramfs takes no pattern that excludes names; name the card",
      });
  if (allOf(earlyLinks(network)).some(hasAddress)) return problems;
  const made = notEarly(network);
  if (made.length > 0) {
    const { name, kind } = made[0]!;
    const what = kind === "vlan" ? "a VLAN that is not on a card" : `a ${kind}`;
    problems.push({
      path: ["network", name, "device"],
      message: `is ${what}, which the initramfs does not make; \`unlock: ssh\` needs an address on a card, or on a VLAN on a card`,
    });
  } else
    problems.push({
      path: at,
      message:
        'needs an address in `network` by which the initramfs is reached: `addresses`, or `dhcp` "yes" or "ipv4" (it does not speak DHCPv6)',
    });
  return problems;
}

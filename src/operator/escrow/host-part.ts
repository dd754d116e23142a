import { randomBytes } from "node:crypto";
import { gunzipSync } from "node:zlib";
import type { TarEntry } from "../../archive/tar.ts";
import type { Host } from "../../transport/host.ts";
import { Fail } from "../../util/fail.ts";
import { sectionsOf } from "../inspect/probe.ts";
import { luksUuid } from "./luks-header.ts";
import { places } from "./manifest.ts";

const readMs = 300_000;
const maxBytes = 256 * 2 ** 20;
const maxHeaderBytes = 256 * 2 ** 20;

/**
 * Reads what a rebuild may need and no definition holds: run as root, it changes nothing, and writes nothing of it to a disk of the
 * host. $1 is a random word that separates the sections. A LUKS header is as long as its own numbers say.
 */
const script = `
set -u
export LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mark=$1
section() { printf '\\n%s %s\\n' "$mark" "$1"; }
number() {
  od -An -v -tu1 -j "$2" -N "$3" "$1" | { n=0; for b in $(cat); do n=$((n * 256 + b)); done; echo "$n"; }
}
section machine-id; cat /etc/machine-id 2>/dev/null
for f in /etc/ssh/ssh_host_*_key; do
  [ -r "$f" ] || continue
  section "host-key \${f##*/}"; cat "$f"
done
for d in /sys/block/*; do
  n=\${d##*/}
  case $n in loop*|ram*|zram*|dm-*|md*|sr*|fd*|nbd*) continue;; esac
  [ "$(cat "$d/size")" -gt 0 ] || continue
  section "table $n"; sfdisk --dump "/dev/$n" 2>/dev/null
done
section mappings
for m in /sys/block/dm-*/dm; do
  [ -r "$m/uuid" ] && printf '%s %s\\n' "$(cat "$m/uuid")" "$(cat "$m/name")"
done
for dev in $(blkid -c /dev/null -t TYPE=crypto_LUKS -o device 2>/dev/null); do
  section "luks $dev"
  if [ "$(number "$dev" 6 2)" = 1 ]; then
    bytes=$(($(number "$dev" 104 4) * 512))
  else
    size=$(number "$dev" 8 8)
    slots=$(head -c "$size" "$dev" | tr -d '\\000' | grep -ao '"keyslots_size":"[0-9]*"' | head -n 1 | tr -dc 0-9)
    bytes=$((2 * size + \${slots:-0}))
  fi
  head -c "$bytes" "$dev" | gzip -9 | base64
done
section end
exit 0
`;

/** Files of an escrow that come from the host. */
export async function hostPart(
  host: Pick<Host, "name" | "exec">,
  options: { readonly root: boolean; readonly signal: AbortSignal },
): Promise<TarEntry[]> {
  const mark = `@@${randomBytes(12).toString("hex")}`;
  // Of any exit code: the message of a failure would show the end of what was read.
  const { stdout, stderr } = await host.exec(["sh", "-s", mark], {
    ...{ stdin: script, timeoutMs: readMs, maxBytes, accept: "any" },
    ...options,
  });
  const sections = sectionsOf(stdout, mark);
  if (!sections.has("end"))
    throw new Fail(`reading ${host.name} ended early\n${stderr.trim().slice(-500)}`, {
      hint: "it needs a POSIX shell on the host and root",
    });
  const mappings = mappingsIn(sections.get("mappings") ?? "");
  const found = [...sections].flatMap(([name, text]) =>
    text === "" ? [] : entryOf(name, text, mappings, host.name),
  );
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function entryOf(
  section: string,
  text: string,
  mappings: ReadonlyMap<string, string>,
  host: string,
): TarEntry[] {
  const [kind, of = ""] = section.split(" ");
  if (kind === "machine-id") return [{ name: places.machineId, content: Buffer.from(`${text}\n`) }];
  if (kind === "host-key" && /^ssh_host_[a-z0-9]{1,20}_key$/.test(of))
    return [{ name: `${places.hostKeys}${of}`, content: Buffer.from(`${text}\n`) }];
  if (kind === "table" && /^[A-Za-z0-9!_-]+$/.test(of))
    return [{ name: `${places.tables}${of}.sfdisk`, content: Buffer.from(`${text}\n`) }];
  if (kind !== "luks") return [];
  const header = gunzipSync(Buffer.from(text, "base64"), { maxOutputLength: maxHeaderBytes });
  const uuid = luksUuid(header, `${of} of ${host}`);
  return [{ name: `${places.luks}${mappings.get(uuid) ?? uuid}.header`, content: header }];
}

/** "CRYPT-LUKS2-<UUID without dashes>-root root": UUIDs of headers → names of what is open. */
function mappingsIn(text: string): ReadonlyMap<string, string> {
  const named = text.split("\n").flatMap((line) => {
    const [, digits, name] = /^CRYPT-LUKS[12]-([0-9a-f]{32})-\S* ([A-Za-z0-9._-]+)$/.exec(line) ?? [];
    if (digits === undefined || name === undefined) return [];
    return [[digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"), name] as const];
  });
  return new Map(named);
}

import type { Host } from "../transport/host.ts";
import { exitCodes, Fail } from "../util/fail.ts";
import { workDir } from "./takeover.ts";

/** Who deploys to this host now; in RAM, beside the work directory, which each deploy begins anew. */
export const claimFile = `${workDir}.lock`;
const held = 75;
const smallMs = 30_000;

/**
 * The claim names the SSH server's process of our connection and when it started: it ends with the connection, however that ends, so
 * that a killed deploy keeps nobody out. In /proc/PID/stat what follows the name's last ")" begins with the third field.
 */
const claimScript = `
set -u
umask 077
lock=$1
mkdir -p "\${lock%/*}"
boot=$(cat /proc/sys/kernel/random/boot_id)
at=$$ mine=
while [ "$at" -gt 1 ]; do
  stat=$(cat "/proc/$at/stat" 2>/dev/null) || break
  name=\${stat#*"("}
  set -- \${stat##*") "}
  case $name in sshd*|dropbear*) mine="$at \${20} $boot"; break ;; esac
  at=$2
done
# Another way in than these servers: then nobody can be told from anybody.
[ -n "$mine" ] || exit 0
take() { (set -C; echo "$mine" > "$lock") 2>/dev/null; }
if ! take; then
  read -r pid began its < "$lock" || :
  if [ "\${its-}" = "$boot" ] && [ "$pid $began $its" != "$mine" ]; then
    stat=$(cat "/proc/$pid/stat" 2>/dev/null) || stat=
    set -- \${stat##*") "}
    if [ "\${20-}" = "$began" ]; then echo "$pid"; exit ${held}; fi
  fi
  rm -f "$lock"
  take || exit ${held}
fi
[ "$(cat "$lock")" = "$mine" ] || exit ${held}
`;

/** Refuses where another deploy of this host is under way: its files and the kernel that it loaded would be taken from it. */
export async function claim(host: Host, signal: AbortSignal, file: string = claimFile): Promise<void> {
  const { code, stdout } = await host.exec(["sh", "-c", claimScript, "imgbuild", file], {
    root: true,
    timeoutMs: smallMs,
    signal,
    accept: [0, held],
  });
  if (code === 0) return;
  const pid = stdout.trim();
  throw new Fail(`another deploy of ${host.name} is under way; nothing was changed`, {
    exitCode: exitCodes.refused,
    hint: `let it end${pid === "" ? "" : `; if its operator is lost, \`kill ${pid}\` on the host ends its connection`}`,
  });
}

import type { Host } from "../../transport/host.ts";
import { type HostScript, scriptArgv } from "../../transport/script.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { workDir } from "./takeover.ts";

/** Who deploys to this host now; in RAM, beside the work directory, which each deploy begins anew. */
const claimFile = `${workDir}.lock`;
const held = 75;
const unheld = 76;
const smallMs = 30_000;

/** Another who looks at the claim at the same moment is done within this; seconds. */
const turnSeconds = 20;

/**
 * The claim names the SSH server's process of our connection and when it started: it ends with the connection, however that ends, so
 * that a killed deploy keeps nobody out. In /proc/PID/stat what follows the name's last ")" begins with the third field.
 * Whoever looks holds flock on the directory meanwhile; the kernel lets it go with the process. Without flock(1) a claim is a link to what
 * is complete already, which one alone can make, and a stale one that is taken over is looked at again after a moment.
 */
const claimScript: HostScript = {
  name: "claim",
  text: `
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
[ -n "$mine" ] || exit ${unheld}
turns=
if command -v flock >/dev/null 2>&1; then
  exec 9<"\${lock%/*}"
  flock -w ${turnSeconds} 9 || exit ${held}
  turns=yes
fi
own=$lock.$$
echo "$mine" > "$own" || exit 1
trap 'rm -f "$own"' EXIT
take() { ln "$own" "$lock" 2>/dev/null; }
if ! take; then
  read -r pid began its < "$lock" || :
  if [ "\${its-}" = "$boot" ] && [ "$pid $began $its" != "$mine" ]; then
    stat=$(cat "/proc/$pid/stat" 2>/dev/null) || stat=
    set -- \${stat##*") "}
    if [ "\${20-}" = "$began" ]; then echo "$pid"; exit ${held}; fi
  fi
  rm -f "$lock"
  take || exit ${held}
  [ -n "$turns" ] || sleep 1
fi
[ "$(cat "$lock")" = "$mine" ] || exit ${held}
`,
};

/** Refuses where another deploy of this host is under way: its files and the kernel that it loaded would be taken from it. */
export async function claim(
  host: Host,
  { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
  file: string = claimFile,
): Promise<void> {
  const { code, stdout } = await host.exec(scriptArgv(claimScript, [file]), {
    root: true,
    timeoutMs: smallMs,
    signal,
    accept: [0, held, unheld],
  });
  if (code === 0) return;
  if (code === unheld)
    return log.warn(
      `${host.name} was not reached through OpenSSH or Dropbear, so a second deploy at the same time is not kept out: see that there is none`,
    );
  const pid = stdout.trim();
  throw new Fail(`another deploy of ${host.name} is under way; nothing was changed`, {
    exitCode: exitCodes.refused,
    hint: `let it end${pid === "" ? "" : `; if its operator is lost, \`kill ${pid}\` on the host ends its connection`}`,
  });
}

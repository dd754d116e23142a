import { type Keepers, storeIndexName } from "../../debian/http/places.ts";
import { registryOf } from "../../debian/http/registry-address.ts";
import type { Host } from "../../transport/host.ts";
import { type HostScript, scriptArgv } from "../../transport/script.ts";

const perMirrorMs = 60_000;

/** Asks for a small file by a program that the host has; bash is essential on Debian, the others are common elsewhere. */
const reachScript: HostScript = {
  name: "reach-mirror",
  text: `
url=$1
have() { command -v "$1" >/dev/null 2>&1; }
if have curl; then exec curl -fsSL -m 30 -r 0-63 -o /dev/null "$url"; fi
if have wget; then exec wget -q -T 30 -O /dev/null "$url"; fi
if have python3; then
  exec python3 -c 'import sys,urllib.request; urllib.request.urlopen(sys.argv[1], timeout=30).read(64)' "$url"
fi
case $url in http://*) ;; *) echo "the host has neither curl, wget nor python3 to try https with" >&2; exit 4 ;; esac
if have bash; then
  exec bash -c '
    rest=\${1#http://}; name=\${rest%%/*}; path=/\${rest#*/}
    port=80; case $name in *:*) port=\${name##*:} ;; esac
    exec 3<>"/dev/tcp/\${name%%:*}/$port" || exit 1
    printf "HEAD %s HTTP/1.1\\r\\nHost: %s\\r\\nUser-Agent: imgbuild\\r\\nConnection: close\\r\\n\\r\\n" "$path" "$name" >&3
    IFS= read -r -t 30 line <&3 || exit 1
    case $line in HTTP/*" 200"*|HTTP/*" 30"*) exit 0 ;; esac
    echo "the server answered: $line" >&2; exit 1' bash "$url"
fi
echo "the host has no program to fetch with" >&2
exit 4
`,
};

/** The same of a mirror, or where the target reaches none, of who keeps what mirrors have dropped: a store by its index or tags. */
export async function reachAny(
  host: Host,
  mirrors: readonly string[],
  keepers: Keepers | undefined,
  path: string,
  signal: AbortSignal,
): Promise<{ url: string } | { problem: string }> {
  const mirror = await reachMirror(host, mirrors, path, signal);
  if ("url" in mirror || keepers === undefined) return mirror;
  const served = keepers.stores.filter((url) => registryOf(url) === undefined);
  const store = await reachMirror(host, served, storeIndexName, signal);
  if ("url" in store) return store;
  for (const { api } of keepers.stores.flatMap((url) => registryOf(url) ?? [])) {
    const registry = await reachMirror(host, [api], "tags/list", signal);
    // The base takes a token where one is given to everybody.
    if ("url" in registry || /\b401\b/.test(registry.problem)) return { url: api };
  }
  const snapshot = await reachMirror(host, (keepers.snapshots.debian ?? []).slice(0, 1), path, signal);
  return "url" in snapshot ? snapshot : mirror;
}

/** Proves, from the target, that it reaches a mirror: the first that serves `path`, or why none does. */
export async function reachMirror(
  host: Host,
  mirrors: readonly string[],
  path: string,
  signal: AbortSignal,
): Promise<{ url: string } | { problem: string }> {
  const problems: string[] = [];
  for (const url of mirrors) {
    const target = `${url.replace(/\/$/, "")}/${path}`;
    const result = await host.exec(scriptArgv(reachScript, [target]), {
      timeoutMs: perMirrorMs,
      signal,
      accept: "any",
    });
    if (result.code === 0) return { url };
    problems.push(`${url}: ${result.stderr.trim().split("\n").at(-1) || `exit ${result.code}`}`);
  }
  return { problem: `the target reaches no mirror: ${problems.join("; ") || "none is known"}` };
}

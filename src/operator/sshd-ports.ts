import type { Spec } from "../schema/spec.ts";
import { render } from "../util/template.ts";
import type { DefinitionFiles } from "./files.ts";

const defaultPort = 22;
const main = "/etc/ssh/sshd_config";
const parts = /^\/etc\/ssh\/sshd_config\.d\/[^/]+\.conf$/;

/**
 * The ports on which the new system's OpenSSH server will listen, as far as the definition's files tell (sshd_config(5)). What patches
 * and scripts make of its configuration is not looked at.
 */
export function sshdPorts(
  spec: Pick<Spec, "files" | "templates">,
  files: DefinitionFiles["files"],
): number[] {
  const texts = new Map<string, string>();
  for (const [path, { bytes }] of files)
    if (isConfig(path)) texts.set(path, Buffer.from(bytes).toString("utf8"));
  for (const [path, { text, values }] of Object.entries(spec.templates ?? {}))
    if (isConfig(path)) texts.set(path, render(text, values).text);
  for (const [path, { content }] of Object.entries(spec.files)) if (isConfig(path)) texts.set(path, content);
  const own = texts.get(main);
  const read = own === undefined || /^\s*Include[\s=].*sshd_config\.d/im.test(own);
  const lines = [...texts].filter(([path]) => path === main || read).flatMap(([, text]) => settings(text));
  const of = (keyword: string) => lines.filter(([name]) => name === keyword).map(([, value]) => value);
  const ports = of("port").map(Number);
  const everywhere = ports.length === 0 ? [defaultPort] : ports;
  const addresses = of("listenaddress");
  const listening = addresses.flatMap((one) => portOf(one) ?? everywhere);
  return [...new Set(addresses.length === 0 ? everywhere : listening)].sort((a, b) => a - b);
}

function isConfig(path: string): boolean {
  return path === main || parts.test(path);
}

/** Keywords in lower case with the first of what they are given, up to the first block that holds for some connections only. */
function settings(text: string): (readonly [string, string])[] {
  const lines = text.split("\n").map((line) => /^\s*([A-Za-z]+)(?:\s*=\s*|\s+)"?([^\s"#]+)/.exec(line));
  const match = lines.findIndex((line) => line?.[1]?.toLowerCase() === "match");
  const global = match < 0 ? lines : lines.slice(0, match);
  return global.flatMap((line) => (line === null ? [] : [[line[1]!.toLowerCase(), line[2]!] as const]));
}

/** Of "host:port", "192.0.2.1:port" and "[2001:db8::1]:port"; an IPv6 address without brackets has none. */
function portOf(address: string): number | undefined {
  const [, port] = /^(?:\[[^\]]*\]|[^:]*):(\d+)$/.exec(address) ?? [];
  return port === undefined ? undefined : Number(port);
}

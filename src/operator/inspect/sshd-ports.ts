import type { Spec } from "../../schema/spec.ts";
import { render } from "../../util/template.ts";
import type { DefinitionFiles } from "../definition/files.ts";
import { settingsFiles } from "../settings/settings.ts";

const defaultPort = 22;
const directory = "/etc/ssh";
const main = `${directory}/sshd_config`;
/** What Debian's own sshd_config begins with. */
const usualInclude = `${directory}/sshd_config.d/*.conf`;
/** What else says how sshd listens: its arguments and units. */
const unitsOf = /^\/?etc\/(default\/ssh$|systemd\/system\/ssh[@.])/;

export interface SshdPorts {
  readonly ports: readonly number[];
  /** Whether nothing else in the definition may say otherwise. */
  readonly sure: boolean;
}

/**
 * The ports on which the new system's OpenSSH server will listen, by the definition's files (sshd_config(5)). What scripts, patches,
 * links, packages of one's own and units make of it is not known here.
 */
export function sshdPorts(spec: Spec, { files, links }: DefinitionFiles): SshdPorts {
  const texts = new Map<string, string>();
  const templates = Object.entries(spec.templates ?? {});
  for (const [path, { bytes }] of files) texts.set(path, Buffer.from(bytes).toString("utf8"));
  for (const [path, { text, values }] of templates) texts.set(path, render(text, values).text);
  for (const [path, { content }] of Object.entries(spec.files)) texts.set(path, content);
  for (const { path, content } of settingsFiles(spec)) texts.set(path, content);
  const own = texts.get(main);
  const global = own === undefined ? [] : settings(own);
  const includes = own === undefined ? [usualInclude] : of(global, "include").map(absolute);
  const isIncluded = (path: string) => includes.some((pattern) => globOf(pattern).test(path));
  const read = [...texts].filter(([path]) => path !== main && isIncluded(path));
  const lines = [...global, ...read.flatMap(([, text]) => settings(text))];
  const ports = of(lines, "port").map(numberOf);
  const everywhere = ports.length === 0 ? [defaultPort] : ports;
  const addresses = of(lines, "listenaddress");
  const listening =
    addresses.length === 0 ? everywhere : addresses.flatMap((address) => portOf(address) ?? everywhere);
  const isRead = (path: string) => path === main || isIncluded(path);
  const secrets = Object.values(spec.secrets).flatMap(({ path }) => path ?? []);
  const units = Object.entries(spec.services).filter(([, one]) => (one.dropIn ?? one.unit) !== undefined);
  const patched = (spec.patches ?? []).flatMap(({ diff }) =>
    [...diff.matchAll(/^\+\+\+ [^/\s]*(\/\S+)/gm)].map((match) => match[1]!),
  );
  const linked = links.map(({ path }) => path);
  const elsewhere = [
    ...texts.keys(),
    ...linked,
    ...patched,
    ...units.map(([unit]) => `/etc/systemd/system/${unit}`),
  ];
  return {
    ports: [...new Set(listening)].filter((port) => !Number.isNaN(port)).sort((a, b) => a - b),
    sure:
      !elsewhere.some((path) => unitsOf.test(path)) &&
      ![...linked, ...patched, ...secrets].some(isRead) &&
      !listening.some(Number.isNaN) &&
      includes.every((pattern) => pattern === usualInclude || texts.has(pattern)) &&
      (spec.provision ?? []).length === 0 &&
      (spec.packages.debs ?? []).length === 0,
  };
}

type Setting = readonly [keyword: string, ...words: string[]];

/** Keywords in lower case with what they are given, up to the first block that holds for some connections only. */
function settings(text: string): readonly Setting[] {
  const lines = text.split("\n").flatMap((line): Setting[] => {
    const [, keyword, rest] = /^\s*([A-Za-z]+)(?:\s*=\s*|\s+)(.*)$/.exec(line) ?? [];
    if (keyword === undefined) return [];
    const words = [...rest!.matchAll(/"([^"]*)"|(#.*)|(\S+)/g)].flatMap(
      ([, quoted, , plain]) => quoted ?? plain ?? [],
    );
    return [[keyword.toLowerCase(), ...words]];
  });
  const match = lines.findIndex(([keyword]) => keyword === "match");
  return match < 0 ? lines : lines.slice(0, match);
}

/** What a keyword is given; only of `Include` is it more than a word that matters here. */
function of(lines: readonly Setting[], wanted: string): string[] {
  return lines.flatMap(([keyword, ...words]) =>
    keyword !== wanted ? [] : wanted === "include" ? words : words.slice(0, 1),
  );
}

function absolute(path: string): string {
  return path.startsWith("/") ? path : `${directory}/${path}`;
}

/** Of glob(7), what is used for such files. */
function globOf(pattern: string): RegExp {
  const text = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", "[^/]*")
    .replaceAll("?", "[^/]");
  return new RegExp(`^${text}$`);
}

/** sshd takes names of /etc/services too. */
function numberOf(port: string): number {
  return port === "ssh" ? defaultPort : /^\d+$/.test(port) ? Number(port) : Number.NaN;
}

/** Of "host:port", "192.0.2.1:port" and "[2001:db8::1]:port"; an IPv6 address without brackets has none. */
function portOf(address: string): number | undefined {
  const [, port] = /^(?:\[[^\]]*\]|[^:]*):([^:]+)$/.exec(address) ?? [];
  return port === undefined ? undefined : numberOf(port);
}

import type { LockedPackage } from "../../schema/lock.ts";

/** A package's URL (package-url.github.io), by which scanners find what is known of it. */
export function purlOf(locked: LockedPackage, suite: string): string {
  const { name, version, architecture, archive, source } = locked;
  const vendor = archive === "debian" || archive === "debian-security" ? "debian" : archive;
  const qualifiers = [
    ["arch", architecture],
    ["distro", suite],
    // A scanner looks for vulnerabilities of the source package.
    ...(source === undefined ? [] : [["upstream", source.replace(/^(\S+) \((.*)\)$/, "$1@$2")]]),
  ] as const;
  const shown = qualifiers.map(([key, value]) => `${key}=${encode(value!)}`).join("&");
  return `pkg:deb/${encode(vendor)}/${encode(name)}@${encode(version)}?${shown}`;
}

/** Percent-encoding as package URLs have it: a colon stays. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll("%3A", ":");
}

import { partsOf } from "../../debian/archive/sources.ts";
import type { Pin, Spec } from "../../schema/spec.ts";
import type { FileToWrite } from "../../steps/tree/write-files.ts";
import { distribution } from "../../tables/distribution.ts";

const { keyring, settings } = distribution;

/** What the new system's own apt reads: the suites that its packages came from, whose keys count, and which versions it prefers. */
export function aptFiles(
  { system, packages }: Spec,
  mirrors: Readonly<Record<string, readonly string[]>>,
): FileToWrite[] {
  const { suite, suites = [], components, repositories = {} } = system;
  const parts = [suite, ...suites].flatMap(partsOf);
  const debian = ["debian", "debian-security"].flatMap((archive) => {
    const own = parts.filter((part) => part.archive === archive).map((part) => part.suite);
    const url = aptMirror(mirrors, archive);
    return url === undefined || own.length === 0 ? [] : [source(url, own, components, keyring)];
  });
  const others = Object.entries(repositories).flatMap(([name, one]): FileToWrite[] => {
    const key = `${settings}/keyrings/${name}.asc`;
    return [
      { path: key, content: one.key },
      {
        path: `${settings}/sources.list.d/${name}.sources`,
        content: source(one.url, [one.suite], one.components, key),
      },
    ];
  });
  const preferences = preferencesOf(system, packages.pins ?? []);
  return [
    { path: `${settings}/sources.list.d/debian.sources`, content: debian.join("\n") },
    ...others,
    ...(preferences === ""
      ? []
      : [{ path: `${settings}/preferences.d/imgbuild.pref`, content: preferences }]),
  ];
}

/** Where the new system's own apt gets an archive; a directory of the operator's is no mirror of the machine's. */
export function aptMirror(
  mirrors: Readonly<Record<string, readonly string[]>>,
  archive: string,
): string | undefined {
  return mirrors[archive]?.find((url) => /^https?:/.test(url));
}

function source(url: string, suites: readonly string[], components: readonly string[], keys: string): string {
  return `Types: deb\nURIs: ${url}\nSuites: ${suites.join(" ")}\nComponents: ${components.join(" ")}\nSigned-By: ${keys}\n`;
}

/** The pins as apt_preferences(5) has them, and the release that runs before any other that is listed. */
function preferencesOf(
  { suite, suites = [], repositories = {} }: Spec["system"],
  pins: readonly Pin[],
): string {
  const stanzas = pins.map(({ packages, suite: of, origin, version, priority }) => {
    const named = origin === undefined ? undefined : repositories[origin];
    const release = [
      ...(of === undefined ? [] : [`n=${of}`]),
      ...(origin === undefined || named !== undefined ? [] : [`o=${origin}`]),
    ];
    const pin =
      version !== undefined
        ? `version ${version}`
        : named !== undefined && of === undefined
          ? `origin ${new URL(named.url).hostname}`
          : `release ${release.join(", ")}`;
    return stanza(packages.join(" "), pin, priority);
  });
  const others = suites.some((other) => !other.startsWith(`${suite}-`));
  const own = others ? partsOf(suite).map((part) => stanza("*", `release n=${part.suite}`, 990)) : [];
  return [...stanzas, ...own].join("\n");
}

function stanza(packages: string, pin: string, priority: number): string {
  return `Package: ${packages}\nPin: ${pin}\nPin-Priority: ${priority}\n`;
}

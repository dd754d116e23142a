import { onlyArchitecture } from "../../tables/architecture.ts";
import { usualRelease } from "../../tables/release.ts";
import type { Answers } from "./answers.ts";
import type { StackEntry } from "./stack.ts";

/** What a server needs to start, to be reached, to take updates, and to be looked at (`ip`) before the next deploy. */
const basicPackages = [
  ...["apt", "ca-certificates", "dbus", "e2fsprogs", "initramfs-tools", "iproute2"],
  ...["openssh-server", "sudo", "systemd-resolved", "systemd-sysv", "udev", "zstd"],
];
const { kernel, cloudKernel } = onlyArchitecture.packages;

/** The text of an `IMGBUILD.ts`. What comes from a host stands in it as JSON alone, or in a comment of one line. */
export function definitionText(answers: Answers): string {
  const { hostname, match, binding, firmware, network, timezone, packages, notes } = answers;
  const basic = [...basicPackages, answers.isCloud ? cloudKernel : kernel].sort();
  const more = packages.filter((name) => !basic.includes(name));
  const functions = ["biosBoot", "disk", "esp", "gpt", "image", "readLines", "root", "unitIsActive"];
  const stack = network === undefined ? answers.stack : undefined;
  const makers = stack?.flatMap(({ makes }) => makes?.by ?? []);
  functions.push(...new Set(makers ?? [network === undefined ? "dhcp" : "staticAddress"]));
  return [
    `import { ${functions.sort().join(", ")} } from "imgbuild";`,
    "",
    ...notes.map((note) => `// Found on the host: ${note}.`),
    "export default image({",
    `  hostname: ${JSON.stringify(hostname)},`,
    ...(binding === undefined ? [] : [`  ${binding.replace(/,?$/, ",")}`]),
    `  system: { suite: ${JSON.stringify(usualRelease)} },`,
    ...(timezone === undefined ? [] : [`  timezone: ${JSON.stringify(timezone)},`]),
    "  packages: {",
    "    install: [",
    ...listed(basic, "      "),
    ...(more.length === 0 ? [] : ["      // Installed by hand on the host; take what you need:"]),
    ...listed(more, "      // "),
    "    ],",
    "  },",
    "  storage: {",
    "    disks: {",
    "      // This disk is written. `make plan HOST=…` shows the server's disks, each with the `match` that means it.",
    "      system: disk({",
    `        ${match ?? 'match: { serial: "CHANGE-ME" }'},`,
    "        table: gpt(biosBoot(), esp(), root()),",
    "      }),",
    "    },",
    "  },",
    `  boot: { firmware: [${firmware.map((one) => JSON.stringify(one)).join(", ")}] },`,
    ...(stack === undefined ? networkLines(network) : stackLines(stack)),
    "  // authorized_keys is beside this file: one public key a line.",
    `  users: { admin: { comment: "Administrator", sudo: true, keys: readLines("authorized_keys") } },`,
    `  health: [unitIsActive("ssh.service")],`,
    "});",
    "",
  ].join("\n");
}

function networkLines(network: Answers["network"]): string[] {
  if (network === undefined) return ['  network: { ethernet: dhcp("e*") },'];
  const { match, gatewayOnLink, mtu, routes = [], ...lists } = network;
  const [[key, value]] = Object.entries(match) as [[string, string]];
  const said = Object.entries(lists).filter(([, words]) => words.length > 0);
  return [
    "  network: {",
    "    ethernet: staticAddress({",
    `      match: { ${key}: ${JSON.stringify(value)} },`,
    ...said.map(
      ([name, words]) => `      ${name}: [${words.map((word) => JSON.stringify(word)).join(", ")}],`,
    ),
    ...(gatewayOnLink ? ["      gatewayOnLink: true,"] : []),
    ...(mtu === undefined ? [] : [`      mtu: ${mtu},`]),
    ...(routes.length === 0
      ? []
      : ["      routes: [", ...routes.map((one) => `        ${wordsOf(one)},`), "      ],"]),
    "    }),",
    "  },",
  ];
}

function stackLines(stack: readonly StackEntry[]): string[] {
  return [
    "  network: {",
    ...stack.flatMap(({ name, makes, rest }) => {
      const key = /^[a-z_][a-z0-9_]*$/.test(name) ? name : JSON.stringify(name);
      if (makes === undefined) return [`    ${key}: ${wordsOf(rest)},`];
      const begin = `    ${key}: ${makes.by}(${wordsOf(makes.device)}`;
      const fields = Object.entries(rest).map(([field, value]) => `      ${field}: ${literal(value)},`);
      return fields.length === 0 ? [`${begin}),`] : [`${begin}, {`, ...fields, "    }),"];
    }),
    "  },",
  ];
}

function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  return typeof value === "object" && value !== null ? wordsOf(value) : JSON.stringify(value);
}

/** An object on one line. */
function wordsOf(value: object): string {
  return `{ ${Object.entries(value)
    .map(([name, word]) => `${name}: ${literal(word)}`)
    .join(", ")} }`;
}

/** Four names a line. */
function listed(names: readonly string[], before: string): string[] {
  const lines = Array.from({ length: Math.ceil(names.length / 4) }, (_, at) =>
    names.slice(4 * at, 4 * at + 4),
  );
  return lines.map((line) => `${before}${line.map((name) => `${JSON.stringify(name)},`).join(" ")}`);
}

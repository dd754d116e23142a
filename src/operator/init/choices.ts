import { readFile } from "node:fs/promises";
import type { z } from "zod";
import { Network } from "../../schema/network.ts";
import { HostName, TimeZone } from "../../schema/spec.ts";
import { DiskMatch } from "../../schema/storage.ts";
import { isPlainKey } from "../../transport/keys.ts";
import { exitCodes, Fail, reasonOf } from "../../util/fail.ts";
import type { Answers } from "./answers.ts";

/** What a person says of the new server, each as an option of the command line or as an answer. */
export interface Choices {
  readonly hostname?: string;
  /** The serial of the disk to be written, or words of a `match`: "path=pci-0000:00:05.0,minSize=10GiB". */
  readonly disk?: string;
  readonly firmware?: string;
  /** In CIDR notation; none: by DHCP. */
  readonly address?: readonly string[];
  readonly gateway?: readonly string[];
  readonly dns?: readonly string[];
  readonly timezone?: string;
  /** A file with the administrator's public keys. */
  readonly key?: string;
}

/** The firmware by its word. */
const firmwares: Readonly<Record<string, Answers["firmware"]>> = {
  bios: ["bios"],
  uefi: ["uefi"],
  both: ["uefi", "bios"],
};
/** Links with a name of an Ethernet card; a host that was looked at has a MAC instead. */
const anyLink = { name: "e*" };

/** The choices as a definition has them, each checked as a definition is. */
export async function chosen(choices: Choices, found: Answers): Promise<Answers> {
  const { hostname, disk, firmware, timezone, key } = choices;
  return {
    ...found,
    ...(hostname === undefined ? {} : { hostname: checked("--hostname", HostName, hostname, hostname) }),
    // The host is bound by what it was found to be; another disk is bound by its own name.
    ...(disk === undefined ? {} : { match: matchFor(disk) }),
    ...(firmware === undefined ? {} : { firmware: firmwareFor(firmware) }),
    ...(timezone === undefined ? {} : { timezone: checked("--timezone", TimeZone, timezone, timezone) }),
    ...networkFor(choices, found),
    ...(key === undefined ? {} : { keys: await keysIn(key) }),
  };
}

function matchFor(text: string): string {
  const pairs = text.includes("=") ? text.split(",").map(pairOf) : [["serial", text] as const];
  const match = Object.fromEntries(pairs);
  checked("--disk", DiskMatch, match, text);
  const words = pairs.map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  return `match: { ${words.join(", ")} }`;
}

function pairOf(text: string): readonly [string, string] {
  const [name = "", ...value] = text.split("=");
  return [name.trim(), value.join("=").trim()];
}

function firmwareFor(word: string): Answers["firmware"] {
  const known = Object.hasOwn(firmwares, word) ? firmwares[word] : undefined;
  if (known !== undefined) return known;
  throw new Fail(`--firmware ${word}: ${Object.keys(firmwares).join(", ")} are accepted`, {
    exitCode: exitCodes.usage,
  });
}

function networkFor(choices: Choices, found: Answers): Pick<Answers, "network"> {
  const { address, gateway = [], dns = [] } = choices;
  if (address === undefined || address.length === 0) {
    if (gateway.length + dns.length === 0) return {};
    throw new Fail("a gateway or resolver is for static addresses, and there is no --address", {
      hint: "leave them out to ask by DHCP, or add --address 192.0.2.10/24",
      exitCode: exitCodes.usage,
    });
  }
  const match = found.network?.match ?? anyLink;
  const network = { match, addresses: address, gateway, gatewayOnLink: false, dns };
  for (const [option, field] of [
    ["--address", { addresses: address }],
    ["--gateway", { gateway }],
    ["--dns", { dns }],
  ] as const)
    checked(option, Network, { match, ...field }, Object.values(field).flat().join(", "));
  return { network };
}

async function keysIn(file: string): Promise<string[]> {
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw new Fail(`${file}: ${reasonOf(error)}`, { hint: "name a .pub file, or one like authorized_keys" });
  });
  const keys = text.split("\n").filter(isPlainKey);
  if (keys.length === 0)
    throw new Fail(`${file} has no public key`, { hint: "name a .pub file, or one like authorized_keys" });
  return keys;
}

function checked<T extends z.ZodType>(option: string, schema: T, value: unknown, shown: string): z.output<T> {
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const [issue] = error.issues;
  const at = issue?.path.filter((part) => typeof part === "string").join(".");
  throw new Fail(`${option} ${shown}: ${at ? `${at}: ` : ""}${issue?.message ?? "not accepted"}`, {
    exitCode: exitCodes.usage,
  });
}

import { randomBytes } from "node:crypto";
import { acceptedBy } from "../../boot/efi/signature-lists.ts";
import { isLive } from "../../disks/live-root.ts";
import { Facts } from "../../schema/facts.ts";
import { consoleForm } from "../../schema/words.ts";
import { dmiUuidOf } from "../../system/machine/dmi-uuid.ts";
import type { Host } from "../../transport/host.ts";
import { Fail } from "../../util/fail.ts";
import { parseBootPlaces } from "../takeover/ways/boot-places.ts";
import { parseDisks } from "./inspect-disks.ts";
import { parseNameServers, parseNetwork } from "./inspect-network.ts";
import { probeScript, sectionsOf } from "./probe.ts";

const probeTimeoutMs = 120_000;
/** The kernel's MAX_CMDLINECONSOLES. */
const mostConsoles = 8;
const probeMaxBytes = 8 * 1024 * 1024;

/** Looks at a live host, changing nothing. `becomesRootBy` is how the transport gets root there. */
export async function inspect(
  host: Pick<Host, "name" | "exec">,
  becomesRootBy: Facts["user"]["becomesRootBy"],
  mirrorsOf: (oneLine: string, deb822: string) => Facts["mirrors"],
  signal: AbortSignal,
): Promise<Facts> {
  const mark = `@@${randomBytes(12).toString("hex")}`;
  const result = await host.exec(["sh", "-s", mark], {
    stdin: probeScript,
    root: becomesRootBy !== "none" && becomesRootBy !== "impossible",
    timeoutMs: probeTimeoutMs,
    maxBytes: probeMaxBytes,
    signal,
    accept: [0, 1],
  });
  const sections = sectionsOf(result.stdout, mark);
  if (!sections.has("end"))
    throw new Fail(`the inspection of ${host.name} ended early\n${result.stderr.trim().slice(-500)}`, {
      hint: "it needs a POSIX shell on the host and root",
    });
  const get = (name: string) => sections.get(name) ?? "";
  const live = isLive(get("mountinfo"));
  const facts = Facts.safeParse({
    ...identity(get),
    user: { uid: becomesRootBy === "none" ? 0 : 1, becomesRootBy },
    ...security(get),
    ...hardware(get),
    memoryMib: memory(get("meminfo")),
    ...(live ? { live } : {}),
    cmdline: words(get("cmdline")),
    consoles: consoles(get("cmdline"), get("consoles")),
    disks: parseDisks(get("disks"), {
      blkid: get("blkid"),
      mountinfo: get("mountinfo"),
      swaps: get("swaps"),
      pvs: get("pvs"),
      multipath: get("multipath"),
      links: get("disk-links"),
    }),
    ...parseNetwork(get),
    dns: parseNameServers(get("resolv-conf"), get("resolv-conf-uplink")),
    mirrors: mirrorsOf(get("apt-sources"), get("apt-sources-deb822")),
    hostKeys: lines(get("host-keys")).map((line) => line.split(" ").slice(0, 2).join(" ")),
    watchdogs: lines(get("watchdogs")),
    lacksForTree: lines(get("lacks-for-tree")),
    // There it would be memory too.
    cacheMib: live ? 0 : Math.floor(Number(words(get("cache-free"))[3] ?? 0) / 1024),
    clock: Number(get("clock")),
    ...(/^\d{1,12}$/.test(get("hardware-clock")) ? { hardwareClock: Number(get("hardware-clock")) } : {}),
  });
  if (!facts.success)
    throw new Fail(
      `the inspection of ${host.name} found something unexpected: ${facts.error.issues[0]?.path.join(".")}`,
      {
        cause: facts.error,
      },
    );
  return facts.data;
}

function identity(get: (name: string) => string) {
  const os = new Map(
    lines(get("os-release")).map((line) => {
      const equals = line.indexOf("=");
      return [line.slice(0, equals), line.slice(equals + 1).replace(/^(["'])(.*)\1$/, "$2")] as const;
    }),
  );
  const [architecture = "", kernel = ""] = lines(get("uname"));
  const dmiUuid = dmiUuidOf(get("dmi-uuid"));
  return {
    bootId: get("boot-id"),
    machineId: get("machine-id"),
    ...(dmiUuid === undefined ? {} : { dmiUuid }),
    hostname: get("hostname"),
    architecture,
    kernel,
    os: {
      id: os.get("ID") ?? "linux",
      version: os.get("VERSION_ID") ?? "",
      name: os.get("PRETTY_NAME") ?? "Linux",
    },
  };
}

function security(get: (name: string) => string) {
  // An efivarfs file is four bytes of attributes, then the value.
  const secureBoot = words(get("secure-boot"));
  const container = words(get("container"))[0];
  return {
    firmware: get("firmware"),
    secureBoot: secureBoot.length === 5 && secureBoot[4] === "1",
    lockdown: /\[(\w+)\]/.exec(get("lockdown"))?.[1] ?? "none",
    kexecDisabled: get("kexec-disabled") === "1",
    trustsDebian: get("debian-key") === "trusted",
    ...(get("loader-info") === "" ? {} : { loaderInfo: get("loader-info") }),
    bootPlaces: parseBootPlaces(get("boot-places"), { mountinfo: get("mountinfo"), disks: get("disks") }),
    container: container ?? (get("xen") === "PV" ? "xen-pv" : "none"),
  };
}

function hardware(get: (name: string) => string) {
  const tpm = lines(get("tpm")).map((line) => line.split(" "));
  const valuesOf = (name: string) => tpm.flatMap(([key, value]) => (key === name && value ? [value] : []));
  // Before Linux 5.6 the kernel does not show the version; it makes the second device for a TPM 2.0 alone.
  const usable = tpm.some(([key]) => key === "usable");
  const [version = usable ? "2" : "1"] = valuesOf("version");
  const banks = valuesOf("bank");
  const setupMode = words(get("setup-mode"));
  const flags = words(get("cpu-flags"));
  const db = variable(get("secure-boot-db"));
  const level = variable(get("sbat-level"));
  return {
    ...(tpm.length === 0
      ? {}
      : { tpm: { version: Number(version), usable, ...(banks.length === 0 ? {} : { banks }) } }),
    ...(setupMode.length === 5 ? { setupMode: setupMode[4] === "1" } : {}),
    ...(db === undefined ? {} : { secureBootDb: acceptedBy(db) }),
    ...(level === undefined ? {} : { sbatLevel: lines(level.toString("latin1").split("\0")[0]!) }),
    ...(flags.length === 0 ? {} : { cpuFlags: flags }),
  };
}

/** The value of a variable of the firmware, in hexadecimal: an efivarfs file has four bytes of attributes before it. */
function variable(hex: string): Buffer | undefined {
  const bytes = Buffer.from(words(hex).join(""), "hex");
  return bytes.length > 4 ? bytes.subarray(4) : undefined;
}

function memory(meminfo: string) {
  const field = (name: string) =>
    Math.floor(Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(meminfo)?.[1] ?? 0) / 1024);
  return { total: field("MemTotal"), available: field("MemAvailable") };
}

function consoles(cmdline: string, active: string): string[] {
  const [named, seen] = [consoleWords(words(cmdline)), words(active)].map((list) =>
    list.filter((name) => consoleForm.test(name)),
  ) as [string[], string[]];
  // Both name /dev/console last (Documentation/ABI/testing/sysfs-tty).
  return [...new Set(named.length > 0 ? named : seen)].slice(-mostConsoles);
}

/** The values of `console=` on a kernel's command line, as they are. */
export function consoleWords(cmdline: readonly string[]): string[] {
  return cmdline.filter((word) => word.startsWith("console=")).map((word) => word.slice("console=".length));
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line.trim() !== "");
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

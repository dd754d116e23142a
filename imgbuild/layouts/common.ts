import { commandSucceeds, dhcp, image, readLines } from "imgbuild";

type Input = Parameters<typeof image>[0];

/** The fewest packages that a server starts with; what its storage needs is added when it is locked. */
const packages = [
  "e2fsprogs",
  "initramfs-tools",
  "linux-image-cloud-amd64",
  "openssh-server",
  "sudo",
  "systemd-sysv",
  "udev",
  "zstd",
];

/**
 * A definition in which only storage and boot differ from the other layouts. Each disk has the name of the layout as the beginning
 * of its serial, so that none is taken for another's.
 */
export function layout(
  hostname: string,
  input: Pick<Input, "storage" | "boot" | "secrets" | "health" | "files"> & { kernel?: string },
): Input {
  const { kernel = "linux-image-cloud-amd64", health = [], ...rest } = input;
  return image({
    hostname,
    packages: { install: packages.map((name) => (name === "linux-image-cloud-amd64" ? kernel : name)) },
    users: { admin: { sudo: true, keys: readLines("../../../secrets/demo-admin-key.pub") } },
    // An address, so that it can be reached; no names are looked up.
    network: { ethernet: dhcp("en*", { dns: ["192.0.2.53"] }) },
    ...rest,
    health: [commandSucceeds(["systemctl", "is-active", "--quiet", "local-fs.target"]), ...health],
  });
}

/** Secrets of the layouts; published, so only for the examples. */
export const diskKey = { "disk-key": { file: "../../../secrets/layout-disk-key.age" } };
export const dataKey = {
  "data-key": { file: "../../../secrets/layout-data-key.age", path: "/etc/keys/data", mode: "0400" },
};

/** Costs of a passphrase that an emulated processor bears. */
export const kdf = { memory: "32MiB", iterations: 4 };

/** Health: a filesystem of that type is mounted there. */
export function mounted(mount: string, type: string) {
  return commandSucceeds(["findmnt", "--noheadings", "--types", type, "--mountpoint", mount]);
}

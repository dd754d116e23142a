import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadDefinition } from "../../../src/operator/definition/load.ts";
import { lockPath, makeLockFor, writeLock } from "../../../src/operator/lock/lock.ts";
import { cacheRoot } from "../../../src/system/files/cache.ts";
import { silentLog } from "../../../src/util/log.ts";

export interface BootDefinition {
  readonly path: string;
  close(): Promise<void>;
}

/**
 * A small system that differs from others in how it boots: `table` and `boot` are TypeScript, as in an IMGBUILD.ts. It may use the
 * Secure Boot key `own`, whose stand-in a test's image is signed with; or it lets `key` in by SSH as "admin", and can be deployed.
 */
export async function bootDefinition(
  name: string,
  table: string,
  boot: string,
  suite = "trixie",
  key?: string,
): Promise<BootDefinition> {
  const path = await mkdtemp(join(tmpdir(), "imgbuild-boot-"));
  const login =
    key === undefined
      ? 'secrets: { own: { file: "own.age", path: "/etc/secure-boot.key" } },'
      : `users: { admin: { sudo: true, keys: [${JSON.stringify(key)}] } },`;
  const server = key === undefined ? "" : ', "openssh-server", "sudo"';
  await writeFile(
    join(path, "IMGBUILD.ts"),
    `import { biosBoot, disk, esp, ext4, gpt, image, mbr, partition, root } from "imgbuild";
const own = { key: "own", certificate: "-----BEGIN CERTIFICATE-----" };
const boot = ${boot};
export default image({
  hostname: "${name}",
  system: { suite: "${suite}" },
  packages: {
    install: ["apt", "dbus", "e2fsprogs", "initramfs-tools", "linux-image-cloud-amd64", "systemd-sysv", "udev", "zstd"${server}],
  },
  storage: { disks: { system: disk({ match: { serial: "SYSTEM" }, imageSize: "2GiB", table: ${table} }) } },
  boot,
  network: { outside: { match: { name: "enp0s3" }, dhcp: "yes", dns: ["10.0.2.3"] } },
  ${login}
});
`,
  );
  const definition = await loadDefinition(path);
  const signal = new AbortController().signal;
  const options = { cache: cacheRoot(process.env), env: process.env, log: silentLog, signal };
  await writeLock(lockPath(definition), await makeLockFor(definition.spec, options));
  return { path, close: () => rm(path, { recursive: true, force: true }) };
}

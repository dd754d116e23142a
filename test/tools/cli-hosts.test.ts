import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { parseLock } from "../../src/debian/lock/lock.ts";
import { recordDeploy } from "../../src/operator/records/known-deploys.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { notedDeploy } from "../helpers/fakes/noted-deploy.ts";
import { imgbuild, type Ran } from "../helpers/imgbuild.ts";
import { environment, expectFail, warmCache } from "../helpers/labs/cli-lab.ts";
import { startSshd } from "../helpers/labs/sshd.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const shared = `import { biosBoot, disk, esp, gpt, root } from "imgbuild";
import names from "./packages.yaml";
export const packages: string[] = names.every;
export const oneDisk = (serial: string) =>
  ({ disks: { system: disk({ match: { serial }, table: gpt(biosBoot(), esp(), root()) }) } });
`;
const web = `import { dhcp } from "imgbuild";
import { imageWith, z } from "imgbuild/parameters";
import { oneDisk, packages } from "../../shared/server.ts";
export default imageWith({ disk: z.string(), key: z.string() }, ({ disk, key }) => ({
  hostname: "web",
  packages: { install: packages },
  storage: oneDisk(disk),
  network: { ethernet: dhcp("en*") },
  boot: {},
  users: { admin: { sudo: true, keys: [key] } },
}));
`;
const db = `import { packages } from "../../shared/server.ts";
export default { hostname: "db", packages: { install: [...packages, "lsof"] } };
`;
const names =
  "every: [apt, dbus, initramfs-tools, linux-image-cloud-amd64, openssh-server, sudo, systemd-resolved, systemd-sysv, udev, zstd]\n";

/** A repository of two hosts, one of which is this machine's own OpenSSH on a loopback port, which known_hosts does not know. */
async function repository() {
  const home = tempDir();
  const top = tempDir();
  const sshd = await startSshd(home);
  writeFileSync(join(home, ".ssh/known_hosts"), "");
  const print = execFileSync("ssh-keygen", ["-lf", join(home, "host_key.pub")], { encoding: "utf8" });
  const key = readFileSync(join(home, ".ssh/id_ed25519.pub"), "utf8").trim();
  const address = `root@127.0.0.1:${sshd.port}`;
  const hosts = (hostKey: string, more = "") =>
    `hosts:\n  web:\n    address: ${address}\n    hostKeys: ["${hostKey}"]\n${more}` +
    `    parameters: { disk: NOT-THERE, key: "${key}" }\n  db:\n`;
  for (const [name, text] of Object.entries({
    ".git/HEAD": "",
    "hosts.yaml": hosts(print.split(" ")[1]!),
    "hosts/web/IMGBUILD.ts": web,
    "hosts/db/IMGBUILD.ts": db,
    "shared/server.ts": shared,
    "shared/packages.yaml": names,
  })) {
    mkdirSync(dirname(join(top, name)), { recursive: true });
    writeFileSync(join(top, name), text);
  }
  const env = { ...environment, HOME: home, XDG_STATE_HOME: home, IMGBUILD_CACHE: cacheRoot(process.env) };
  const cli = (...args: string[]): Promise<Ran> => imgbuild(args, { env, cwd: top, timeoutMs: 240_000 });
  return { top, env, cli, address, hosts, hostKey: sshd.hostKey, key };
}

beforeAll(warmCache);

describe("a repository of two hosts", () => {
  it("is locked, planned and deployed by name, with the host keys that it pins", async () => {
    const { top, cli, address, hosts, key } = await repository();
    const locked = await cli("lock", "web");
    expect(locked).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/hosts\/web\/imgbuild\.lock\.yaml: \d+/),
    });
    expect(await cli("lock", "db", "--offline")).toMatchObject({ code: 0 });
    const packagesOf = (name: string) =>
      parseLock(readFileSync(join(top, `hosts/${name}/imgbuild.lock.yaml`), "utf8")).packages.map(
        (one) => one.name,
      );
    expect(packagesOf("web")).toContain("openssh-server");
    expect(packagesOf("db")).toEqual(expect.arrayContaining(["openssh-server", "lsof"]));

    // Its disks are none of this machine's, so it is looked at, and no more.
    const plan = await cli("plan", "web");
    expectFail(plan, 3, /the preflight says no-go/);
    expect(plan.stderr).toContain(`web is ${address}, by hosts.yaml:2, known by 1 host key there`);
    expect(plan.stderr).toMatch(/NO-GO disks: .*NOT-THERE/);
    const deploy = await cli("deploy", "web", "--unattended", "--yes-wipe", "NOT-THERE");
    expectFail(deploy, 3, /NO-GO disks: .*NOT-THERE/);
    expectFail(await cli("plan", "./hosts/web", "web"), 3, /NO-GO disks: .*NOT-THERE/);

    const other = key.split(" ").slice(0, 2).join(" ");
    writeFileSync(join(top, "hosts.yaml"), hosts(other));
    for (const words of [
      ["plan", "web"],
      ["deploy", "web", "--unattended", "--yes-wipe", "NOT-THERE"],
    ])
      expectFail(
        await cli(...words),
        1,
        /127\.0\.0\.1 does not answer with the expected host key, but with ssh-ed25519 SHA256:/,
      );
  });

  it("refuses other host keys than those it pins, also where known_hosts has them", async () => {
    const { top, env, cli, address, hosts, hostKey, key } = await repository();
    expect(await cli("lock", "web", "--offline")).toMatchObject({ code: 0 });
    const [, port] = address.split(":");
    writeFileSync(join(env.HOME, ".ssh/known_hosts"), `[127.0.0.1]:${port} ${hostKey}\n`);
    writeFileSync(join(top, "hosts.yaml"), hosts(key.split(" ").slice(0, 2).join(" ")));
    expectFail(await cli("plan", "web"), 1, /does not answer with the expected host key/);
    expectFail(await cli("plan", "./hosts/db", address), 1, /hosts\/db has no storage/);
  });

  it("is listed, with what was deployed from here", async () => {
    const { env, cli, address } = await repository();
    expect((await cli("hosts")).stdout).toBe(
      `web  hosts/web  ${address}  not deployed from here\ndb   hosts/db   db${" ".repeat(address.length - 2)}  not deployed from here\n`,
    );
    await recordDeploy(env, address, notedDeploy);
    const events = (await cli("--json", "hosts")).stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events).toMatchObject([
      { event: "host", name: "web", definition: "hosts/web", address, lastDeploy: notedDeploy.started },
      { event: "host", name: "db", address: "db", lastDeploy: null },
      { event: "done", hosts: 2 },
    ]);
  });

  it("says what is wrong with a name, and takes no other host beside one", async () => {
    const { top, cli, hosts } = await repository();
    expectFail(
      await cli("lock", "wbe"),
      1,
      /no definition at wbe/,
      /did you mean web, a host of .*hosts\.yaml/,
    );
    expectFail(
      await cli("plan", "web", "root@192.0.2.1"),
      2,
      /web is a host of hosts\.yaml, so root@192\.0\.2\.1 cannot/,
    );
    expectFail(await cli("deploy", "web", "root@192.0.2.1"), 2, /so root@192\.0\.2\.1 cannot be another/);
    expectFail(await cli("follow", "web"), 1, /no deploy of root@127\.0\.0\.1:\d+ was started from here/);
    expectFail(
      await cli("sbom", "./hosts/web"),
      1,
      /IMGBUILD\.ts:1: parameters\.disk: is missing/,
      /hosts\.yaml/,
    );
    mkdirSync(join(top, "db"));
    expectFail(await cli("lock", "db"), 1, /db is a host at hosts\.yaml:6, and another definition/, /\.\/db/);
    writeFileSync(join(top, "hosts.yaml"), hosts("SHA256:short"));
    expectFail(
      await cli("abort", "web"),
      1,
      /hosts\.yaml:4: hosts\.web\.hostKeys\[0\]: .*needs a fingerprint/,
    );
  });
});

import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadDefinition } from "../../../../src/operator/definition/load.ts";
import { noHost } from "../../../../src/operator/init/answers.ts";
import { initRepository } from "../../../../src/operator/init/init.ts";
import { repositoryFiles } from "../../../../src/operator/init/repository.ts";
import { identityFiles } from "../../../../src/operator/secrets/secrets.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { adminKey } from "../../../helpers/builders/deployable.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

function outside(home = tempDir()) {
  return {
    env: { HOME: home },
    cache: join(home, "cache"),
    log: silentLog,
    signal: new AbortController().signal,
    interactive: false,
    askSecret: async () => {
      throw new Error("asked");
    },
  };
}

describe("initRepository", () => {
  it("writes a repository whose definition loads, and says with file and line what is still to be written", async () => {
    const dir = join(tempDir(), "web-1");
    const { files } = await initRepository(dir, {}, outside());
    expect(readdirSync(dir).sort()).toEqual(
      [
        ...[
          ".github",
          ".gitignore",
          "IMGBUILD.test.ts",
          "IMGBUILD.ts",
          "Makefile",
          "README.md",
          "authorized_keys",
        ],
        ...["files", "package.json", "secrets", "tsconfig.json"],
      ].sort(),
    );
    expect(files).toContain(join(dir, "secrets/recipients"));
    const { spec, unfinished, filesDir } = await loadDefinition(dir);
    expect(spec).toMatchObject({ hostname: "web-1", boot: { firmware: ["uefi", "bios"] } });
    expect(filesDir).toBe(join(dir, "files"));
    expect(unfinished).toEqual([
      expect.stringMatching(
        /IMGBUILD\.ts:\d+: storage\.disks\.system\.match\.serial: CHANGE-ME is still to be/,
      ),
      expect.stringMatching(/IMGBUILD\.ts:\d+: users\.admin\.keys: no user has an SSH key/),
    ]);
  });

  it("takes a name and the keys of a file, and refuses a file without any", async () => {
    const dir = tempDir();
    const key = join(tempDir(), "key.pub");
    writeFileSync(key, `${adminKey} me\n`);
    await initRepository(dir, { hostname: "mail", key }, outside());
    expect((await loadDefinition(dir)).spec).toMatchObject({
      hostname: "mail",
      users: { admin: { keys: [`${adminKey} me`] } },
    });
    writeFileSync(key, "no key\n");
    await expect(initRepository(tempDir(), { key }, outside())).rejects.toThrow(`${key} has no public key`);
  });

  it("makes an identity that only its user can read, once, and encrypts for it from then on", async () => {
    const world = outside();
    const [first, second] = [tempDir(), tempDir()];
    const { identity } = await initRepository(first, {}, world);
    expect(statSync(identity).mode & 0o777).toBe(0o600);
    expect(statSync(join(identity, "..")).mode & 0o777).toBe(0o700);
    const before = readFileSync(identity, "utf8");
    await initRepository(second, {}, world);
    expect(readFileSync(identity, "utf8")).toBe(before);
    const recipients = (dir: string) => readFileSync(join(dir, "secrets/recipients"), "utf8");
    expect(recipients(first)).toMatch(/^#.*\nage1[0-9a-z]+\n$/);
    expect(recipients(second)).toBe(recipients(first));
    expect(recipients(first)).not.toContain("AGE-SECRET-KEY");
    expect(identityFiles({}, world.env)).toEqual([identity]);
    expect(identityFiles({ identity: ["other"] }, world.env)).toEqual(["other"]);
    expect(identityFiles({}, { ...world.env, IMGBUILD_IDENTITY: "a:b" })).toEqual(["a", "b"]);
    expect(identityFiles({}, { HOME: tempDir() })).toEqual([]);
  });

  it("writes into an empty directory, never beside anything", async () => {
    const dir = tempDir();
    const world = outside();
    await initRepository(dir, {}, world);
    await expect(initRepository(dir, {}, world)).rejects.toThrow(
      `${dir} is not empty: it holds .github, .gitignore, IMGBUILD.test.ts`,
    );
    writeFileSync(join(dir, "file"), "");
    await expect(initRepository(join(dir, "file"), {}, world)).rejects.toThrow("is not a directory");
    const other = tempDir();
    writeFileSync(join(other, "README.md"), "mine\n");
    await expect(initRepository(other, {}, world)).rejects.toThrow(/it holds README\.md$/);
  });

  it("writes where npm has installed it and git has been, and keeps what package.json says", async () => {
    const dir = tempDir();
    for (const name of [".git", "node_modules"]) mkdirSync(join(dir, name));
    writeFileSync(
      join(dir, "package.json"),
      '{"version":"3.0.0","dependencies":{"imgbuild":"file:../here.tgz"}}',
    );
    await initRepository(dir, { hostname: "mail" }, outside());
    expect(JSON.parse(readFileSync(join(dir, "package.json"), "utf8"))).toMatchObject({
      ...{ name: "mail", version: "3.0.0", type: "module" },
      dependencies: { imgbuild: "file:../here.tgz" },
      devDependencies: { typescript: expect.any(String) },
    });
  });

  it("takes disk, firmware, network, time zone from options, and the key of the home's .ssh", async () => {
    const dir = tempDir();
    const home = tempDir();
    mkdirSync(join(home, ".ssh"));
    writeFileSync(join(home, ".ssh/id_ed25519.pub"), `${adminKey} me\n`);
    const options = {
      ...{ disk: "path=pci-0000:00:05.0,minSize=10GiB", firmware: "uefi", timezone: "Europe/Vienna" },
      address: ["192.0.2.10/24", "2001:db8::10/64"],
      ...{ gateway: ["192.0.2.1"], dns: ["192.0.2.53"] },
    };
    await initRepository(dir, options, outside(home));
    const { spec, unfinished } = await loadDefinition(dir);
    expect(unfinished).toEqual([]);
    expect(spec).toMatchObject({
      timezone: "Europe/Vienna",
      boot: { firmware: ["uefi"] },
      storage: { disks: { system: { match: { path: "pci-0000:00:05.0", minSize: 10 * 2 ** 30 } } } },
      network: {
        ethernet: { match: { name: "e*" }, dhcp: "no", addresses: options.address, gateway: ["192.0.2.1"] },
      },
      users: { admin: { keys: [`${adminKey} me`] } },
    });
    await initRepository(join(dir, "other"), { disk: "S3Z8NB0K" }, outside());
    expect((await loadDefinition(join(dir, "other"))).spec.storage?.disks).toMatchObject({
      system: { match: { serial: "S3Z8NB0K" } },
    });
  });

  it.each([
    [{ firmware: "efi" }, "--firmware efi: bios, uefi, both are accepted"],
    [{ disk: "name=sda" }, '--disk name=sda: Unrecognized key: "name"'],
    [{ address: ["192.0.2.10"] }, "--address 192.0.2.10: addresses: "],
    [{ address: ["192.0.2.10/24"], gateway: ["there"] }, "--gateway there: gateway: "],
    [{ gateway: ["192.0.2.1"] }, "there is no --address"],
    [{ timezone: "half past" }, "--timezone half past: a time zone such as"],
    [{ hostname: "-" }, "--hostname -: a host name"],
  ])("refuses %j before it writes anything", async (options, message) => {
    const dir = tempDir();
    await expect(initRepository(dir, options, outside())).rejects.toMatchObject({
      message: expect.stringContaining(message),
      exitCode: 2,
    });
    expect(readdirSync(dir)).toEqual([]);
  });

  it("asks a person for what no option says, again after a wrong answer, and takes the default for none", async () => {
    const dir = join(tempDir(), "web");
    const asked: string[] = [];
    const answers = [
      "",
      "S3Z8NB0K",
      "efi",
      "uefi",
      "192.0.2.10/24",
      "192.0.2.1",
      "192.0.2.53 192.0.2.54",
      "",
    ];
    const ask = async (question: string) => {
      asked.push(question);
      return answers.shift() ?? "";
    };
    await initRepository(dir, { timezone: "Europe/Vienna" }, { ...outside(), interactive: true, ask });
    expect(asked).toEqual([
      ...["Host name [web]: ", "Serial of the disk to be written (empty: later): "],
      ...["Firmware: uefi, bios or both [both]: ", "Firmware: uefi, bios or both [both]: "],
      ...["Address in CIDR notation (empty: by DHCP): ", "Gateway: ", "DNS servers: "],
      "File of the administrator's public key: ",
    ]);
    expect((await loadDefinition(dir)).spec).toMatchObject({
      ...{ hostname: "web", timezone: "Europe/Vienna", boot: { firmware: ["uefi"] } },
      storage: { disks: { system: { match: { serial: "S3Z8NB0K" } } } },
      network: { ethernet: { dns: ["192.0.2.53", "192.0.2.54"] } },
    });
    await expect(
      initRepository(join(dir, "other"), {}, { ...outside(), interactive: true, ask: async () => "-" }),
    ).rejects.toThrow("--hostname -: a host name");
  });

  it("keeps in the Makefile how the host is reached, from the repository, as words of make and the shell", () => {
    const login = ["--ssh-config", "../my host/$HOME#1"];
    const around = { imgbuild: "^1", recipients: [], debianPackages: ["bubblewrap"], npmPackage: undefined };
    const files = repositoryFiles({ ...noHost, hostname: "web" }, { ...around, login });
    const dir = tempDir();
    writeFileSync(join(dir, "Makefile"), `${files.get("Makefile")}\nshown:\n\t@printf '<%s>' $(LOGIN)\n`);
    const { stdout } = spawnSync("make", ["--silent", "-C", dir, "shown"], { encoding: "utf8" });
    expect(stdout).toBe("<--ssh-config><../my host/$HOME#1>");
    expect(files.get(".github/workflows/check.yml")).toContain("--no-install-recommends bubblewrap\n");
  });
});

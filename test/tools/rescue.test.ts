import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readPe } from "../../src/boot/efi/pe.ts";
import { signedBy } from "../../src/boot/efi/signed-by.ts";
import { baseTree, buildBase } from "../../src/operator/base/base.ts";
import { openDefinition } from "../../src/operator/lock/open-definition.ts";
import { showSecret } from "../../src/operator/secrets/secrets.ts";
import { readAgeFile } from "../../src/secrets/open.ts";
import { toolRun } from "../../src/system/door/chroot.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { run } from "../../src/system/run/run.ts";
import { silentLog } from "../../src/util/log.ts";
import { Secret } from "../../src/util/secret.ts";
import { filesWith, hitsInFile } from "../helpers/checks/secret-forms.ts";
import { imgbuild } from "../helpers/imgbuild.ts";
import { startTangd } from "../helpers/labs/tangd.ts";

const mib = 2 ** 20;
const sectorBytes = 512;
const fileSha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

async function rescue(output: string, ...more: string[]) {
  const ran = await imgbuild(["rescue", "imgbuild/layouts/bios-gpt", "-o", output, "--json", ...more], {
    env: process.env,
    timeoutMs: 900_000,
  });
  expect(ran.code, ran.stderr + ran.stdout).toBe(0);
  const last = ran.stdout.trim().split("\n").at(-1)!;
  return JSON.parse(last) as { volume: string; secureBoot: { shimSignedBy: string[] } };
}

describe("imgbuild rescue", () => {
  const dir = mkdtempSync(join(tmpdir(), "imgbuild-rescue-"));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const iso = join(dir, "medium.iso");
  const outside = {
    ...{ env: process.env, cache: cacheRoot(process.env), log: silentLog },
    signal: new AbortController().signal,
  };
  let tree: string;
  let done: Awaited<ReturnType<typeof rescue>>;
  /** A tool of the base, which sees the test's directory. */
  const tool = (...argv: string[]) => toolRun(tree, argv, { binds: [{ from: dir, to: "/work" }] });
  beforeAll(async () => {
    done = await rescue(iso);
    ({ tree } = await baseTree(outside));
  });

  it("makes an ISO of at most 150 MiB with what starts it, for BIOS and UEFI, from disc and disk", async () => {
    expect(statSync(iso).size).toBeLessThan(150 * mib);
    const { stdout } = await tool(
      "xorriso",
      "-no_rc",
      "-indev",
      "/work/medium.iso",
      "-report_el_torito",
      "plain",
      "-report_system_area",
      "plain",
    );
    // In the primary volume descriptor, the sixteenth block.
    expect(
      readFileSync(iso)
        .toString("latin1", 16 * 2048 + 40, 16 * 2048 + 72)
        .trim(),
    ).toBe(done.volume);
    expect(stdout).toMatch(/^El Torito boot img : +1 +BIOS +y +none/m);
    expect(stdout).toMatch(/^El Torito boot img : +2 +UEFI +y +none/m);
    expect(stdout).toMatch(/^System area summary: MBR protective-msdos-label grub2-mbr .*GPT/m);
    expect(stdout).toMatch(/^MBR partition +: +1 +0x00 +0xee/m);
  });

  it("has the base on it, byte for byte", async () => {
    const base = await buildBase(outside);
    await tool(
      "xorriso",
      "-no_rc",
      "-osirrox",
      "on",
      "-indev",
      "/work/medium.iso",
      "-extract",
      "/imgbuild",
      "/work/out",
    );
    for (const name of ["kernel", "outer", "squashfs"] as const)
      expect(fileSha256(join(dir, "out/base", name)), name).toBe(base[name].sha256);
    expect(readdirSync(join(dir, "out/hosts/bios-gpt"))).toEqual(["medium.cpio"]);
  });

  it("has an ESP with Debian's shim, its GRUB and the menu", async () => {
    const { stdout } = await tool("sfdisk", "--json", "/work/medium.iso");
    const { partitions } = (JSON.parse(stdout) as { partitiontable: { partitions: { start: number }[] } })
      .partitiontable;
    const esp = `/work/medium.iso@@${partitions[1]!.start * sectorBytes}`;
    mkdirSync(join(dir, "esp"));
    await tool(
      "mcopy",
      "-i",
      esp,
      "::/EFI/BOOT/BOOTX64.EFI",
      "::/EFI/BOOT/grubx64.efi",
      "::/boot/grub/grub.cfg",
      "/work/esp/",
    );
    const program = (name: string) => readPe(readFileSync(join(dir, "esp", name)), name);
    expect(signedBy(program("BOOTX64.EFI"))).toEqual(done.secureBoot.shimSignedBy);
    expect(done.secureBoot.shimSignedBy.join()).toMatch(/^Microsoft /);
    expect(signedBy(program("grubx64.efi"))).toEqual(["Debian Secure Boot CA"]);
    expect(readFileSync(join(dir, "esp/grub.cfg"), "utf8")).toContain(`--label ${done.volume}\n`);
  });

  it("makes the same bytes again", async () => {
    const again = join(dir, "again.iso");
    await rescue(again);
    expect(fileSha256(again)).toBe(fileSha256(iso));
  });

  it("carries secrets as they are in the repository, the identity under the passphrase alone, and its own for tang", async () => {
    const tangd = await startTangd(join(dir, "tang"));
    const passphrase = join(dir, "passphrase");
    writeFileSync(passphrase, "open sesame\n");
    const output = join(dir, "web.iso");
    const keys = ["-i", "secrets/demo-identity.txt", "--passphrase-file", passphrase];
    keys.push("--unlock", `tang:${tangd.url},thumbprint=${tangd.thumbprint}`);
    const ran = await imgbuild(["rescue", "imgbuild/web", "-o", output, ...keys], {
      env: process.env,
      timeoutMs: 900_000,
    });
    expect(ran.code, ran.stderr).toBe(0);
    const archive = "/imgbuild/hosts/web/medium.cpio";
    await tool(
      ...["xorriso", "-no_rc", "-osirrox", "on", "-indev", "/work/web.iso"],
      ...["-extract", archive, "/work/web.cpio"],
    );
    const unpacked = join(dir, "web");
    mkdirSync(unpacked);
    const unpack =
      "cpio --quiet --extract --make-directories < ../web.cpio && tar -xzf imgbuild/medium.tar.gz && grep -rlE AGE-SECRET-KEY-1[A-Z0-9]{58} . || true";
    const { stdout } = await run(["sh", "-c", unpack], { cwd: unpacked });
    expect(stdout).toBe("");
    const { spec } = await openDefinition("imgbuild/web");
    const names = Object.keys(spec.secrets);
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const there = readFileSync(join(unpacked, `secrets/${name}.age`));
      const here = await readAgeFile(join("imgbuild/web", spec.secrets[name]!.file));
      expect(there.equals(Buffer.from(here)), name).toBe(true);
    }
    const secret = (identityFile: string, path: string) =>
      showSecret(path, {
        identityFiles: [identityFile],
        passphrase: async () => new Secret("passphrase", Buffer.from("open sesame")),
      });
    const path = join(unpacked, `secrets/${names[0]}.age`);
    const [mine, theirs] = [
      await secret(join(unpacked, "identity.age"), path),
      await secret("secrets/demo-identity.txt", path),
    ];
    expect(Buffer.compare(mine.expose(), theirs.expose())).toBe(0);
    const [way] = JSON.parse(readFileSync(join(unpacked, "unlock.json"), "utf8"));
    expect(tangd.helped).toEqual([]);
    const { stdout: own } = await run(["clevis", "decrypt"], { stdin: way.sealed, timeoutMs: 60_000 });
    expect(own).toMatch(/^AGE-SECRET-KEY-1[A-Z0-9]{58}$/);
    writeFileSync(join(dir, "own.txt"), own);
    const again = await secret(join(dir, "own.txt"), join(unpacked, `unlock/secrets/${names[0]}.age`));
    expect(Buffer.compare(again.expose(), theirs.expose())).toBe(0);
    await expect(secret(join(dir, "own.txt"), path)).rejects.toThrow(/no given identity opens/);
  });

  it("has no secret on it in any form, nor in what is packed there, with a tree as well (F49)", async () => {
    const passphrase = randomBytes(16).toString("hex");
    writeFileSync(join(dir, "random"), `${passphrase}\n`);
    const output = join(dir, "offline.iso");
    const keys = ["-i", "secrets/demo-identity.txt", "--passphrase-file", join(dir, "random")];
    const adv = "test/fixtures/tang-advertisement.jws";
    keys.push(
      "--unlock",
      `tang:http://192.0.2.10,thumbprint=LtFgu40PBYJTVpmvMyxidfQ1itT1NRRgFfsJ61GKag4,adv=${adv}`,
    );
    const ran = await imgbuild(["rescue", "imgbuild/web", "--offline", "-o", output, ...keys], {
      env: process.env,
      timeoutMs: 900_000,
    });
    expect(ran.code, ran.stderr).toBe(0);
    const [identity = ""] = /AGE-SECRET-KEY-1[A-Z0-9]{58}/.exec(
      readFileSync("secrets/demo-identity.txt", "utf8"),
    )!;
    const opened = await showSecret("secrets/web-htpasswd.age", {
      identityFiles: ["secrets/demo-identity.txt"],
      passphrase: async () => new Secret("passphrase", Buffer.from("not asked for")),
    });
    const words = Buffer.from(opened.expose())
      .toString("utf8")
      .match(/[A-Za-z0-9]{8,}/g)!;
    const longest = words.sort((left, right) => right.length - left.length)[0]!;
    const secrets = new Map([
      ...(["passphrase", "identity", "web-htpasswd"] as const).map(
        (name, index) => [name, [passphrase, identity.slice(-40), longest][index]!] as const,
      ),
    ]);
    await tool(
      ...["xorriso", "-no_rc", "-osirrox", "on", "-indev", "/work/offline.iso"],
      ...["-extract", "/imgbuild/hosts/web", "/work/offline"],
    );
    const unpack =
      "cpio --quiet --extract --make-directories < medium.cpio && tar -xzf imgbuild/medium.tar.gz && zstd -qd --rm tree.tar.zst && test -s tree.tar";
    await run(["sh", "-c", unpack], { cwd: join(dir, "offline"), timeoutMs: 300_000 });
    expect(hitsInFile(output, secrets)).toEqual([]);
    expect(filesWith(join(dir, "offline"), secrets)).toEqual([]);
    writeFileSync(join(dir, "offline/planted"), passphrase);
    expect(filesWith(join(dir, "offline"), secrets)).toHaveLength(1);
  });

  it("makes a directory for a web server, with one whole initramfs for the definition", async () => {
    const directory = join(dir, "pxe");
    await rescue(directory, "--format", "pxe");
    expect(readdirSync(directory).sort()).toEqual([
      ...["boot.ipxe", "bootx64.efi", "grub", "grubx64.efi", "hosts", "kernel", "mmx64.efi"],
    ]);
    const base = await buildBase(outside);
    const initrd = readFileSync(join(directory, "hosts/bios-gpt/initrd"));
    const parts = Buffer.concat([readFileSync(base.outer.path), readFileSync(base.squashfs.path)]);
    expect(initrd.subarray(0, parts.length).equals(parts)).toBe(true);
    expect(initrd.includes("imgbuild/rescue.cjs", parts.length)).toBe(true);
  });

  it.each([
    ["a directory that has something in it", ["--format", "pxe", "-o", dir], /is not empty/, 1],
    ["a device", ["-o", "/dev/null"], /is not a regular file/, 1],
    ["a tree for the network", ["--format", "pxe", "--offline", "-o", join(dir, "x")], /--offline: /, 2],
    ["what opens no medium", ["--unlock", "yubikey", "-o", join(dir, "x")], /--unlock yubikey: /, 2],
    ["a definition twice", ["imgbuild/layouts/bios-gpt", "-o", join(dir, "x")], /two of the definitions/, 1],
  ] as const)("refuses %s", async (_what, argv, message, code) => {
    const ran = await imgbuild(["rescue", "imgbuild/layouts/bios-gpt", ...argv], {
      env: process.env,
      timeoutMs: 120_000,
    });
    expect(ran.stderr).toMatch(message);
    expect(ran.code).toBe(code);
  });
});

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { enrolmentFiles } from "../../../../src/boot/efi/efi-keys.ts";
import { readPe } from "../../../../src/boot/efi/pe.ts";
import { throwawaySigner } from "../../../../src/boot/efi/self-signed.ts";
import { signatureProblem } from "../../../../src/boot/efi/sign-efi.ts";
import { debianLoaders, shimCopies, stubPath } from "../../../../src/boot/efi-files.ts";
import { makeUkiPath } from "../../../../src/boot/make-uki.ts";
import { installSystemdBoot } from "../../../../src/steps/boot/install-systemd-boot.ts";
import { efiProgram } from "../../../helpers/builders/pe.ts";
import { stepBench } from "../../../helpers/fakes/step-bench.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const version = "6.1-x";
const hash = "ab".repeat(32);

/** A tree with one kernel; the program that makes unified images gives back the command line that it was told. */
function place() {
  const dir = tempDir();
  const root = join(dir, "tree");
  const put = (path: string, content: string | Uint8Array) => {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content);
  };
  for (const path of [`/boot/vmlinuz-${version}`, `/boot/initrd.img-${version}`, debianLoaders.systemdBoot])
    put(`tree${path}`, path);
  put("tree/etc/kernel/cmdline", "of the tree\n");
  put("tree/var/tmp/other", "");
  put("root-hash", `${hash}\n`);
  const asked: string[] = [];
  const run = async (
    more: Partial<z.input<typeof installSystemdBoot.schema>>,
    about: { secrets?: Readonly<Record<string, string>>; image?: Uint8Array | null } = {},
  ) => {
    const make = (argv: readonly string[]) => {
      const after = (name: string) => join(root, argv[argv.indexOf(name) + 1]!);
      if (about.image !== null)
        writeFileSync(after("--output"), about.image ?? readFileSync(after("--cmdline")));
    };
    const bench = stepBench({
      root,
      secrets: about.secrets ?? {},
      answers: { [`tree: ${makeUkiPath}`]: make },
    });
    const usual = { esp: join(dir, "esp"), cmdline: ["root=x", "ro"], title: "t", timeoutSeconds: 1 };
    await installSystemdBoot.run(installSystemdBoot.schema.parse({ ...usual, ...more }), bench.context);
    asked.push(...bench.asked);
    expect(bench.options.map(({ timeoutMs }) => timeoutMs)).toEqual(bench.asked.map(() => 600_000));
  };
  return { dir, root, put, run, asked };
}

const entry = `loader/entries/debian-${version}.conf`;
const uki = `EFI/Linux/debian-${version}.efi`;

describe("install-systemd-boot", () => {
  it("puts all on the ESP where there is no other place", async () => {
    const { dir, run } = place();
    await run({});
    const at = (path: string) => existsSync(join(dir, "esp", path));
    expect([entry, `debian/${version}/linux`, "loader/entries.srel", "EFI/BOOT/BOOTX64.EFI"].map(at)).toEqual(
      Array(4).fill(true),
    );
  });

  it("leaves a loader that is the same alone, renews one that is not, and keeps the base as what starts", async () => {
    const { dir, run } = place();
    const at = (path: string) => join(dir, "esp", path);
    const early = {
      "EFI/BOOT/BOOTX64.EFI": debianLoaders.systemdBoot,
      "EFI/systemd/systemd-bootx64.efi": "old",
    };
    for (const [path, content] of Object.entries(early)) {
      mkdirSync(dirname(at(path)), { recursive: true });
      writeFileSync(at(path), content);
    }
    const ino = (path: string) => statSync(at(path)).ino;
    const before = Object.keys(early).map(ino);
    await run({ rescue: true });
    expect(Object.keys(early).map((path) => readFileSync(at(path), "utf8"))).toEqual(
      Array(2).fill(debianLoaders.systemdBoot),
    );
    const [same, renewed] = Object.keys(early).map(ino);
    expect([same === before[0], renewed === before[1]]).toEqual([true, false]);
    expect(readFileSync(at("loader/loader.conf"), "utf8")).toMatch(/^default imgbuild-rescue\*\ntimeout 1\n/);
  });

  it.each([
    ["bls", [entry, `debian/${version}/linux`, `debian/${version}/initrd.img-${version}`]],
    ["uki", [uki]],
  ] as const)(
    "puts kernels of %s on an extended boot loader partition, and the loader on the ESP",
    async (layout, kernels) => {
      const { dir, run } = place();
      await run({ layout, kernels: join(dir, "xb") });
      for (const path of [...kernels, "loader/entries.srel"])
        expect(existsSync(join(dir, "xb", path)), path).toBe(true);
      const on = readdirSync(join(dir, "esp"), { recursive: true, encoding: "utf8" }).sort();
      expect(on.filter((path) => /\.(efi|EFI|conf|srel)$/.test(path))).toEqual([
        "EFI/BOOT/BOOTX64.EFI",
        "EFI/systemd/systemd-bootx64.efi",
        "loader/loader.conf",
      ]);
    },
  );

  it("F30: leaves no random seed, which each machine makes for itself", async () => {
    const { dir, run } = place();
    await run({});
    const on = readdirSync(join(dir, "esp"), { recursive: true, encoding: "utf8" });
    expect(on).toContain("loader/loader.conf");
    expect(on.filter((path) => /seed/.test(path))).toEqual([]);
  });

  it("writes the root hash behind the command line, in an entry and in a unified image, and leaves the tree as it was", async () => {
    const { dir, root, run } = place();
    const rootHash = join(dir, "root-hash");
    await run({ rootHash });
    expect(readFileSync(join(dir, "esp", entry), "utf8")).toContain(
      `options    root=x ro roothash=${hash}\n`,
    );
    await run({ rootHash, layout: "uki" });
    expect(readFileSync(join(dir, "esp", uki), "utf8")).toBe(`root=x ro roothash=${hash}\n`);
    expect(readdirSync(join(root, "var/tmp"))).toEqual(["other"]);
    await run({ layout: "uki" });
    expect(readFileSync(join(dir, "esp", uki), "utf8")).toBe("of the tree\n");
  });

  it("refuses a file that holds no root hash", async () => {
    const { dir, put, run } = place();
    put("root-hash", "abc\n");
    await expect(run({ rootHash: join(dir, "root-hash") })).rejects.toThrow("holds no root hash");
  });

  const mine = throwawaySigner("mine");
  const other = throwawaySigner("other");
  const keys = {
    ...{ key: "db", certificate: mine.certificate.toString(), epoch: 7, enroll: "force" as const },
    alsoTrusted: [other.certificate.toString()],
  };
  const secrets = { db: mine.keyPem };

  /** The same with programs that can be signed, as Debian signs them too. */
  function signable() {
    const made = place();
    for (const path of [`/boot/vmlinuz-${version}`, debianLoaders.systemdBoot])
      made.put(`tree${path}`, efiProgram());
    for (const path of [`${debianLoaders.systemdBoot}.signed`, ...shimCopies.map(([from]) => from)])
      made.put(`tree${path}`, path);
    const signedBy = (path: string) => {
      const program = readPe(readFileSync(join(made.dir, "esp", path)), path);
      return signatureProblem(program, mine.certificate);
    };
    return { ...made, signedBy, read: (path: string) => readFileSync(join(made.dir, "esp", path), "utf8") };
  }

  it("signs kernels with the definition's own key, takes the signed loader, and brings the keys to enrol", async () => {
    const { run, signedBy, read, dir } = signable();
    await run({ secureBoot: keys }, { secrets });
    expect(signedBy(`debian/${version}/linux`)).toBeUndefined();
    const signed = `${debianLoaders.systemdBoot}.signed`;
    expect([read("EFI/systemd/systemd-bootx64.efi"), read("EFI/BOOT/BOOTX64.EFI")]).toEqual([signed, signed]);
    const enrolled = enrolmentFiles({ ...mine }, [other.certificate], 7);
    for (const { path, content } of enrolled)
      expect(readFileSync(join(dir, "esp", path)).equals(content), path).toBe(true);
    expect(read("loader/loader.conf")).toContain("secure-boot-enroll force");
  });

  it("signs a unified image, which stands for its kernel", async () => {
    const { run, signedBy, asked } = signable();
    await run({ secureBoot: keys, layout: "uki" }, { secrets, image: efiProgram() });
    expect(signedBy(uki)).toBeUndefined();
    expect(asked).toEqual([
      [
        `tree: ${makeUkiPath}`,
        `--stub ${stubPath} --linux /boot/vmlinuz-${version} --initrd /boot/initrd.img-${version}`,
        "--cmdline /etc/kernel/cmdline --os-release /usr/lib/os-release",
        `--uname ${version} --output /var/tmp/imgbuild-${version}.efi`,
      ].join(" "),
    ]);
  });

  it("begins with Debian's shim where Debian's keys are trusted, and signs nothing itself", async () => {
    const { run, read, dir } = signable();
    await run({ secureBoot: "debian" });
    for (const [from, to] of shimCopies) expect(read(to)).toBe(from);
    expect(read("EFI/systemd/systemd-bootx64.efi")).toBe(`${debianLoaders.systemdBoot}.signed`);
    expect(readFileSync(join(dir, "esp/debian", version, "linux")).equals(efiProgram())).toBe(true);
    expect(existsSync(join(dir, "esp/loader/keys"))).toBe(false);
  });

  it("says what kind of place the entries are on, and leaves a unified layout without entries", async () => {
    const { run, read, dir } = signable();
    await run({});
    expect(read("loader/entries.srel")).toBe("type1\n");
    const other = signable();
    await other.run({ layout: "uki" });
    expect(existsSync(join(other.dir, "esp/loader/entries.srel"))).toBe(false);
    expect(existsSync(join(other.dir, "esp/loader/entries"))).toBe(false);
    expect(existsSync(join(dir, "esp", entry))).toBe(true);
  });

  it.each<[string, (made: ReturnType<typeof signable>) => void, object, string]>([
    [
      "no kernel",
      ({ root }) => rmSync(join(root, `boot/vmlinuz-${version}`)),
      {},
      "the tree has no kernel in /boot",
    ],
    [
      "no loader",
      ({ root }) => rmSync(join(root, debianLoaders.systemdBoot)),
      {},
      `the tree has no ${debianLoaders.systemdBoot}`,
    ],
    [
      "a place for images that is none",
      ({ root, put }) => {
        rmSync(join(root, "var/tmp"), { recursive: true });
        put("tree/var/tmp", "");
      },
      { layout: "uki" },
      "the tree's /var/tmp is no directory",
    ],
    [
      "no place for images",
      ({ root }) => rmSync(join(root, "var/tmp"), { recursive: true }),
      { layout: "uki" },
      "the tree's /var/tmp is no directory",
    ],
    [
      "a key that is not at hand",
      () => {},
      { secureBoot: { ...keys, key: "gone" } },
      "the Secure Boot key gone is not at hand",
    ],
  ])("refuses %s", async (_what, damage, more, message) => {
    const made = signable();
    damage(made);
    await expect(made.run(more, { secrets })).rejects.toThrow(message);
  });

  it("refuses a program that has made no image, and clears up", async () => {
    const { run, root } = signable();
    await expect(run({ layout: "uki" }, { image: null })).rejects.toThrow(`${makeUkiPath} made no image`);
    expect(readdirSync(join(root, "var/tmp"))).toEqual(["other"]);
  });

  it.each([hash.slice(1), `${hash}a`, `x${hash}`, hash.toUpperCase()])(
    "takes %s for no root hash",
    async (text) => {
      const { dir, put, run } = place();
      put("root-hash", text);
      await expect(run({ rootHash: join(dir, "root-hash") })).rejects.toThrow("holds no root hash");
    },
  );
});

import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { readPe } from "../../../../src/boot/efi/pe.ts";
import { throwawaySigner } from "../../../../src/boot/efi/self-signed.ts";
import { signatureProblem } from "../../../../src/boot/efi/sign-efi.ts";
import { debianLoaders, grubCopies } from "../../../../src/boot/efi-files.ts";
import { bootCode, grubModules, placedCore } from "../../../../src/boot/grub.ts";
import { loaderStampPath } from "../../../../src/boot/kernel-hooks.ts";
import { installGrub } from "../../../../src/steps/boot/install-grub.ts";
import { installGrubEfi } from "../../../../src/steps/boot/install-grub-efi.ts";
import { certificateOf, signerIn, signLoader } from "../../../../src/steps/boot/sign-loader.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { efiProgram } from "../../../helpers/builders/pe.ts";
import { type Answers, stepBench } from "../../../helpers/fakes/step-bench.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const mib = 2 ** 20;

function treeWith(files: Readonly<Record<string, Uint8Array | string>>): string {
  const root = join(tempDir(), "tree");
  mkdirSync(root);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

describe("install-grub", () => {
  const core = Buffer.alloc(1300, 0x5a);
  const boot = Buffer.alloc(512, 0xaa);

  function bench(answers: Answers = {}) {
    const dir = tempDir();
    const image = join(dir, "disk.raw");
    writeFileSync(image, Buffer.alloc(4 * mib, 7));
    const scratch = join(dir, "deep/scratch");
    const at = (name: string) => join(scratch, name);
    let config = "";
    const one = stepBench({
      answers: {
        "grub-mkimage": () => {
          config = readFileSync(at("grub-embedded.cfg"), "utf8");
          writeFileSync(at("grub-core.img"), core);
        },
        cp: (argv) => writeFileSync(argv.at(-1)!, boot),
        ...answers,
      },
    });
    const input = { target: { image }, startBytes: mib, sizeBytes: mib, config: "search x\n", scratch };
    const run = async () => await installGrub.run(input, one.context);
    return { ...one, image, scratch, at, run, config: () => config };
  }

  it("embeds the core image at its place, boot code before the table, and leaves all else", async () => {
    const { run, asked, image, at, scratch, config } = bench();
    await run();
    expect(asked).toEqual([
      [
        "grub-mkimage --format i386-pc --directory /usr/lib/grub/i386-pc --prefix /boot/grub",
        `--config ${at("grub-embedded.cfg")} --output ${at("grub-core.img")} ${grubModules.join(" ")}`,
      ].join(" "),
      `cp -- /usr/lib/grub/i386-pc/boot.img ${at("grub-boot.img")}`,
    ]);
    expect(config()).toBe("search x\n");
    const content = readFileSync(image);
    const placed = placedCore(core, mib, mib);
    const code = bootCode(boot, mib);
    expect(content.subarray(0, code.length).equals(code)).toBe(true);
    expect(content.subarray(mib, mib + placed.length).equals(placed)).toBe(true);
    const rest = [content.subarray(code.length, mib), content.subarray(mib + placed.length)];
    expect(rest.every((part) => part.every((byte) => byte === 7))).toBe(true);
    expect([content.length, readdirSync(scratch)]).toEqual([4 * mib, []]);
  });

  it("writes nothing when an image cannot be made, and leaves no files", async () => {
    const { run, image, scratch } = bench({ cp: new Error("no boot.img") });
    await expect(run()).rejects.toThrow("no boot.img");
    expect(readFileSync(image).every((byte) => byte === 7)).toBe(true);
    expect(readdirSync(scratch)).toEqual([]);
  });
});

describe("install-grub-efi", () => {
  it.each([true, false])(
    "puts Debian's programs and the way to the menu on the ESP, shim: %s",
    async (shim) => {
      const copies = grubCopies(shim);
      const root = treeWith(Object.fromEntries(copies.map(([from]) => [from, from])));
      const esp = join(root, "../esp");
      await installGrubEfi.run({ esp, shim, config: "configfile x\n" }, stepBench({ root }).context);
      for (const [from, to] of copies) expect(readFileSync(join(esp, to), "utf8")).toBe(from);
      expect(readFileSync(join(esp, "EFI/debian/grub.cfg"), "utf8")).toBe("configfile x\n");
    },
  );

  it("refuses a tree that lacks one of them", async () => {
    const root = treeWith({ "etc/x": "" });
    const run = installGrubEfi.run(
      { esp: join(root, "../esp"), shim: true, config: "" },
      stepBench({ root }).context,
    );
    await expect(run).rejects.toMatchObject({
      message: `the tree has no ${grubCopies(true)[0]![0]}`,
      hint: expect.stringMatching(/lock the definition again/),
    });
  });
});

describe("sign-loader", () => {
  const mine = throwawaySigner("mine");
  const pem = mine.key.export({ type: "pkcs8", format: "pem" });
  const keys = {
    ...{ key: "db", certificate: mine.certificate.toString(), alsoTrusted: [], epoch: 7 },
    enroll: "off" as const,
  };
  const loader = debianLoaders.systemdBoot;

  it("puts a signed loader beside the package's, with the stamp by which a change is seen", async () => {
    const program = efiProgram();
    const root = treeWith({ [loader]: program, [loaderStampPath]: "old" });
    await signLoader.run(keys, stepBench({ root, secrets: { db: pem } }).context);
    const signed = readPe(readFileSync(join(root, `${loader}.signed`)), "x");
    expect(signatureProblem(signed, mine.certificate)).toBeUndefined();
    expect(readFileSync(join(root, loader)).equals(program)).toBe(true);
    expect(readFileSync(join(root, loaderStampPath), "utf8")).toBe(`${sha256(program)}\n`);
    expect(lstatSync(join(root, loaderStampPath)).isFile()).toBe(true);
  });

  it("refuses a tree without the loader", async () => {
    const { context } = stepBench({ root: treeWith({ "etc/x": "" }), secrets: { db: pem } });
    await expect(signLoader.run(keys, context)).rejects.toMatchObject({
      message: `the tree has no ${loader}`,
      hint: "lock the definition again",
    });
  });

  it.each([
    ["no secret", {}, keys, "the Secure Boot key db is not at hand", /identity that opens it/],
    [
      "a secret that is no key",
      { db: "no key" },
      keys,
      /^the secret db holds no private key in PEM/,
      /passphrase/,
    ],
    [
      "a certificate that is none",
      { db: pem },
      { ...keys, certificate: "none" },
      "boot.secureBoot names a certificate that is none",
      /PEM/,
    ],
  ])("refuses %s", (_what, secrets, given, message, hint) => {
    const { context } = stepBench({ secrets });
    let caught: unknown;
    try {
      signerIn(context, given);
    } catch (error) {
      caught = error;
    }
    expect(caught).toMatchObject({
      message: typeof message === "string" ? message : expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    });
  });

  it("finds key and certificate in PEM, wherever the key's bytes lie", () => {
    const { context } = stepBench({ secrets: { db: pem } });
    const inMore = Buffer.concat([Buffer.from("before"), Buffer.from(pem)]).subarray(6);
    const moved = stepBench({ secrets: { db: inMore } });
    for (const one of [context, moved.context])
      expect(signerIn(one, keys).certificate.raw.equals(mine.certificate.raw)).toBe(true);
    expect(certificateOf(keys.certificate).subject).toBe("CN=mine");
  });
});

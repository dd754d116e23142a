import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { kernelVersions, makeInitramfs } from "../../../../src/steps/boot/make-initramfs.ts";
import { makeLocale } from "../../../../src/steps/tree/make-locale.ts";
import { placeFiles } from "../../../../src/steps/tree/place-files.ts";
import { setServices } from "../../../../src/steps/tree/set-services.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { stepBench } from "../../../helpers/fakes/step-bench.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

function withKernels(...versions: string[]): string {
  const root = tempDir();
  mkdirSync(join(root, "boot"));
  for (const version of versions) writeFileSync(join(root, `boot/vmlinuz-${version}`), "");
  writeFileSync(join(root, "boot/initrd.img-6.1.0-9"), "");
  return root;
}

describe("make-initramfs", () => {
  it("makes each kernel's, the newest last, of a given time, and the links to it", async () => {
    const { context, asked, options } = stepBench({ root: withKernels("6.1.0-10", "6.1.0-9") });
    await makeInitramfs.run({ epoch: 7 }, context);
    expect(asked).toEqual(
      ["6.1.0-9", "6.1.0-10"].flatMap((version) => [
        `tree: update-initramfs -c -k ${version}`,
        `tree: linux-update-symlinks install ${version} /boot/vmlinuz-${version}`,
      ]),
    );
    expect(options[0]).toMatchObject({
      env: { PATH: expect.any(String), SOURCE_DATE_EPOCH: "7" },
      timeoutMs: 3_600_000,
      signal: context.signal,
      hint: expect.stringMatching(/initramfs-tools/),
    });
  });

  it("refuses a tree without a kernel", async () => {
    const { context } = stepBench({ root: withKernels() });
    await expect(makeInitramfs.run({ epoch: 7 }, context)).rejects.toMatchObject({
      message: "the tree has no kernel in /boot",
      hint: expect.stringMatching(/linux-image/),
    });
    expect(kernelVersions(context.root)).toEqual([]);
  });
});

describe("make-locale", () => {
  it("has the tree's own program make it", async () => {
    const { context, asked, options } = stepBench();
    await makeLocale.run({}, context);
    expect(asked).toEqual(["tree: locale-gen"]);
    expect(options[0]).toMatchObject({
      timeoutMs: 1_800_000,
      signal: context.signal,
      hint: expect.stringMatching(/locales/),
    });
  });
});

describe("set-services", () => {
  it("enables, then disables, then masks, and asks for nothing where there is nothing", async () => {
    const { context, asked, options } = stepBench();
    await setServices.run(
      { mask: ["d.service"], enable: ["a.service", "b.timer"], disable: ["c.service"] },
      context,
    );
    expect(asked).toEqual([
      "tree: systemctl --quiet enable -- a.service b.timer",
      "tree: systemctl --quiet disable -- c.service",
      "tree: systemctl --quiet mask -- d.service",
    ]);
    expect(options[0]!.hint).toMatch(/neither in a package nor declared/);
    const none = stepBench();
    await setServices.run({ enable: [], disable: [], mask: [] }, none.context);
    expect(none.asked).toEqual([]);
  });
});

describe("place-files", () => {
  const placed = { path: "/etc/motd", mode: "0644", sha256: sha256("new") };

  it("places nothing that did not come along, or is not what the plan was made of", async () => {
    const root = tempDir();
    mkdirSync(join(root, "etc"));
    writeFileSync(join(root, "etc/motd"), "old");
    const files = tempDir();
    mkdirSync(join(files, "etc"));
    writeFileSync(join(files, "etc/motd"), "changed");
    await expect(placeFiles.run({ files: [placed] }, stepBench({ root }).context)).rejects.toThrow(
      "/etc/motd did not come along",
    );
    const { context } = stepBench({ root, context: { files } });
    await expect(placeFiles.run({ files: [placed] }, context)).rejects.toMatchObject({
      message: "/etc/motd of files/ has changed since the plan was made",
      hint: "start again",
    });
    expect(readFileSync(join(root, "etc/motd"), "utf8")).toBe("old");
  });
});

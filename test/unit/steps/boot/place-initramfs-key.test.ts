import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { initramfsKeyFile, placeInitramfsKey } from "../../../../src/steps/boot/place-initramfs-key.ts";
import { initramfsKeyName } from "../../../../src/steps/tree/write-secrets.ts";
import { stepBench } from "../../../helpers/fakes/step-bench.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const versions = ["6.1.0-9-amd64", "6.12.0-amd64"];

/** A tree with two kernels, whose dropbear writes a key of its own format. */
function bench(
  secrets: Record<string, string> = { [initramfsKeyName]: "as OpenSSH writes it" },
  made = "KEY",
) {
  const root = tempDir();
  for (const path of ["boot", "etc/dropbear/initramfs"]) mkdirSync(join(root, path), { recursive: true });
  for (const version of versions)
    for (const name of ["vmlinuz", "initrd.img"])
      writeFileSync(join(root, `boot/${name}-${version}`), `${name} ${version}`, { mode: 0o644 });
  const answers = { "tree: dropbearconvert": () => writeFileSync(join(root, initramfsKeyFile), made) };
  return { root, ...stepBench({ root, secrets, answers }) };
}

describe("the SSH host key of an initramfs", () => {
  it("comes before each initramfs, in an archive of its own, and where apt's next one is made", async () => {
    const { root, context, asked, options } = bench();
    await placeInitramfsKey.run({ expected: true }, context);
    expect(asked).toEqual([`tree: dropbearconvert openssh dropbear - ${initramfsKeyFile}`]);
    expect(Buffer.from(options[0]!.stdin!).toString()).toBe("as OpenSSH writes it");
    expect(statSync(join(root, initramfsKeyFile)).mode & 0o777).toBe(0o600);
    for (const version of versions) {
      const path = join(root, `boot/initrd.img-${version}`);
      const bytes = readFileSync(path, "latin1");
      expect(statSync(path).mode & 0o777).toBe(0o600);
      const own = bytes.slice(0, -`initrd.img ${version}`.length);
      expect(bytes.slice(own.length)).toBe(`initrd.img ${version}`);
      expect(own).toMatch(
        /^070701[\s\S]*etc\/dropbear\/dropbear_ed25519_host_key\0[\s\S]*KEY[\s\S]*TRAILER!!!/,
      );
      expect(own.length % 512).toBe(0);
    }
  });

  it("must come along with a deploy, and need not with a tree without secrets", async () => {
    const { root, context } = bench({ token: "another secret" });
    await expect(placeInitramfsKey.run({ expected: true }, context)).rejects.toThrow(
      "no SSH host key for the initramfs came along",
    );
    await placeInitramfsKey.run({ expected: false }, context);
    expect(readFileSync(join(root, `boot/initrd.img-${versions[0]}`), "utf8")).toBe(
      `initrd.img ${versions[0]}`,
    );
  });

  it("is no empty file, which dropbear would take for none", async () => {
    await expect(placeInitramfsKey.run({ expected: true }, bench(undefined, "").context)).rejects.toThrow(
      "dropbear made nothing of the SSH host key",
    );
  });
});

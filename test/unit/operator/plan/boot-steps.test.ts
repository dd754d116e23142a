import { describe, expect, it } from "vitest";
import { throwawaySigner } from "../../../../src/boot/efi/self-signed.ts";
import { hasOwnBoot } from "../../../../src/operator/check/boot-place.ts";
import {
  bootSteps,
  checkSigningKey,
  firmwareLoader,
  kernelCmdline,
  rootUuidOf,
  signSteps,
} from "../../../../src/operator/plan/boot-steps.ts";
import type { SpecInput } from "../../../../src/schema/spec.ts";
import { writtenDisks } from "../../../../src/storage/graph/check-storage.ts";
import { filesystemUuid } from "../../../../src/storage/graph/ids.ts";
import { layoutOf } from "../../../../src/storage/table/gpt.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { serverSpec } from "../../../helpers/builders/deployable.ts";
import { mib } from "../../../helpers/builders/storage.ts";

const seed = "seed";
const uuid = filesystemUuid(seed, "system", "root");

function boot(change: Partial<SpecInput> = {}) {
  const spec = serverSpec(change);
  const disks = writtenDisks(spec.storage!).map(([name, disk]) => ({
    layout: layoutOf(disk, 4096 * mib, 512, { seed, name }),
    target: { image: "/w/disk.raw" },
  }));
  const cmdline = kernelCmdline(spec, seed, ["tty0", "ttyS0,115200"]);
  const places = { esp: "/w/esp", xbootldr: "/w/xbootldr", scratch: "/w/s", epoch: 1 };
  const rootAt = { image: "/w/disk.raw", offsetBytes: 3 * mib };
  return bootSteps(spec, seed, { cmdline, consoles: ["tty0"], ...places, disks, rootAt });
}

describe("kernelCmdline", () => {
  it("names the root filesystem, the consoles in their order, then the definition's words", () => {
    expect(
      kernelCmdline(serverSpec({ boot: { cmdline: ["quiet", "a=b"] } }), seed, ["tty0", "ttyS0,9600"]),
    ).toEqual([`root=UUID=${uuid}`, "ro", "console=tty0", "console=ttyS0,9600", "quiet", "a=b"]);
  });

  it("needs a root filesystem", () => {
    expect(rootUuidOf(serverSpec(), seed)).toBe(uuid);
    expect(() => rootUuidOf(serverSpec({ storage: undefined }), seed)).toThrow(
      "the definition has no root filesystem",
    );
  });
});

describe("bootSteps", () => {
  it("serve both firmwares: GRUB's menu, an ESP filled, GRUB embedded where its partition lies, all verified", () => {
    const { filesystem, grub, verify } = boot();
    const menu = expect.stringContaining(`linux /vmlinuz root=UUID=${uuid} ro console=tty0`);
    expect(filesystem).toMatchObject([
      { kind: "write-files", files: [{ path: "/boot/grub/grub.cfg", content: menu }] },
      { kind: "install-systemd-boot", esp: "/w/esp", layout: "bls", timeoutSeconds: 1 },
    ]);
    const core = { target: { image: "/w/disk.raw" }, startBytes: mib, sizeBytes: mib };
    expect(grub).toMatchObject([
      { kind: "install-grub", ...core, config: expect.stringContaining(`search.fs_uuid ${uuid} root`) },
    ]);
    expect(verify).toMatchObject([
      {
        kind: "verify-boot",
        rootUuid: uuid,
        modules: ["ext4"],
        menu: { uuid, linksIn: "/" },
        esp: { path: "/w/esp", loader: "systemd-boot", sizeBytes: 256 * mib },
        cores: [core],
        rootAt: { image: "/w/disk.raw", offsetBytes: 3 * mib },
        mounted: false,
      },
    ]);
  });

  it("serve only the firmware that the definition names, and none where it does not boot", () => {
    const uefi = boot({ boot: { firmware: ["uefi"] } });
    expect([uefi.filesystem.length, uefi.grub.length]).toEqual([1, 0]);
    expect(uefi.verify).toMatchObject([{ esp: { path: "/w/esp" }, cores: [] }]);
    expect(uefi.verify[0]).not.toHaveProperty("menu");
    const bios = boot({ boot: { firmware: ["bios"] } });
    expect([bios.filesystem.map(({ kind }) => kind), bios.grub.length]).toEqual([["write-files"], 1]);
    expect(bios.verify[0]).not.toHaveProperty("esp");
    expect(boot({ boot: undefined })).toEqual({
      ...{ first: [], filesystem: [], grub: [], verify: [], last: [] },
    });
  });

  it("put kernels on an extended boot loader partition, where there is one, and look for them there", () => {
    const change = structuredClone(serverSpec().storage!) as unknown as {
      disks: { system: { table: { partitions: object[] } } };
    };
    const content = { type: "vfat", mount: "/xbootldr" };
    change.disks.system.table.partitions.splice(2, 0, {
      name: "xb",
      type: "xbootldr",
      size: "512MiB",
      content,
    });
    const { filesystem, verify } = boot({ storage: change as never });
    expect(filesystem[1]).toMatchObject({ esp: "/w/esp", kernels: "/w/xbootldr" });
    expect(verify[0]?.esp).toMatchObject({
      path: "/w/esp",
      sizeBytes: 256 * mib,
      kernels: { path: "/w/xbootldr", sizeBytes: 512 * mib },
    });
  });

  it("fill the ESP with unified images, or with GRUB that shares its menu with BIOS", () => {
    expect(boot({ boot: { loader: "uki" } }).filesystem[1]).toMatchObject({ layout: "uki" });
    const grub = boot({ boot: { loader: "grub", secureBoot: "debian" } });
    expect(grub.filesystem).toMatchObject([
      { kind: "write-files" },
      {
        kind: "install-grub-efi",
        shim: true,
        config: `search.fs_uuid ${uuid} root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n`,
      },
    ]);
    expect(grub.verify[0]).toMatchObject({ esp: { loader: "grub", secureBoot: "debian" } });
  });

  it("sign by the key's name alone: the key comes with the secrets", () => {
    const secureBoot = { key: "sb", certificate: "-----BEGIN CERTIFICATE-----" };
    const { filesystem, verify } = boot({ boot: { firmware: ["uefi"], loader: "uki", secureBoot } });
    const keys = { ...secureBoot, alsoTrusted: [], enroll: "if-safe", epoch: 1 };
    expect(filesystem[0]?.secureBoot).toEqual(keys);
    expect(verify[0]?.esp).toMatchObject({ secureBoot: { certificate: secureBoot.certificate } });
    const spec = serverSpec({ boot: { secureBoot } });
    expect(signSteps(spec, 1)).toMatchObject([{ kind: "sign-loader", ...keys }]);
    expect(signSteps(serverSpec({ boot: { secureBoot: "debian" } }), 1)).toEqual([]);
  });

  it("are refused where the key is missing, none, or not that of the certificate, before anything is made", () => {
    const [mine, other] = [throwawaySigner("mine"), throwawaySigner("other")];
    const spec = serverSpec({
      boot: { secureBoot: { key: "sb", certificate: mine.certificate.toString() } },
    });
    const check = (text?: string) =>
      checkSigningKey(spec, new Map(text === undefined ? [] : [["sb", new Secret("sb", Buffer.from(text))]]));
    check(mine.keyPem);
    expect(() => check()).toThrow("the Secure Boot key sb is not at hand");
    expect(() => check(other.keyPem)).toThrow("the certificate of boot.secureBoot is not that of the key sb");
    expect(() => check("not a key")).toThrow("the secret sb holds no private key in PEM");
    checkSigningKey(serverSpec(), new Map());
  });

  it("name in the firmware what it starts first", () => {
    const first = (change: SpecInput["boot"]) => firmwareLoader(serverSpec({ boot: change }).boot!);
    expect(first({})).toBe("\\EFI\\systemd\\systemd-bootx64.efi");
    expect(first({ loader: "uki" })).toBe("\\EFI\\systemd\\systemd-bootx64.efi");
    expect(first({ loader: "grub" })).toBe("\\EFI\\debian\\grubx64.efi");
    expect(first({ loader: "grub", secureBoot: "debian" })).toBe("\\EFI\\debian\\shimx64.efi");
  });

  it("look for kernels on a filesystem of /boot's own, where there is one", () => {
    const change = serverSpec().storage!;
    const system = structuredClone(change.disks.system) as {
      table: { partitions: { content?: { mount: string } }[] };
    };
    system.table.partitions[2]!.content!.mount = "/boot";
    const storage = { ...change, disks: { ...change.disks, system } } as never;
    const { filesystem, grub, verify } = boot({ storage });
    const place = { uuid: filesystemUuid(seed, "system", "var"), linksIn: "/boot" };
    expect(verify[0]).toMatchObject({ menu: place, rootUuid: uuid });
    expect(grub[0]?.config).toBe(`search.fs_uuid ${place.uuid} root\nset prefix=($root)/grub\n`);
    expect(JSON.stringify(filesystem[0])).toContain(`--set=root ${place.uuid}`);
    expect([hasOwnBoot(serverSpec({ storage })), hasOwnBoot(serverSpec())]).toEqual([true, false]);
  });
});

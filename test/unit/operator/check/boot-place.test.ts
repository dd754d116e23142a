import { describe, expect, it } from "vitest";
import {
  biosBoot,
  btrfs,
  disk,
  esp,
  ext4,
  gpt,
  luks,
  lvmPv,
  mbr,
  mdMember,
  raid,
  root,
  volumeGroup,
} from "../../../../src/dsl/index.ts";
import {
  bootDisks,
  bootPlace,
  coreRooms,
  initramfsNeeds,
  unreadByGrub,
} from "../../../../src/operator/check/boot-place.ts";
import { Spec, type SpecInput } from "../../../../src/schema/spec.ts";
import { writtenDisks } from "../../../../src/storage/graph/check-storage.ts";
import { layoutOf } from "../../../../src/storage/table/gpt.ts";
import { mib } from "../../../helpers/builders/storage.ts";

type StorageInput = NonNullable<SpecInput["storage"]>;
const specOf = (storage: StorageInput) => Spec.parse({ hostname: "web", storage, boot: {} });
const one = (table: Parameters<typeof disk>[0]["table"]) => ({
  disks: { system: disk({ match: { serial: "S" }, table }) },
});
const part = (name: string, content: object, size = "rest") =>
  ({ name, type: "linux" as const, size, content }) as never;
const rooms = (storage: StorageInput) => {
  const spec = specOf(storage);
  return writtenDisks(spec.storage!).flatMap(([name, written]) =>
    coreRooms(layoutOf(written, 4096 * mib, 512, { seed: "s", name }), bootDisks(spec.storage)).map(
      (room) => ({ name, ...room }),
    ),
  );
};

describe("the room for GRUB's core image", () => {
  it("is the bios-boot partition of a GPT disk", () => {
    expect(rooms(one(gpt(biosBoot(), esp(), root())))).toEqual([
      { name: "system", startBytes: mib, sizeBytes: mib },
    ]);
  });

  it("is the gap of an MBR disk, behind its table and before the first partition, where /boot lies", () => {
    const data = disk({ match: { serial: "D" }, table: mbr(part("data", ext4({ mount: "/srv" }))) });
    const system = one(mbr(part("root", ext4({ mount: "/" }))));
    expect(rooms({ disks: { ...system.disks, data } })).toEqual([
      { name: "system", startBytes: 512, sizeBytes: mib - 512 },
    ]);
  });

  it("is on each disk of a mirror", () => {
    const member = (serial: string) => disk({ match: { serial }, table: mbr(part("r", mdMember("root"))) });
    const storage = {
      disks: { a: member("A"), b: member("B") },
      arrays: { root: raid(1, { content: ext4({ mount: "/" }) }) },
    };
    expect(rooms(storage as StorageInput).map(({ name }) => name)).toEqual(["a", "b"]);
  });
});

describe("the place of /boot", () => {
  it("is named as GRUB sees it, also in a subvolume", () => {
    const place = bootPlace(specOf(one(gpt(part("r", btrfs({ subvolumes: { "@": { mount: "/" } } }))))), "s");
    expect(place).toMatchObject({ directory: "/@/boot", links: "/@" });
    const own = one(gpt(part("boot", ext4({ mount: "/boot" }), "512MiB"), root()));
    expect(bootPlace(specOf(own), "s")).toMatchObject({ directory: "", links: "" });
    expect(bootPlace(specOf(one(gpt(root()))), "s")).toMatchObject({ directory: "/boot", links: "" });
  });

  it("is told to be unreadable for GRUB inside of LUKS, unless /boot lies apart", () => {
    const crypt = part("r", luks({ name: "root", key: "k", content: ext4({ mount: "/" }) }));
    expect(unreadByGrub(specOf(one(gpt(crypt))).storage!)).toBe("inside of LUKS");
    const apart = one(gpt(part("boot", ext4({ mount: "/boot" }), "512MiB"), crypt));
    expect(unreadByGrub(specOf(apart).storage!)).toBeUndefined();
  });
});

describe("initramfsNeeds", () => {
  it("are the root's own module and what opens the way to it", () => {
    expect(initramfsNeeds(specOf(one(gpt(root()))), "s")).toEqual({ modules: ["ext4"], programs: [] });
    const stack = luks({ name: "pv", key: "k", content: lvmPv("vg") as never });
    const storage = {
      ...one(gpt(part("boot", ext4({ mount: "/boot" }), "512MiB"), part("pv", stack))),
      volumeGroups: { vg: volumeGroup({ root: { size: "rest", content: ext4({ mount: "/" }) } }) },
    };
    const needs = initramfsNeeds(specOf(storage as StorageInput), "s");
    expect(needs.programs.sort()).toEqual(["cryptsetup", "lvm"]);
    expect(needs.modules.map((name) => name.replaceAll("-", "_"))).toEqual(
      expect.arrayContaining(["ext4", "dm_crypt", "dm_mod"]),
    );
  });

  it("are clevis' own program too where a TPM or a tang server opens the root", () => {
    const programs = (unlock: object) => {
      const content = luks({ name: "r", key: "k", unlock, content: ext4({ mount: "/" }) } as never);
      return initramfsNeeds(specOf(one(gpt(part("r", content)))), "s").programs;
    };
    expect(programs({ type: "tpm2" })).toEqual(["cryptsetup", "clevis-decrypt-tpm2"]);
    const tang = { type: "tang", url: "http://192.0.2.1", thumbprint: "a".repeat(43) };
    expect(programs(tang)).toEqual(["cryptsetup", "clevis-decrypt-tang"]);
    expect(programs({ type: "passphrase" })).toEqual(["cryptsetup"]);
  });
});

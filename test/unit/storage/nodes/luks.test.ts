import { describe, expect, it } from "vitest";
import { partitionUuid } from "../../../../src/storage/graph/ids.ts";
import { luksUuid } from "../../../../src/storage/nodes/luks.ts";
import { storagePackages } from "../../../../src/storage/system/storage-config.ts";
import { argvOf, fileOf, holding } from "../../../helpers/builders/storage.ts";
import { stepsFor, storageFor } from "../../../helpers/builders/storage-steps.ts";

const luks = (more: object = {}) =>
  holding({ type: "luks", name: "crypt", key: "k", content: { type: "ext4", mount: "/srv" }, ...more });
const uuid = luksUuid("s", { name: "crypt" });
const kdf = { memory: "32MiB", iterations: 4 };
const kinds = (steps: readonly { kind: string }[]) => steps.map(({ kind }) => kind);

describe("luks", () => {
  it("formats, opens and fills; the key is named, and never written down", () => {
    const { create, open, close } = stepsFor([[luks({ discard: true })]]);
    expect(argvOf(create)).toEqual([
      `cryptsetup luksFormat --type=luks2 --batch-mode --uuid=${uuid} --key-file=- <a:1>`,
    ]);
    expect(create.find(({ kind }) => kind === "make-storage")?.commands).toMatchObject([
      { secrets: [{ name: "k", trim: true }] },
    ]);
    expect(kinds(create)).toEqual(["partition-disk", "make-storage", "open-luks", "mkfs-ext4", "mkfs-ext4"]);
    expect(create[3]).toMatchObject({ device: { luks: { name: "crypt", uuid } } });
    expect(open).toMatchObject([{ kind: "open-luks", name: "crypt", uuid, secret: "k", discard: true }]);
    expect(close).toMatchObject([{ kind: "close-luks", name: "crypt", uuid }]);
  });

  it("says what a passphrase may cost, and gives both keys on stdin, one after the other", () => {
    const { create } = stepsFor([[luks({ kdf, recoveryKey: "r" })]]);
    const costs = "--pbkdf=argon2id --pbkdf-memory=32768 --pbkdf-force-iterations=4 --pbkdf-parallel=1";
    expect(argvOf(create)).toEqual([
      `cryptsetup luksFormat --type=luks2 --batch-mode --uuid=${uuid} ${costs} --key-file=- <a:1>`,
      `cryptsetup luksAddKey --batch-mode ${costs} --key-file=- --keyfile-size=FIRST <a:1> -`,
    ]);
    expect(create.find(({ kind }) => kind === "make-storage")?.commands).toMatchObject([
      {},
      { secrets: [{ name: "k" }, { name: "r", trim: true }] },
    ]);
  });

  it("puts the header elsewhere", () => {
    const header = holding({ type: "luks-header", volume: "crypt" }, "16MiB", "header");
    const { create, open, config } = stepsFor([[luks({ detachedHeader: true })], [header]]);
    expect(argvOf(create)).toEqual([
      `cryptsetup luksFormat --type=luks2 --batch-mode --uuid=${uuid} --header <b:1> --key-file=- <a:1>`,
    ]);
    expect(open).toMatchObject([{ header: { partition: { disk: { name: "b" }, number: 1 } } }]);
    const at = (disk: string, name: string) => `/dev/disk/by-partuuid/${partitionUuid("s", disk, name)}`;
    expect(fileOf(config, "/etc/crypttab")).toBe(
      `crypt ${at("a", "data")} none luks,header=${at("b", "header")}\n`,
    );
  });

  it.each<[string, object, string, string[]]>([
    ["a passphrase", {}, `crypt UUID=${uuid} none luks\n`, []],
    [
      "a key file",
      { unlock: { type: "key-file" }, options: ["nofail"] },
      `crypt UUID=${uuid} /etc/keys/k luks,nofail\n`,
      [],
    ],
    [
      "tang",
      {
        unlock: { type: "tang", url: "http://192.0.2.1", thumbprint: "a".repeat(43) },
      },
      `crypt UUID=${uuid} none luks,_netdev\n`,
      ["clevis", "clevis-luks", "clevis-systemd", "curl"],
    ],
    [
      "a TPM",
      { unlock: { type: "tpm2" }, discard: true },
      `crypt UUID=${uuid} none luks,discard\n`,
      ["clevis", "clevis-luks", "clevis-systemd", "clevis-tpm2"],
    ],
  ])("tells crypttab of %s, and asks for its packages", (_name, more, crypttab, packages) => {
    const storage = storageFor([[luks(more)]]);
    expect(fileOf(stepsFor([[luks(more)]], {}, { k: { path: "/etc/keys/k" } }).config, "/etc/crypttab")).toBe(
      crypttab,
    );
    expect(storagePackages(storage, "trixie")).toEqual(
      ["cryptsetup", "systemd-cryptsetup", ...packages].sort(),
    );
    expect(storagePackages(storage, "bookworm")).not.toContain("systemd-cryptsetup");
  });

  it("gets the root's volume into the initramfs, and says so where a hook could not find out", () => {
    const content = { type: "luks", name: "crypt", key: "k", content: { type: "ext4", mount: "/" } };
    const tang = { unlock: { type: "tang", url: "http://192.0.2.1", thumbprint: "a".repeat(43) } };
    const storage = storageFor([[holding({ ...content, ...tang })]]);
    const disk = storage.disks.a!;
    if ("table" in disk) disk.table.partitions.pop();
    const { config } = stepsFor([[]], { disks: storage.disks });
    expect(fileOf(config, "/etc/crypttab")).toBe(`crypt UUID=${uuid} none luks,initramfs\n`);
    const network = config.files.filter(({ path }) => path.endsWith("/imgbuild-network"));
    expect(network).toMatchObject([
      { mode: "0755", content: expect.stringContaining("auto_add_modules net") },
    ]);
    // clevis asks for an address by itself; others would ask too, where nobody wants it.
    expect(config.cmdline.join(" ")).not.toContain("ip=");
    const other = stepsFor([[luks(tang)]]).config.files.map(({ path }) => path);
    expect(other.filter((path) => path.includes("network"))).toEqual([]);
    expect(config.modules).toContain("dm-crypt");
    expect(storagePackages(storage, "trixie")).toEqual([
      ...["clevis", "clevis-initramfs", "clevis-luks", "cryptsetup", "cryptsetup-initramfs", "curl"],
    ]);
  });

  it("lets the new system's clevis enter TPM or tang, once it is there", () => {
    const { enroll } = stepsFor([[luks({ unlock: { type: "tpm2", pcrs: [0, 7] } })]]);
    expect(enroll).toMatchObject([
      {
        kind: "enroll-clevis",
        device: { partition: { number: 1 } },
        secret: "k",
        pin: "tpm2",
        config: '{"pcr_bank":"sha256","pcr_ids":"0,7"}',
      },
    ]);
    expect(enroll[0]).not.toHaveProperty("advertisement");
    expect(enroll[0]!.doing).toBe("letting the TPM open crypt");
    const any = stepsFor([[luks({ unlock: { type: "tpm2" } })]]);
    expect(any.enroll).toMatchObject([{ pin: "tpm2", config: "{}" }]);
    expect(any.open[0]).not.toHaveProperty("header");
    expect(stepsFor([[luks()]]).enroll).toEqual([]);
  });

  it("asks the tang server for its keys before anything is written, and enrolls by what it said", () => {
    const unlock = { type: "tang", url: "http://192.0.2.1", thumbprint: "a".repeat(43) };
    const { prepare, enroll } = stepsFor([[luks({ unlock })]]);
    const [ask, ...others] = prepare();
    const file = "/run/imgbuild/tang-crypt.json";
    expect(ask).toMatchObject({ kind: "ask-tang", url: unlock.url, thumbprint: unlock.thumbprint, file });
    expect(kinds(others)).toEqual(["close-disks"]);
    expect(enroll[0]!.doing).toBe("letting http://192.0.2.1 open crypt");
    expect(enroll).toMatchObject([
      {
        kind: "enroll-clevis",
        pin: "tang",
        config: `{"url":"http://192.0.2.1","thp":"${unlock.thumbprint}"}`,
        advertisement: file,
      },
    ]);
    expect(kinds(stepsFor([[luks({ unlock: { type: "tpm2" } })]]).prepare())).toEqual(["close-disks"]);
  });

  it("takes no tang server by https, for which the initramfs has no certificates", () => {
    const unlock = { type: "tang", url: "https://192.0.2.1", thumbprint: "a".repeat(43) };
    expect(() => storageFor([[luks({ unlock })]])).toThrow("the tang server's http:// URL");
  });

  it("counts every byte of a key file", () => {
    const { create } = stepsFor([[luks({ unlock: { type: "key-file" } })]]);
    expect(create.find(({ kind }) => kind === "open-luks")).toMatchObject({ trim: false });
  });
});

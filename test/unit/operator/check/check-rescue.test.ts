import { describe, expect, it } from "vitest";
import { checkSpec } from "../../../../src/operator/check/check.ts";
import { Spec, type SpecInput } from "../../../../src/schema/spec.ts";
import { adminKey } from "../../../helpers/builders/deployable.ts";
import { bios, esp, holding, root } from "../../../helpers/builders/storage.ts";

const luks = { type: "luks", name: "crypt", key: "k", unlock: { type: "passphrase" } };

/** What is said of `boot.rescue`. */
function said(boot: object, partitions: readonly object[] = [bios, esp, root], more: object = {}): string[] {
  const spec = Spec.parse({
    ...{ hostname: "web", packages: { install: ["sudo"] } },
    storage: { disks: { system: { match: { serial: "S" }, table: { type: "gpt", partitions } } } },
    boot: { rescue: true, ...boot },
    users: { admin: { sudo: true, keys: [adminKey] } },
    ...more,
  } as unknown as SpecInput);
  return checkSpec(spec)
    .filter(({ path }) => path[0] === "boot" && path[1] === "rescue")
    .map(({ message }) => message);
}

describe("a base that stays as rescue system", () => {
  it("is accepted where a bootloader can read it and somebody can log in", () => {
    expect(said({})).toEqual([]);
    expect(said({ firmware: ["uefi"], loader: "uki" }, [esp, root])).toEqual([]);
  });

  it.each<[RegExp, Parameters<typeof said>]>([
    [/has no key to let in/, [{}, undefined, { users: { admin: { keys: [adminKey] } } }]],
    [/excludes `secureBoot`/, [{ firmware: ["uefi"], loader: "grub", secureBoot: "debian" }, [esp, root]]],
    [/under UEFI needs the loader/, [{ firmware: ["uefi"], loader: "grub" }, [esp, root]]],
    [/ghost.*secrets/, [{ rescue: { hostKey: "ghost" } }]],
    [
      /^has no place: \/ is inside of LUKS, where GRUB cannot read it$/,
      [
        { firmware: ["bios"] },
        [bios, { ...root, content: { ...luks, content: { type: "ext4", mount: "/" } } }],
        { secrets: { k: { file: "k.age" } } },
      ],
    ],
  ])("is refused: %s", (message, given) => {
    expect(said(...given)).toContainEqual(expect.stringMatching(message));
  });

  it("has a place in a /boot that GRUB reads beside an encrypted root", () => {
    const crypt = { ...root, content: { ...luks, content: { type: "ext4", mount: "/" } } };
    const own = holding({ type: "ext4", mount: "/boot" }, "1GiB", "boot");
    expect(said({ firmware: ["bios"] }, [bios, own, crypt], { secrets: { k: { file: "k.age" } } })).toEqual(
      [],
    );
  });
});

import { expect, it } from "vitest";
import { buildKeyNames } from "../../../../src/operator/secrets/build-keys.ts";
import { Storage } from "../../../../src/schema/storage.ts";
import { serverSpec } from "../../../helpers/builders/deployable.ts";
import { keptUuid, storageOf } from "../../../helpers/builders/storage.ts";

const luks = (name: string, key: string, more: object = {}) => ({ type: "luks", name, key, ...more });
const partition = (name: string, content: object) => ({ name, type: "linux", size: "64MiB", content });

it("names the secrets that open disks and sign programs, each once", () => {
  expect(buildKeyNames(serverSpec())).toEqual([]);
  const storage = storageOf([
    partition("a", luks("a", "disk-key", { content: { type: "ext4", mount: "/a" } })),
    partition(
      "b",
      luks("b", "disk-key", { recoveryKey: "recovery", content: { type: "lvm-pv", group: "vg0" } }),
    ),
    partition("c", { type: "ext4", mount: "/" }),
  ]);
  const { boot } = serverSpec();
  expect(buildKeyNames({ storage, boot })).toEqual(["disk-key", "recovery"]);
  const secureBoot = { key: "signing", certificate: "", enroll: "off" as const };
  expect(buildKeyNames({ storage, boot: { ...boot!, secureBoot } })).toEqual([
    "disk-key",
    "recovery",
    "signing",
  ]);
  expect(buildKeyNames({ storage: undefined, boot: { ...boot!, secureBoot: "debian" } })).toEqual([]);
});

it("does not ask for what opens a kept disk, which is no part of an image", () => {
  const content = { type: "ext4", uuid: keptUuid, mount: "/srv" };
  const kept = { match: { serial: "DATA" }, keep: [luks("data", "data-key", { uuid: keptUuid, content })] };
  const storage = Storage.parse({ disks: { data: kept } });
  expect(buildKeyNames({ storage, boot: undefined })).toEqual([]);
});

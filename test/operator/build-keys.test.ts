import { expect, it } from "vitest";
import { buildKeyNames } from "../../src/operator/build-keys.ts";
import type { Spec } from "../../src/schema/spec.ts";
import { serverSpec } from "../helpers/deployable.ts";

it("names the secrets that open disks and sign programs, each once", () => {
  expect(buildKeyNames(serverSpec())).toEqual([]);
  const luks = (key: string, more: object = {}) => ({ type: "luks", name: "x", key, ...more });
  const nested = luks("root-key", { recoveryKey: "recovery", content: { type: "ext4", mount: "/" } });
  const storage = {
    disks: { system: { table: { partitions: [{ content: nested }] } } },
    arrays: { a: { content: luks("root-key") } },
  };
  const boot = { firmware: ["uefi"], secureBoot: { key: "signing" } };
  expect(buildKeyNames({ storage, boot } as unknown as Spec)).toEqual(["recovery", "root-key", "signing"]);
  expect(buildKeyNames({ storage, boot: { ...boot, secureBoot: "debian" } } as unknown as Spec)).toEqual([
    "recovery",
    "root-key",
  ]);
});

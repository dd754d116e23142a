import { expect, it } from "vitest";
import { dmiUuidOf } from "../../../../src/system/machine/dmi-uuid.ts";

it.each([
  ["4C4C4544-0042-3510-8051-B6C04F4E3233\n", "4c4c4544-0042-3510-8051-b6c04f4e3233"],
  ["", undefined],
  ["Not Settable", undefined],
  ["00000000-0000-0000-0000-000000000000", undefined],
  ["FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", undefined],
  ["03000200-0400-0500-0006-000700080009", undefined],
  ["4c4c4544-0042-3510-8051-b6c04f4e3233; reboot", undefined],
])("takes %j for a machine's own UUID: %s", (text, expected) => {
  expect(dmiUuidOf(text)).toBe(expected);
});

import { expect, it } from "vitest";
import { roomOf } from "../../src/operator/room.ts";
import { lockOf, serverSpec } from "../helpers/deployable.ts";
import { diskFacts, mib } from "../helpers/storage.ts";

it("counts the partitions for filesystems, and packages as large as they unpack to, with the swap file", () => {
  const spec = serverSpec();
  const disks = { system: diskFacts("vda") };
  const lock = lockOf(spec);
  const packages = lock.packages.length * 1000;
  // Of 4096 MiB: 1 before the first partition, 1 for GRUB, 256 for the ESP, 1 behind the last one.
  expect(roomOf(spec, lock, disks)).toEqual({
    has: (4096 - 1 - 1 - 256 - 1) * mib,
    least: 1.5 * packages + 64 * mib,
    usual: 3.5 * packages + 64 * mib,
  });
});

import { Storage } from "../../../src/schema/storage.ts";
import { type StorageSteps, storageSteps } from "../../../src/storage/plan/storage-steps.ts";
import { diskFacts, mib, root } from "./storage.ts";

/** Steps for disks `a`, `b` … of these partitions each, of 8 GiB; the first one has a root behind them. */
export function stepsFor(
  disks: readonly (readonly object[])[],
  more: object = {},
  secrets: Parameters<typeof storageSteps>[4] = {},
): StorageSteps {
  const storage = storageFor(disks, more);
  const facts = Object.keys(storage.disks).map((name) => [
    name,
    diskFacts(`vd${name}`, { serial: name.toUpperCase(), sizeBytes: 8192 * mib }),
  ]);
  return storageSteps(storage, Object.fromEntries(facts), "s", 1, secrets);
}

export function storageFor(disks: readonly (readonly object[])[], more: object = {}): Storage {
  const tables = disks.map((partitions, index) => [
    String.fromCharCode(97 + index),
    {
      match: { serial: String.fromCharCode(65 + index) },
      imageSize: "8GiB",
      table: { type: "gpt", partitions: index === 0 ? [...partitions, root] : partitions },
    },
  ]);
  return Storage.parse({ disks: Object.fromEntries(tables), ...more });
}

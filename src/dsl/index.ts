/**
 * What an `IMGBUILD.ts` imports as "imgbuild". Every function gives back plain data: a definition is a value, and writing the
 * data by hand says the same.
 */
import type { SpecInput } from "../schema/spec.ts";

export { commandSucceeds, portIsOpen, unitIsActive } from "./health.ts";
export { dhcp, staticAddress } from "./network.ts";
export { timer, unit } from "./services.ts";
export { biosBoot, disk, esp, ext4, gpt, keptDisk, keptExt4, partition, root, vfat } from "./storage.ts";
export { readLines, readText } from "./text.ts";

/** The definition of one system; the default export of an `IMGBUILD.ts`. */
export function image(input: SpecInput): SpecInput {
  return input;
}

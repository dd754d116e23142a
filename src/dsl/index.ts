/// <reference path="./yaml.d.ts" preserve="true" />
/**
 * What an `IMGBUILD.ts` imports as "imgbuild". Every function returns plain data: a definition is a value, and you can write
 * the same data by hand.
 */
import type { SpecInput } from "../schema/spec.ts";

export {
  commandSucceeds,
  httpAnswers,
  noFailedUnits,
  portIsOpen,
  resolves,
  unitIsActive,
} from "./health.ts";
export { bond, bridge, dhcp, staticAddress, vlan, wireguard } from "./network.ts";
export { timer, unit } from "./services.ts";
export {
  biosBoot,
  btrfs,
  btrfsMember,
  disk,
  esp,
  ext4,
  f2fs,
  gpt,
  keptDisk,
  keptExt4,
  luks,
  lvmPv,
  mbr,
  mdMember,
  partition,
  pool,
  raid,
  root,
  rootVerity,
  storage,
  swap,
  vfat,
  volumeGroup,
  xbootldr,
  xfs,
} from "./storage.ts";
export { readLines, readText } from "./text.ts";
export { patch, readBase64, script, template } from "./tree-edits.ts";

/** The definition of one system; the default export of an `IMGBUILD.ts`. */
export function image(input: SpecInput): SpecInput {
  return input;
}

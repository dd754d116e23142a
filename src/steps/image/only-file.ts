import { refuseHostDisks } from "../../disks/guard.ts";
import type { Action } from "../step/step.ts";

/** Comes before anything that writes to an image. */
export function onlyFile(image: string): Action {
  return { does: `refuse ${image} if it is a disk of this machine`, run: () => refuseHostDisks(image) };
}

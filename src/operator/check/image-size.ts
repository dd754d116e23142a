import type { Spec } from "../../schema/spec.ts";
import { Size } from "../../schema/words.ts";
import { writtenDisks } from "../../storage/graph/check-storage.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import { checkSpec } from "./check.ts";

/** The spec with another size of its disk in an image, as `--size` says; it must hold what the spec lays out. */
export function withImageSize(spec: Spec, text: string): Spec {
  const size = Size.safeParse(text);
  if (!size.success) throw usage(`--size ${text}: ${size.error.issues[0]!.message} is accepted`);
  const { storage } = spec;
  if (storage === undefined) throw usage(`--size ${text}: the definition has no storage`);
  const [first, ...more] = writtenDisks(storage);
  if (first === undefined || more.length > 0)
    throw usage(`--size ${text}: the definition writes ${more.length + (first ? 1 : 0)} disks, not one`);
  const [name, disk] = first;
  const disks = { ...storage.disks, [name]: { ...disk, imageSize: size.data } };
  const sized = { ...spec, storage: { ...storage, disks } };
  const problem = checkSpec(sized).find(({ path }) => path[0] === "storage");
  if (problem !== undefined) throw usage(`--size ${text}: ${problem.message}`);
  return sized;
}

function usage(message: string): Fail {
  return new Fail(message, { exitCode: exitCodes.usage });
}

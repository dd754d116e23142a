/**
 * What a definition imports as "imgbuild/parameters" when it stands for several hosts. Apart from "imgbuild", so that only these
 * load what checks parameters.
 */
import { z } from "zod";
import type { SpecInput } from "../schema/spec.ts";

export { z };

/** A definition that is to be made for a host; what evaluates it knows it by this symbol, which no plain data has. */
interface ForHost {
  readonly [forHost]: {
    readonly accepts: z.ZodType;
    readonly make: (parameters: never) => SpecInput | Promise<SpecInput>;
  };
}
const forHost: unique symbol = Symbol.for("imgbuild.forHost");

/**
 * A definition that is a function of parameters, which a host's record in hosts.yaml gives: `accepts` says by zod what each has to
 * be, and a parameter that it does not name is refused.
 */
export function imageWith<Accepts extends z.ZodRawShape>(
  accepts: Accepts,
  make: (parameters: z.output<z.ZodObject<Accepts, z.core.$strict>>) => SpecInput | Promise<SpecInput>,
): ForHost {
  return { [forHost]: { accepts: z.strictObject(accepts), make } };
}

import { z } from "zod";
import { Network } from "../network.ts";
import { Name } from "../words.ts";

/** What a base that stays on a machine knows of it: nothing that the machine's own /etc does not say to every user. */
export const RescueData = z.strictObject({
  version: z.literal(1),
  hostname: z.string().min(1).max(64),
  /** As the definition declares it. */
  network: z.record(Name, Network),
});
export type RescueData = z.output<typeof RescueData>;

import { z } from "zod";
import { Order } from "./deploy.ts";
import { JournalEntry } from "./journal.ts";

/** What the base's program is asked for where it runs beside the old system: a tree, made and packed. Its steps are in a payload. */
export const TreeJob = z.strictObject({
  version: z.literal(1),
  nonce: z.string().regex(/^[0-9a-f]{64}$/),
  /** By which the payload is signed, as in a deploy's data. */
  publicKey: z.string(),
  /** No time of the tree is later; seconds. */
  epoch: z.int().positive(),
  /** Directories that no package needs to have. */
  mountPoints: z.array(z.string().startsWith("/")),
});

/** What it answers, a line of JSON each. */
export const FromTreeJob = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("journal"), entry: JournalEntry }),
  z.strictObject({
    type: z.literal("made"),
    tree: Order.shape.tree.unwrap(),
    /** Of the archive in which the tree is one member. */
    archiveBytes: z.int().positive(),
    fetched: z.strictObject({ packages: z.int(), bytes: z.int() }),
  }),
  z.strictObject({ type: z.literal("failed"), message: z.string(), hint: z.string().optional() }),
]);

export type TreeJob = z.output<typeof TreeJob>;
export type FromTreeJob = z.output<typeof FromTreeJob>;

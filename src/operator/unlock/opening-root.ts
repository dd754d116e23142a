import type { Host } from "../../transport/host.ts";
import { Fail } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import type { Secret } from "../../util/secret.ts";
import type { NewSystem } from "../records/known-deploys.ts";
import { givePassphrases, WrongPassphrase } from "./give-passphrase.ts";
import { wayToInitramfs } from "./known-initramfs.ts";

const connectMs = 10_000;

/** How a machine is reached, as a deploy has it. */
interface World {
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly connect: (options: {
    readonly user?: string;
    readonly port?: number;
    readonly pins?: readonly string[];
    readonly timeoutMs?: number;
  }) => Promise<Host>;
}

/**
 * The same, for a wait: where the new system does not answer yet, its initramfs may, and gets the passphrases that the deploy has. Those
 * of the first start only; once they are wrong it is a person's turn.
 */
export function openingRoot<W extends World>(
  { unlock }: Pick<NewSystem, "unlock">,
  secrets: ReadonlyMap<string, Secret>,
  world: W,
): W {
  if (unlock === undefined) return world;
  const { connect, log, signal } = world;
  const left = new Set(Object.keys(unlock.volumes));
  // A wait does not end one try before it begins the next; two answers to one question would be a wrong one.
  let isOpening = false;
  const open = async () => {
    const initramfs = await connect({ timeoutMs: connectMs, ...wayToInitramfs(unlock) });
    try {
      await log.task("opening the root over SSH", async (inner) => {
        const passphrases = async (volume: string) => {
          const secret = secrets.get(unlock.volumes[volume] ?? "");
          if (secret === undefined)
            throw new WrongPassphrase(`the initramfs asks for ${volume}, which is none of ours`);
          return secret;
        };
        const opened = await givePassphrases(initramfs, passphrases, { log: inner, signal, again: false });
        for (const volume of opened) left.delete(volume);
      });
    } finally {
      initramfs.close();
    }
  };
  return {
    ...world,
    connect: async (options) => {
      try {
        return await connect(options);
      } catch (error) {
        if (!(error instanceof Fail) || left.size === 0 || isOpening) throw error;
        isOpening = true;
        await open()
          .catch((other: unknown) => {
            if (!(other instanceof Fail) || signal.aborted) throw other;
            if (!(other instanceof WrongPassphrase)) return;
            left.clear();
            log.warn(`${other.message}; ${other.hint ?? "type it at the console"}`);
          })
          .finally(() => {
            isOpening = false;
          });
        throw error;
      }
    },
  };
}

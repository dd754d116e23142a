import type { Duplex } from "node:stream";
import type { Host } from "../../transport/host.ts";
import { Fail } from "../../util/fail.ts";
import { greet, type RunnerLink, runnerSocket } from "./runner-link.ts";

const greetMs = 60_000;

/** A conversation with the runner of a base, and the connection by which it goes. */
export interface BaseLink {
  readonly host: Host;
  readonly link: RunnerLink;
  /** Another stream to the runner. */
  open(): Promise<Duplex>;
  /** Ends conversation and connection. */
  close(): void;
}

/** Waits until the runner of a base greets and knows the nonce; the connection is closed where it does not. */
export async function greetBase(host: Host, nonce: string, signal: AbortSignal): Promise<BaseLink> {
  const open = () => host.openStreamLocal(runnerSocket);
  try {
    const link = await greet(await open(), greetMs);
    if (link.hello.nonce !== nonce)
      throw new Fail("the base that answers is not the one of this deploy", {
        hint: "its nonce is another",
      });
    // An interruption must not wait for what the runner says next.
    signal.addEventListener("abort", () => link.close(), { once: true });
    const close = () => {
      link.close();
      host.close();
    };
    return { host, link, open, close };
  } catch (error) {
    host.close();
    throw error;
  }
}

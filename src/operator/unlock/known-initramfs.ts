import type { Spec } from "../../schema/spec.ts";
import type { KnownInitramfs } from "../records/known-deploys.ts";
import { unlockBySsh, usualPort } from "./by-ssh.ts";

/**
 * How the initramfs of a definition is reached and known. `pin`: its host key. At the usual port it is reached as the host is, which may
 * be by a port that a router forwards.
 */
export function knownInitramfs(
  spec: Pick<Spec, "storage">,
  pin: string | undefined,
): KnownInitramfs | undefined {
  const served = unlockBySsh(spec);
  if (served === undefined || pin === undefined) return undefined;
  const { port = usualPort } = served.unlock;
  return {
    ...(port === usualPort ? {} : { port }),
    pins: [pin],
    volumes: Object.fromEntries(served.volumes.map(({ name, key }) => [name, key])),
  };
}

/** How to log in to it: at its port, by its host key alone, which no known_hosts has. */
export function wayToInitramfs({ port, pins }: KnownInitramfs) {
  return { user: "root", pins, ...(port === undefined ? {} : { port }) };
}

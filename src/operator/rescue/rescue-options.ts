import type { RevealOptions } from "../secrets/secrets.ts";

export const rescueFormats = ["iso", "pxe"] as const;

/** What medium is to be made, as the command line says it. */
export interface RescueOptions extends Pick<RevealOptions, "identity"> {
  readonly output: string;
  readonly format: (typeof rescueFormats)[number];
  readonly offline?: boolean;
  readonly unattended?: boolean;
  /** Nothing on it opens the secrets: an identity is sent when the machine is rebuilt. */
  readonly withoutIdentity?: boolean;
  /** What opens the secrets with nothing typed, as `parseUnlock` takes it. */
  readonly unlock?: readonly string[];
}

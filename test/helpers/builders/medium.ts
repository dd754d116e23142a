import { generateSigningKey, writePayload } from "../../../src/archive/payload.ts";
import { formatLock } from "../../../src/debian/lock/lock.ts";
import { type Medium, mediumContent, mediumWord } from "../../../src/schema/base/medium.ts";
import type { Spec } from "../../../src/schema/spec.ts";
import { canonicalJson, sha256 } from "../../../src/util/digest.ts";
import { lockOf, serverSpec } from "./deployable.ts";

const zero = "0".repeat(64);

/** What a boot entry of a medium brings along: `medium.json`, `medium.tar.gz` and the word of the command line. */
export async function mediumParts(
  change: {
    readonly spec?: Spec;
    readonly more?: ReadonlyMap<string, Uint8Array>;
    readonly medium?: Partial<Medium>;
  } = {},
): Promise<{ readonly json: Buffer; readonly payload: Uint8Array; readonly word: string }> {
  const spec = change.spec ?? serverSpec();
  const { privateKey, publicKey } = generateSigningKey();
  const text = (value: unknown) => Buffer.from(JSON.stringify(value));
  const payload = await writePayload({
    ...{ created: new Date(0), expires: undefined, nonce: zero, machine: { macs: [] }, privateKey },
    files: new Map<string, Uint8Array>([
      [mediumContent.spec, text(spec)],
      [mediumContent.lock, Buffer.from(formatLock(lockOf(spec)))],
      [mediumContent.links, text([])],
      [mediumContent.mirrors, text({ debian: ["http://deb.example.org/debian"], "debian-security": [] })],
      [mediumContent.executable, text(["/usr/local/bin/tool"])],
      ["files/usr/local/bin/tool", Buffer.from("#!/bin/sh\n")],
      ["files/etc/motd", Buffer.from("hello\n")],
      ...(change.more ?? []),
    ]),
  });
  const medium: Medium = {
    ...{
      version: 1,
      hostname: spec.hostname,
      definition: "def",
      epoch: 1_757_146_500,
      nonce: zero,
      publicKey,
    },
    ...{ unattended: false, files: {}, squashfs: { size: 1, sha256: zero } },
    ...change.medium,
  };
  const json = Buffer.from(canonicalJson(medium));
  return { json, payload, word: `${mediumWord}=${sha256(json)}` };
}

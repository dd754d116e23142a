import { readFileSync } from "node:fs";
import type { ServerHostKeyAlgorithm } from "ssh2";
import { Fail, reasonOf } from "../util/fail.ts";
import type { Destination } from "./destination.ts";
import {
  fingerprint,
  hostName,
  judge,
  type KnownHost,
  keyType,
  knownTypes,
  parseKnownHosts,
} from "./known-hosts.ts";

/** Judges one host's key; `problem` says why it was refused. */
export interface HostKeyCheck {
  /** What to ask the host for, so that it answers with a known key. */
  readonly algorithms: ServerHostKeyAlgorithm[];
  /** For ssh2: it takes anything but a synchronous `false` as a yes, so this returns a boolean and nothing else. */
  readonly verify: (key: Buffer) => boolean;
  readonly problem: () => Fail | undefined;
}

/** A host that answers with another key than those pinned. */
export class OtherHostKey extends Fail {
  /** Fingerprint, "SHA256:…". */
  readonly presented: string;

  constructor(presented: string, message: string) {
    super(message, { hint: "another machine or another system answers at this address" });
    this.presented = presented;
  }
}

/** Signature algorithms by type of key; SHA-1 is not offered. */
const algorithmsOf: Readonly<Record<string, readonly ServerHostKeyAlgorithm[]>> = {
  "ssh-ed25519": ["ssh-ed25519"],
  "ecdsa-sha2-nistp256": ["ecdsa-sha2-nistp256"],
  "ecdsa-sha2-nistp384": ["ecdsa-sha2-nistp384"],
  "ecdsa-sha2-nistp521": ["ecdsa-sha2-nistp521"],
  "ssh-rsa": ["rsa-sha2-512", "rsa-sha2-256"],
};

/** Accepts exactly the pinned keys, or, without pins, what known_hosts says. */
export function hostKeyCheck(destination: Destination, pins: readonly string[] | undefined): HostKeyCheck {
  return pins === undefined ? byKnownHosts(destination) : byPins(destination, pins);
}

function byPins(destination: Destination, pins: readonly string[]): HostKeyCheck {
  const keys = pins.map((pin) => pin.trim().split(/\s+/));
  let problem: Fail | undefined;
  return {
    // A fingerprint does not say of what type its key is.
    algorithms: algorithmsFor(
      destination,
      keys.flatMap(([type = ""]) => (isFingerprint(type) ? Object.keys(algorithmsOf) : [type])),
    ),
    verify: (key) => {
      const presented = key.toString("base64");
      const same = keys.some(([type = "", pin]) =>
        isFingerprint(type) ? type === fingerprint(key) : pin === presented,
      );
      if (!same)
        problem = new OtherHostKey(
          fingerprint(key),
          `${destination.alias} does not answer with the expected host key, but with ${shown(key)}`,
        );
      return same;
    },
    problem: () => problem,
  };
}

function isFingerprint(pin: string): boolean {
  return pin.startsWith("SHA256:");
}

function byKnownHosts(destination: Destination): HostKeyCheck {
  const entries = destination.knownHostsFiles.flatMap(readKnownHosts);
  const name = hostName(destination.keyName, destination.port);
  const types = knownTypes(entries, name);
  let problem: Fail | undefined;
  return {
    // Ask an unknown host for any key, to show its fingerprint.
    algorithms: algorithmsFor(destination, types.length === 0 ? Object.keys(algorithmsOf) : types),
    verify: (key) => {
      const verdict = judge(entries, name, key);
      if (verdict.kind === "known") return true;
      if (verdict.kind === "unknown")
        problem = new Fail(`the host key of ${name} is not known: ${shown(key)}`, {
          hint: `compare the fingerprint, then log in once with ssh, or add the line of \`ssh-keyscan ${destination.port === 22 ? "" : `-p ${destination.port} `}${destination.host}\` to ${destination.knownHostsFiles[0] ?? "known_hosts"}`,
        });
      else if (verdict.kind === "revoked")
        problem = new Fail(
          `the host key of ${name} is revoked at ${verdict.at.file}:${verdict.at.line}: ${shown(key)}`,
          {
            hint: "whoever holds this key may not be trusted; do not connect",
          },
        );
      else
        problem = new Fail(
          `the host key of ${name} has changed: ${shown(key)}, another is known at ${verdict.at.file}:${verdict.at.line}`,
          { hint: `if the machine was reinstalled, remove the old key: ssh-keygen -R '${name}'` },
        );
      return false;
    },
    problem: () => problem,
  };
}

function algorithmsFor(destination: Destination, types: readonly string[]): ServerHostKeyAlgorithm[] {
  const algorithms = Object.keys(algorithmsOf).flatMap((type) =>
    types.includes(type) ? algorithmsOf[type]! : [],
  );
  if (algorithms.length === 0)
    throw new Fail(`only host keys of type ${types.join(", ")} are known for ${destination.alias}`, {
      hint: `add the host's ed25519 key: ssh-keyscan -t ed25519 ${destination.host}`,
    });
  return algorithms;
}

function readKnownHosts(file: string): KnownHost[] {
  try {
    return parseKnownHosts(readFileSync(file, "utf8"), file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw new Fail(`${file} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
}

function shown(key: Buffer): string {
  return `${keyType(key)} ${fingerprint(key)}`;
}

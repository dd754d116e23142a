import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { run } from "../../../src/system/run/run.ts";
import type { Host } from "../../../src/transport/host.ts";

export interface LocalHost {
  readonly host: Host;
  readonly ran: (readonly string[])[];
  readonly uploaded: string[];
}

/** A host that is this machine: its commands run here, by `wrap` as that says, its paths are turned by `at`. */
export function localHost(
  options: { wrap?: (argv: readonly string[]) => readonly string[]; at?: (path: string) => string } = {},
): LocalHost {
  const { wrap = (argv) => argv, at = (path) => path } = options;
  const ran: (readonly string[])[] = [];
  const uploaded: string[] = [];
  const unused = () => Promise.reject(new Error("not used"));
  const host: Host = {
    name: "local",
    openedBy: "ssh-ed25519 AAAAoperator",
    exec: (argv, { root: _root, maxBytes: _maxBytes, ...rest } = {}) => {
      ran.push(argv);
      return run(wrap(argv.map(at)), rest);
    },
    upload: async (source, remotePath, { mode, size, onProgress }) => {
      const to = at(remotePath);
      uploaded.push(remotePath);
      mkdirSync(dirname(to), { recursive: true });
      if (typeof source === "string") copyFileSync(source, to);
      else writeFileSync(to, source);
      chmodSync(to, mode);
      onProgress?.(size);
    },
    becomeRoot: async () => "none",
    openStreamLocal: unused,
    forwardTcp: unused,
    closed: false,
    close: () => {},
  };
  return { host, ran, uploaded };
}

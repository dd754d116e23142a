import type { KnownDeploy } from "../../../src/operator/records/known-deploys.ts";

const nonce = "d".repeat(64);

/** What was noted of a deploy of a host with UEFI when it was taken over. */
export const notedDeploy: Omit<KnownDeploy, "host"> = {
  started: "2026-01-01T00:00:00.000Z",
  nonce,
  planDigest: "first",
  baseHostKey: "ssh-ed25519 AAAAbase",
  newSystem: {
    nonce,
    pins: ["ssh-ed25519 AAAAold"],
    user: "root",
    ...{ health: [], units: [], placed: [], scripts: false },
    slow: 1,
    bootMs: 1_000,
  },
  machine: {
    machineId: "m1",
    hardware: { macs: ["52:54:00:12:34:56"] },
    bootId: "b1",
    firmware: "uefi",
    consoles: ["ttyS0"],
  },
};

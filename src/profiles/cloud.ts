import type { Part } from "./merge.ts";

/**
 * What a rented virtual machine needs beyond a server. Its consoles need no word: a deploy keeps the host's, and an image has
 * a screen and a serial line.
 */
export function cloud(): Part {
  return {
    packages: {
      // By it the provider's panel shuts down cleanly and takes whole snapshots; it starts only where the provider offers the port.
      install: ["qemu-guest-agent"],
    },
    sysctl: {
      // No one is at the console: a kernel that panics restarts the machine.
      "kernel.panic": 30,
    },
    modules: {
      // QEMU's is always there and always empty; looking at it costs seconds and fills the journal.
      blocked: ["floppy"],
    },
  };
}

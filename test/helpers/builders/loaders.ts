import type { Loaders } from "../../../src/operator/secure-boot/loaders.ts";

/** A shim and a GRUB that nothing speaks against. */
export const signedLoaders: Loaders = {
  shim: {
    from: "shim-signed 1.0",
    signedBy: ["CA 2011", "CA 2023"],
    digest: "ab".repeat(32),
    generations: new Map([
      ["sbat", 1],
      ["shim", 4],
      ["shim.debian", 1],
    ]),
  },
  asks: new Map([
    ["sbat", 1],
    ["grub", 5],
  ]),
  next: {
    from: "grub 2.0",
    signedBy: ["Debian Secure Boot CA"],
    digest: "cd".repeat(32),
    generations: new Map([
      ["sbat", 1],
      ["grub", 5],
    ]),
  },
};

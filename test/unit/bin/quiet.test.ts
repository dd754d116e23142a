import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";

const quiet = new URL("../../../bin/quiet.js", import.meta.url).href;

describe("the entry", () => {
  it("keeps Node's warning of X25519 to itself, and no other", () => {
    const code = `
      import ${JSON.stringify(quiet)};
      process.emitWarning("The X25519 Web Crypto API algorithm is an experimental feature and might change at any time", "ExperimentalWarning");
      process.emitWarning("The Ed25519 Web Crypto API algorithm is an experimental feature", "ExperimentalWarning");
      process.emitWarning("The X25519 Web Crypto API is gone", { type: "DeprecationWarning" });`;
    const { stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
    expect(stderr).not.toMatch(/ExperimentalWarning: The X25519/);
    expect(stderr).toMatch(/ExperimentalWarning: The Ed25519/);
    expect(stderr).toMatch(/DeprecationWarning: The X25519/);
  });
});

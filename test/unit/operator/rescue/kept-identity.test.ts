import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { keptIdentityFile } from "../../../../src/operator/rescue/kept-identity.ts";
import { serverSpec } from "../../../helpers/builders/deployable.ts";

describe("the host keys that a medium takes along", () => {
  it("are where hosts.yaml lets deploys keep them, else beside the definition", () => {
    const dir = mkdtempSync(join(tmpdir(), "imgbuild-test-"));
    const spec = serverSpec();
    const escrow = join(dir, "kept");
    const host = { escrow } as never;
    expect(keptIdentityFile({ dir, spec, host })).toBeUndefined();
    for (const place of ["secrets", "kept"]) {
      mkdirSync(join(dir, place));
      writeFileSync(join(dir, place, `${spec.hostname}-host-keys.age`), "");
    }
    expect(keptIdentityFile({ dir, spec, host })).toBe(join(escrow, `${spec.hostname}-host-keys.age`));
    expect(keptIdentityFile({ dir, spec })).toBe(join(dir, `secrets/${spec.hostname}-host-keys.age`));
  });
});

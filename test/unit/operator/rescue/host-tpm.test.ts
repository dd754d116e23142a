import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { sendTo } from "../../../../src/operator/rescue/host-tpm.ts";
import { localHost } from "../../../helpers/fakes/local-host.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

describe("the TPM of a host", () => {
  it("gets a command as it is, and its answer comes as it is", async () => {
    // What is written to a pipe is what is read from it.
    const pipe = join(tempDir(), "tpm");
    execFileSync("mkfifo", [pipe]);
    const command = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    expect(Buffer.from(await sendTo(localHost().host, false, pipe)(command))).toEqual(command);
  });

  it("is said to be missing where the host has none", async () => {
    const asked = sendTo(localHost().host, false, "/dev/null/tpmrm0")(Buffer.from("x"));
    await expect(asked).rejects.toThrow(
      "the TPM 2.0 of local cannot be asked: /dev/null/tpmrm0 is not there",
    );
  });
});

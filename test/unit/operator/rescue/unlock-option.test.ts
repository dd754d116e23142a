import { describe, expect, it } from "vitest";
import { parseUnlock } from "../../../../src/operator/rescue/unlock-option.ts";

const thumbprint = "LtFgu40PBYJTVpmvMyxidfQ1itT1NRRgFfsJ61GKag4";

describe("--unlock", () => {
  it("names a tang server by its URL and its signing key", () => {
    const url = "http://tang.example.org:7500";
    expect(parseUnlock(`tang:${url}/,thumbprint=${thumbprint}`)).toEqual({ type: "tang", url, thumbprint });
    expect(parseUnlock(`tang:${url},thumbprint=${thumbprint},adv=tang.jws`)).toMatchObject({
      adv: "tang.jws",
    });
  });

  it("names a machine's TPM by the host that runs on it, and binds to register 7 where it is asked for", () => {
    expect(parseUnlock("tpm2:root@192.0.2.10:22")).toEqual({
      ...{ type: "tpm2", host: "root@192.0.2.10:22", register7: false },
    });
    expect(parseUnlock("tpm2:web,pcrs=7")).toEqual({ type: "tpm2", host: "web", register7: true });
  });

  it.each([
    ["tpm2:", "the host is missing"],
    ["tpm2:web,pcrs=0", "register 7 alone is accepted"],
    ["tpm2:web,adv=x", "adv is not accepted after tpm2:web"],
    ["tang:http://192.0.2.10", "the thumbprint of the server's signing key is missing"],
    ["tang:192.0.2.10,thumbprint=x", "expected the tang server's http:// URL; expected a thumbprint of 43"],
    [`tang:https://192.0.2.10,thumbprint=${thumbprint}`, "expected the tang server's http:// URL"],
    [
      `tang:http://192.0.2.10,thumbprint=${thumbprint},pcrs=7`,
      "pcrs is not accepted after tang:http://192.0.2.10",
    ],
    ["yubikey", "yubikey opens no medium"],
  ])("refuses %s", (word, why) => {
    expect(() => parseUnlock(word)).toThrow(`--unlock ${word}: ${why}`);
  });
});

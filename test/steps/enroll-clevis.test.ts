import { describe, expect, it } from "vitest";
import { clevisBind, trusting } from "../../src/steps/enroll-clevis.ts";

describe("enroll-clevis", () => {
  it("binds with the passphrase from stdin, and has clevis hold the server against the thumbprint", () => {
    const config = '{"url":"http://192.0.2.1","thp":"t"}';
    const { argv, env } = clevisBind("/dev/vda2", { pin: "tang", config });
    // `-y` would trust any server.
    expect(argv.join(" ")).toBe(`clevis luks bind -f -k - -d /dev/vda2 tang ${config}`);
    expect(env).toMatchObject({ TMPDIR: "/run" });
  });

  it("tells clevis what the server said of its keys, beside URL and thumbprint", () => {
    expect(JSON.parse(trusting('{"url":"http://192.0.2.1","thp":"t"}', '{"payload":"p"}'))).toEqual({
      url: "http://192.0.2.1",
      thp: "t",
      adv: { payload: "p" },
    });
  });
});

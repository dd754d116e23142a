import { describe, expect, it } from "vitest";
import { howToGoOn, requireSecrets } from "../../../../src/operator/runner-link/secrets-left.ts";

const again = "imgbuild resume web --with DEF";

describe("the secrets of a build that failed", () => {
  it("are there until a time of this clock, and can be sent again after it", () => {
    const now = new Date(2026, 0, 1, 8, 5).getTime();
    expect(howToGoOn({ secretsSeconds: 3600 }, "web", now)).toBe(
      `when the cause is mended: imgbuild resume web; the secrets are wiped at 09:05; later, ${again} sends them again`,
    );
    // Nothing else would be of use, as after a power cut.
    expect(howToGoOn({ secretsSeconds: 0 }, "web", now)).toBe(
      `the base has no secrets any more; send them again: ${again}`,
    );
    expect(howToGoOn({}, "web", now)).toBe("when the cause is mended: imgbuild resume web");
  });

  it("are asked for again once they are wiped, and not before", () => {
    expect(() => requireSecrets({ secretsSeconds: 0 }, "web")).toThrow(
      expect.objectContaining({ exitCode: 1, hint: expect.stringContaining(again) }),
    );
    expect(() => requireSecrets({ secretsSeconds: 1 }, "web")).not.toThrow();
    expect(() => requireSecrets({}, "web")).not.toThrow();
  });
});

import { describe, expect, it } from "vitest";
import { missingIn, type Wanted } from "../../../../src/operator/escrow/manifest.ts";

const wanted: Wanted = { identity: true, keys: ["disk-key"], volumes: ["root", "data"], disks: 2 };
const whole = [
  "identity/identity.txt",
  "keys/disk-key",
  "host/luks/root.header",
  "host/luks/data.header",
  "host/tables/sda.sfdisk",
  "host/tables/sdb.sfdisk",
  "host/ssh/ssh_host_ed25519_key",
  "host/machine-id",
];

describe("what is missing in an escrow", () => {
  it("is nothing where all is there that the definition has", () => {
    expect(missingIn(wanted, whole)).toEqual([]);
    const few = { identity: false, keys: [], volumes: [], disks: 0 };
    expect(missingIn(few, ["host/ssh/ssh_host_ed25519_key", "host/machine-id"])).toEqual([]);
  });

  it.each<[string, RegExp]>([
    ["identity/identity.txt", /^no identity that opens the secrets; give -i FILE$/],
    ["keys/disk-key", /^the secret disk-key/],
    ["host/luks/data.header", /^the LUKS header of data; give --host HOST$/],
    ["host/tables/sdb.sfdisk", /^partition tables of 1 of 2 disks/],
    ["host/ssh/ssh_host_ed25519_key", /^the host's SSH host keys/],
    ["host/machine-id", /^the host's machine-id/],
  ])("is named where %s is not there", (name, line) => {
    expect(
      missingIn(
        wanted,
        whole.filter((one) => one !== name),
      ),
    ).toEqual([expect.stringMatching(line)]);
  });

  it("counts a header that was closed for any of the volumes", () => {
    const closed = whole.map((name) => name.replace("root.h", "0a2d1576-ac34-4eb0-82f1-5ed55db93ddb.h"));
    expect(missingIn(wanted, closed)).toEqual([]);
    expect(
      missingIn(
        wanted,
        closed.filter((name) => name !== "host/luks/data.header"),
      ),
    ).toHaveLength(1);
  });
});

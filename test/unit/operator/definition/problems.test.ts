import { describe, expect, it } from "vitest";
import { checkBySchema } from "../../../../src/operator/definition/problems.ts";
import { Spec } from "../../../../src/schema/spec.ts";

function told(change: Record<string, unknown>): string[] {
  const result = checkBySchema(Spec, { hostname: "web", ...change });
  if ("data" in result) return [];
  return result.problems.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

const disk = (partition: object) => ({
  storage: {
    disks: {
      system: {
        match: { serial: "A" },
        table: {
          type: "gpt",
          partitions: [{ name: "root", type: "linux-root", size: "rest", ...partition }],
        },
      },
    },
  },
});

describe("checkBySchema", () => {
  it("gives the data with its defaults when all is well", () => {
    expect(checkBySchema(Spec, { hostname: "web" })).toMatchObject({ data: { system: { suite: "trixie" } } });
  });

  it.each<[Record<string, unknown>, string]>([
    [{ hostname: undefined }, "hostname: is missing; needs text in quotes"],
    [{ hostname: 5 }, "hostname: 5 is not accepted; needs text in quotes"],
    [{ hostname: "We b" }, 'hostname: "We b" is not accepted; needs a host name'],
    [{ hostnam: "a" }, "hostnam: unknown key; did you mean `hostname`"],
    [
      { system: { suite: "sid" } },
      'system.suite: "sid" is not accepted; needs "bookworm", "trixie" or "forky"',
    ],
    [{ system: { zzzzz: 1 } }, "system.zzzzz: unknown key; accepted are distribution, suite, architecture"],
    [{ packages: { install: "nginx" } }, 'packages.install: "nginx" is not accepted; needs a list, `[ … ]`'],
    [
      { packages: { recommends: "yes" } },
      'packages.recommends: "yes" is not accepted; needs `true` or `false`',
    ],
    [{ boot: { menuTimeoutSeconds: 61 } }, "boot.menuTimeoutSeconds: 61 is not accepted; needs at most 60"],
    [
      { boot: { menuTimeoutSeconds: 1.5 } },
      "boot.menuTimeoutSeconds: 1.5 is not accepted; needs a whole number",
    ],
    [
      { network: { a: { match: { name: "e" }, addresses: ["192.0.2.1"] } } },
      'network.a.addresses.0: "192.0.2.1" is not accepted; needs an IPv4 address with its prefix',
    ],
    [{ network: { a: { match: {} } } }, "network.a.match: needs `name` or `mac`"],
    [
      { users: { Admin: {} } },
      'users.Admin: "Admin" as a key is not accepted; needs 1 to 32 lower-case letters',
    ],
    [
      { files: { "/etc/a": { content: "", mode: "755" } } },
      'files./etc/a.mode: "755" is not accepted; needs four octal',
    ],
    [
      { health: [{ type: "gopher" }] },
      'health.0.type: "gopher" is not accepted; needs "unit", "port", "command", "http"',
    ],
    [{ health: [{ type: "port", port: 0 }] }, "health.0.port: 0 is not accepted; needs at least 1"],
    [
      disk({ size: "10GB" }),
      'storage.disks.system.table.partitions.0.size: "10GB" is not accepted; needs a size such as',
    ],
    [disk({ sise: 1 }), "storage.disks.system.table.partitions.0.sise: unknown key; did you mean `size`"],
    [
      disk({ content: { type: "ext4", mount: "srv" } }),
      'storage.disks.system.table.partitions.0.content.mount: "srv" is not accepted; needs an absolute path',
    ],
  ])("tells of %j where it is and what is accepted", (change, expected) => {
    const all = told(change);
    expect(all).toHaveLength(1);
    expect(all[0]).toContain(expected);
  });

  it("tells every problem, not only the first", () => {
    expect(told({ hostname: "A", locale: "x", users: { a: { uid: 1 } } })).toHaveLength(3);
  });

  it("cuts what it shows of a long value", () => {
    expect(told({ hostname: "x".repeat(100_000) })[0]!.length).toBeLessThan(150);
  });
});

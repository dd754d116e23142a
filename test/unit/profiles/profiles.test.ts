import { describe, expect, it } from "vitest";
import { checkSpec } from "../../../src/operator/check/check.ts";
import { loadDefinition } from "../../../src/operator/definition/load.ts";
import { cloud, hardened, merge, override, server } from "../../../src/profiles/index.ts";
import { Spec, type SpecInput } from "../../../src/schema/spec.ts";

const own: SpecInput = { hostname: "x", users: { admin: { sudo: true, keys: ["ssh-ed25519 AAAA me"] } } };
const problems = (input: SpecInput) => checkSpec(Spec.parse(input)).map(({ message }) => message);

describe("profiles", () => {
  it("are whole together, in any order, and each beside a server", () => {
    expect(problems(merge(server(), own))).toEqual([]);
    expect(problems(merge(cloud(), hardened(), server(), own))).toEqual([]);
    expect(problems(merge(server(), hardened(), own))).toEqual([]);
    expect(problems(merge(server(), cloud(), own))).toEqual([]);
  });

  it("leave kexec as it is, by which the next deploy starts, and user namespaces for containers", () => {
    const set = Object.keys(merge(server(), hardened(), cloud()).sysctl ?? {});
    expect(set.filter((name) => /kexec|userns|user\.max/.test(name))).toEqual([]);
  });

  it("have one kernel, which may be another", () => {
    const kernels = (part: ReturnType<typeof server>) =>
      part.packages?.install?.filter((name) => name.startsWith("linux-image"));
    expect(kernels(merge(server(), cloud()))).toEqual(["linux-image-amd64"]);
    expect(kernels(server({ kernel: "linux-image-cloud-amd64" }))).toEqual(["linux-image-cloud-amd64"]);
  });

  it("are hardened only for who can still come in", () => {
    expect(
      problems(merge(server(), hardened(), { ...own, users: { root: { keys: ["ssh-ed25519 A"] } } })),
    ).toEqual([expect.stringMatching(/^lets no user in/)]);
    const moved = merge(server(), hardened(), { ...own, sshd: { ports: [2222] } });
    expect(problems(moved)).toEqual([expect.stringMatching(/^leaves out SSH: the server listens on 2222/)]);
    const both = merge(moved, { hostname: "x", firewall: { tcp: override([2222]) } });
    expect(problems(both)).toEqual([]);
  });

  it("make a server of one page", async () => {
    const { spec } = await loadDefinition("imgbuild/rented");
    expect(spec.firewall).toMatchObject({ tcp: [22, 80, 443] });
    expect(spec.sshd).toMatchObject({ passwordAuthentication: false, permitRootLogin: "no" });
    expect(spec.modules).toMatchObject({
      load: ["tcp_bbr"],
      blocked: expect.arrayContaining(["dccp", "floppy"]),
    });
  });
});

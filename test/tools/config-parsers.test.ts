import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { networkFiles } from "../../src/operator/plan/network-files.ts";
import { Network } from "../../src/schema/network.ts";
import { Spec } from "../../src/schema/spec.ts";
import { makeUsers } from "../../src/steps/tree/make-users.ts";
import { run } from "../../src/system/run/run.ts";
import { fakeContext } from "../helpers/builders/hostile-tree.ts";
import { numbers, seed } from "../helpers/builders/odd-strings.ts";
import { runNetworkd } from "../helpers/labs/networkd.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const users = 1_000;
const links = 40;

const random = numbers(seed);
const below = (limit: number) => Math.floor(random() * limit);
const pick = <T>(some: readonly T[]): T => some[below(some.length)]!;
const letters = [..."abcdefghijklmnopqrstuvwxyz"];
const others = [...letters, ..."0123456789_-"];

describe(`what is written of a definition is read by the programs that it is for (F39, IMGBUILD_SEED=${seed})`, () => {
  it("as sudo's rules: for these users, all of it, with a password or without, and for nobody else", async () => {
    // Words of sudoers among them: they are names all the same.
    const names = new Set(["all", "defaults", "root-", "a-", "x_", "user_alias", "runas", "nopasswd"]);
    while (names.size < users)
      names.add(pick(letters) + Array.from({ length: below(32) }, () => pick(others)).join(""));
    const dir = tempDir();
    const root = join(dir, "tree");
    for (const path of ["etc/sudoers.d", "bin"]) mkdirSync(join(root, path), { recursive: true });
    writeFileSync(join(root, "bin/bash"), "", { mode: 0o755 });
    const asked = (name: string) => name.length % 2 === 1;
    const entries = [...names].map((name) => `${name}:x:1000:1000::/home/${name}:/bin/sh\n`);
    writeFileSync(join(root, "etc/passwd"), entries.join(""));
    const spec = Spec.parse({
      hostname: "x",
      users: Object.fromEntries([...names].map((name) => [name, { sudo: asked(name) ? "password" : true }])),
    });
    const planned = Object.entries(spec.users).map(([name, { comment, shell, groups, sudo, keys }]) => ({
      ...{ name, comment, shell, groups, sudo, keys },
    }));
    await makeUsers.run(
      makeUsers.schema.parse({ users: planned }),
      fakeContext(dir, root, { chroot: async () => ({ code: 0, stdout: "", stderr: "" }) }),
    );
    const rules = join(root, "etc/sudoers");
    writeFileSync(rules, `@includedir ${join(root, "etc/sudoers.d")}\n`, { mode: 0o440 });
    const checked = await run(["visudo", "--check", "--strict", `--file=${rules}`]);
    // It looks into every file, and passes over those whose names have a dot or end with a tilde.
    expect(checked.stdout.match(/: parsed OK$/gm)).toHaveLength(names.size + 1);
    const { stdout } = await run(["cvtsudoers", "--output-format=json", rules]);
    const read = JSON.parse(stdout) as { User_Specs: unknown[] };
    expect(Object.keys(read)).toEqual(["User_Specs"]);
    const rule = (username: string) => ({
      User_List: [{ username }],
      Host_List: [{ hostname: "ALL" }],
      Cmnd_Specs: [
        {
          runasusers: [{ username: "ALL" }],
          runasgroups: [{ usergroup: "ALL" }],
          // `ALL` allows to set variables as well (sudoers(5), SETENV).
          Options: [...(asked(username) ? [] : [{ authenticate: false }]), { setenv: true }],
          Commands: [{ command: "ALL" }],
        },
      ],
    });
    const byName = (one: string, other: string) => (one < other ? -1 : 1);
    expect(read.User_Specs.map((one) => JSON.stringify(one)).sort(byName)).toEqual(
      [...names].map((name) => JSON.stringify(rule(name))).sort(byName),
    );
  });

  it("as systemd-networkd's files: every address, gateway and server, on the link that is meant", async () => {
    const dir = tempDir();
    const all = Array.from({ length: links }, (_none, index) => madeUp(index));
    const network = Object.fromEntries(all.map(({ key, network }) => [key, network]));
    const {
      log,
      complaints,
      links: shown,
      states,
    } = runNetworkd(dir, networkFiles({ network, secrets: {} }), all, links);
    expect(complaints).toEqual([]);
    const found = all.map(({ name, key }) => ({
      name,
      addresses: (shown.find(({ ifname }) => ifname === name)?.addr_info ?? [])
        .filter(({ local }) => !local.startsWith("fe80"))
        .map(({ local, prefixlen }) => `${local}/${prefixlen}`)
        .sort(),
      gateways: [...new Set([...log.matchAll(routeOf(name))].map((match) => match[1]!))].sort(),
      servers: (
        states
          .find((text) => text.includes(`/10-${key}.network\n`))
          ?.match(/^DNS=(.+)$/m)?.[1]
          ?.split(" ") ?? []
      ).sort(),
    }));
    expect(found).toEqual(
      all.map(({ name, network }) => ({
        name,
        addresses: network.addresses.map(plain).sort(),
        gateways: network.gateway.map(plain).sort(),
        servers: network.dns.map(plain).sort(),
      })),
    );
  });
});

function routeOf(name: string): RegExp {
  const all = "(?:n/a|default|0\\.0\\.0\\.0/0|::/0)";
  return new RegExp(`^${name.replaceAll(".", "\\.")}: .*[Rr]oute.*: dst: ${all},.* gw: ([^,]+),`, "gm");
}

/** A network of addresses for documentation, each written in one of the ways that there are. */
function madeUp(index: number): {
  readonly key: string;
  readonly name: string;
  readonly mac: string;
  readonly network: Network;
} {
  const name = `l${index}${pick(["", "-", "_x", ".7", "--a"])}`;
  const mac = `02:00:00:00:${[index >> 8, index & 255].map((byte) => byte.toString(16).padStart(2, "0")).join(":")}`;
  const host = () => (index << 6) + 1 + below(60);
  const ipv4 = () => pick([`192.0.2.${1 + below(254)}`, `203.0.113.${1 + below(254)}`]);
  const ipv6 = () => written(["2001", "db8", "0", index.toString(16), "0", "0", "0", host().toString(16)]);
  const some = (count: number, make: () => string) => {
    const made = Array.from({ length: below(count) }, make);
    // A definition with one address twice is refused, with two prefixes as well.
    const bare = (one: string) => plain(one.replace(/\/.*/, ""));
    return made.filter((one, at) => made.findIndex((other) => bare(other) === bare(one)) === at);
  };
  const network = Network.parse({
    match: pick([{ name }, { mac }, { name, mac }, { name: `${name.slice(0, -1)}[${name.at(-1)}]` }]),
    addresses: [
      `198.51.${100}.${1 + index}/${24 + below(9)}`,
      ...some(3, () => `${ipv6()}/${64 + below(65)}`),
    ],
    gateway: some(2, ipv4),
    gatewayOnLink: true,
    dns: [...some(3, ipv4), ...some(3, ipv6)],
  });
  return { key: `n${index}`, name, mac, network };
}

/** An IPv6 address of eight groups in one of its forms. */
function written(groups: readonly string[]): string {
  const [, , , network, , , , host] = groups as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  return pick([
    groups.join(":"),
    groups.map((group) => group.padStart(4, "0")).join(":"),
    groups.join(":").toUpperCase(),
    `2001:db8:0:${network}::${host}`,
    `2001:DB8::${network}:0:0:0:${host}`,
    `2001:db8:0:${network}::0.0.${Number.parseInt(host, 16) >> 8}.${Number.parseInt(host, 16) & 255}`,
  ]);
}

/** The one form of an address that the kernel shows. */
function plain(address: string): string {
  const [host = "", prefix] = address.split("/");
  const form = host.includes(":") ? new URL(`http://[${host}]/`).hostname.slice(1, -1) : host;
  return prefix === undefined ? form : `${form}/${prefix}`;
}

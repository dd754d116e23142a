import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  definitionOf,
  hostNamed,
  hostRecords,
  noSuchHost,
} from "../../../../src/operator/definition/host-records.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const print = `SHA256:${"A".repeat(43)}`;

/** A git repository with this hosts.yaml. */
function repository(yaml: string): string {
  const top = tempDir();
  mkdirSync(join(top, ".git"));
  mkdirSync(join(top, "hosts/web"), { recursive: true });
  writeFileSync(join(top, "hosts.yaml"), yaml);
  return top;
}

async function refusal(yaml: string): Promise<string> {
  const error = await hostRecords(repository(yaml)).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Fail);
  return (error as Fail).message.replaceAll(/\S*hosts\.yaml/g, "hosts.yaml");
}

describe("hosts.yaml", () => {
  it("has a record for each host, whose name is its definition's and its address unless it says another", async () => {
    const top = repository(
      `hosts:\n  web:\n    address: root@192.0.2.10:22\n    hostKeys: ["${print}", ssh-ed25519 AAAA root@web]\n` +
        "    mayWipe: [S3Z8NB0K]\n    login: admin\n    parameters: { workers: 4 }\n  db:\n  mail: { definition: shared/IMGBUILD.ts }\n",
    );
    const hosts = (await hostRecords(top))!.hosts.map(({ place: _, ...host }) => host);
    expect(hosts).toEqual([
      {
        name: "web",
        definition: join(top, "hosts/web"),
        address: "root@192.0.2.10:22",
        hostKeys: [print, "ssh-ed25519 AAAA root@web"],
        mayWipe: ["S3Z8NB0K"],
        login: "admin",
        parameters: { workers: 4 },
      },
      { name: "db", definition: join(top, "hosts/db"), address: "db", parameters: {} },
      { name: "mail", definition: join(top, "shared/IMGBUILD.ts"), address: "mail", parameters: {} },
    ]);
    expect((await hostNamed("web", top))!.place("login")).toMatch(/hosts\.yaml:6$/);
  });

  it("is found from anywhere within its git repository, and no further up", async () => {
    const top = repository("hosts: { web: }\n");
    expect((await hostRecords(join(top, "hosts/web")))?.file).toBe(join(top, "hosts.yaml"));
    mkdirSync(join(top, "hosts/.git"));
    expect(await hostRecords(join(top, "hosts/web"))).toBeUndefined();
  });

  it("counts without git only where it is, as anybody may write to a directory above", async () => {
    const top = repository("hosts: { web: }\n");
    rmSync(join(top, ".git"), { recursive: true });
    expect(await hostRecords(top)).toBeDefined();
    expect(await hostRecords(join(top, "hosts"))).toBeUndefined();
  });

  it.each<[string, string, string]>([
    [
      "an unknown field",
      "hosts:\n  web:\n    adress: a\n",
      "hosts.yaml:3: hosts.web.adress: unknown key; did you mean `address`",
    ],
    ["an unknown part", "host:\n  web:\n", "hosts.yaml:1: host: unknown key; did you mean `hosts`"],
    [
      "a name that is a path",
      "hosts:\n  a/b:\n",
      'hosts.yaml:2: hosts["a/b"]: "a/b" as a key is not accepted; needs a name of lower-case letters, digits and dashes',
    ],
    [
      "an address with a blank",
      "hosts:\n  web:\n    address: a b\n",
      'hosts.yaml:3: hosts.web.address: "a b" is not accepted; needs `[user@]name[:port]`, or an alias of your ssh_config',
    ],
    [
      "an address that is an option",
      "hosts:\n  web:\n    address: -oProxyCommand=x\n",
      "hosts.yaml:3: hosts.web.address: ",
    ],
    [
      "a key that is none",
      `hosts:\n  web:\n    hostKeys:\n      - ${print}\n      - SHA256:short\n`,
      'hosts.yaml:5: hosts.web.hostKeys[1]: "SHA256:short" is not accepted; needs a fingerprint such as `SHA256:…`',
    ],
    [
      "no key at all",
      "hosts:\n  web:\n    hostKeys: []\n",
      "hosts.yaml:3: hosts.web.hostKeys: [] is not accepted; needs at least 1 entries",
    ],
    [
      "a definition outside of the repository",
      "hosts:\n  web:\n    definition: ../web\n",
      'hosts.yaml:3: hosts.web.definition: "../web" is not accepted; needs a path below the directory of hosts.yaml',
    ],
    [
      "an absolute definition",
      "hosts:\n  web:\n    definition: /srv/web\n",
      "hosts.yaml:3: hosts.web.definition",
    ],
    [
      "a serial that YAML takes for a number",
      "hosts:\n  web:\n    mayWipe: [1234]\n",
      "hosts.yaml:3: hosts.web.mayWipe[0]: 1234 is not accepted; needs text in quotes",
    ],
    ["a host that is there twice", "hosts:\n  web: {}\n  web: {}\n", "hosts.yaml:3: Map keys must be unique"],
    ["nothing in it", "", "hosts.yaml:1: null is not accepted; needs an object"],
  ])("is refused with its line and what is accepted for %s", async (_name, yaml, message) => {
    expect(await refusal(yaml)).toContain(message);
  });

  it("is refused where it cannot be read, or holds what contains itself", async () => {
    const top = repository("hosts:\n  web:\n    parameters: &a { a: *a }\n");
    await expect(hostRecords(top)).rejects.toThrow(/hosts\.yaml:1: Converting circular structure/);
    rmSync(join(top, "hosts.yaml"));
    mkdirSync(join(top, "hosts.yaml"));
    await expect(hostRecords(top)).rejects.toThrow(/hosts\.yaml cannot be read: it is a directory/);
  });

  it("shows every mistake at once", async () => {
    expect((await refusal("hosts:\n  web: { a: 1 }\n  db: { b: 1 }\n")).split("\n")).toHaveLength(2);
  });
});

describe("a word", () => {
  it("is no host's name where it is a path or an address", async () => {
    const top = repository("hosts:\n  web: { broken: true }\n");
    for (const word of ["./web", "hosts/web", ".", "root@web", "192.0.2.10", "Web"])
      expect(await hostNamed(word, top)).toBeUndefined();
    await expect(hostNamed("web", top)).rejects.toThrow("unknown key");
  });

  it("that is a host and a directory is refused, unless that is the host's own definition", async () => {
    const top = repository("hosts:\n  web:\n");
    expect((await definitionOf("web", join(top, "hosts")))?.name).toBe("web");
    mkdirSync(join(top, "web"));
    const answer = definitionOf("web", top);
    await expect(answer).rejects.toThrow(
      /^web is a host at \S*hosts\.yaml:2, and another definition or file/,
    );
    await expect(answer).rejects.toMatchObject({ hint: expect.stringContaining("write ./web") });
    expect((await hostNamed("web", top))?.name).toBe("web");
  });

  it("that is nearly a host is told which is meant", async () => {
    const top = repository("hosts:\n  web-1:\n  db:\n");
    expect(await noSuchHost("web1", top)).toMatch(/^did you mean web-1, a host of /);
    expect(await noSuchHost("mail", top)).toMatch(/^the hosts of .* are web-1, db$/);
    expect(await noSuchHost("./web1", top)).toBeUndefined();
  });
});

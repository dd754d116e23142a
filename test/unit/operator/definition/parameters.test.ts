import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { definitionDigest } from "../../../../src/operator/definition/digest.ts";
import { hostNamed } from "../../../../src/operator/definition/host-records.ts";
import { loadDefinition } from "../../../../src/operator/definition/load.ts";
import { lockedPackage, lockOf } from "../../../helpers/builders/lock.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const web = [
  'import { image } from "imgbuild";',
  'import { imageWith, z } from "imgbuild/parameters";',
  'import { domain } from "../../shared/domain.ts";',
  'import limits from "../../shared/limits.yaml";',
  "const accepts = { hostname: z.string(), workers: z.int().max(64).default(2) };",
  "export default imageWith(accepts, ({ hostname, workers }) =>",
  "  image({",
  "    hostname: [hostname, domain].join('.'),",
  "    users: Object.fromEntries(Array.from({ length: limits.users * workers }, (_, n) => ['w' + n, {}])),",
  "  }),",
  ");",
].join("\n");

function repository(hosts: string, files: Readonly<Record<string, string>> = {}): string {
  const top = tempDir();
  for (const [name, text] of Object.entries({
    ".git/HEAD": "",
    "hosts.yaml": hosts,
    "hosts/web/IMGBUILD.ts": web,
    "hosts/plain/IMGBUILD.ts": 'export default { hostname: "plain" };\n',
    "shared/domain.ts": 'export const domain = "example.org";\n',
    "shared/limits.yaml": "users: 1\n",
    ...files,
  })) {
    mkdirSync(dirname(join(top, name)), { recursive: true });
    writeFileSync(join(top, name), text);
  }
  return top;
}

async function load(name: string, hosts: string, files: Readonly<Record<string, string>> = {}) {
  return await loadDefinition(name, { from: repository(hosts, files) });
}

describe("a definition that takes parameters", () => {
  it("gets those of the host whose name is given, and the defaults of the others", async () => {
    const hosts =
      "hosts:\n  web:\n    parameters: { hostname: www }\n  two:\n    definition: hosts/web\n" +
      "    parameters: { hostname: two, workers: 3 }\n";
    const one = await load("web", hosts);
    expect(one.spec.hostname).toBe("www.example.org");
    expect(Object.keys(one.spec.users)).toEqual(["w0", "w1"]);
    expect(one.host?.name).toBe("web");
    const two = await load("two", hosts);
    expect(two.spec.hostname).toBe("two.example.org");
    expect(Object.keys(two.spec.users)).toHaveLength(3);
  });

  it("gets those of the host that it is to be deployed to, when it is given by its path", async () => {
    const top = repository("hosts:\n  web:\n    parameters: { hostname: www }\n");
    const host = await hostNamed("web", top);
    expect((await loadDefinition("hosts/web", { from: top, host })).spec.hostname).toBe("www.example.org");
  });

  it.each<[string, string, string]>([
    ["that is missing", "{}", "hosts.yaml:4: parameters.hostname: is missing; needs text in quotes"],
    [
      "that it does not know",
      "{ hostname: a, wokers: 1 }",
      "hosts.yaml:4: parameters.wokers: unknown key; did you mean `workers`",
    ],
    [
      "of a wrong value",
      "{ hostname: a, workers: 65 }",
      "hosts.yaml:4: parameters.workers: 65 is not accepted; needs at most 64",
    ],
    [
      "of a wrong type",
      "{ hostname: a, workers: many }",
      'hosts.yaml:4: parameters.workers: "many" is not accepted; needs a number',
    ],
  ])("refuses a parameter %s, where hosts.yaml says it", async (_name, parameters, message) => {
    const hosts = `hosts:\n  web:\n    address: a\n    parameters: ${parameters}\n`;
    await expect(load("web", hosts)).rejects.toThrow(message);
  });

  it("is refused by its path alone, with where parameters come from", async () => {
    const answer = load("./hosts/web", "hosts: {}\n");
    await expect(answer).rejects.toThrow(/IMGBUILD\.ts:1: parameters\.hostname: is missing/);
    await expect(answer).rejects.toMatchObject({ hint: expect.stringContaining("hosts.yaml") });
  });
});

describe("a definition that takes none", () => {
  it("is that of a host without parameters", async () => {
    expect((await load("plain", "hosts:\n  plain:\n")).spec.hostname).toBe("plain");
  });

  it("refuses those of a host, where hosts.yaml says them", async () => {
    const hosts = "hosts:\n  plain:\n    parameters:\n      a: 1\n";
    await expect(load("plain", hosts)).rejects.toThrow(
      /hosts\.yaml:4: parameters\.a: the definition takes no parameters; `imageWith`/,
    );
  });
});

describe("a definition's digest", () => {
  const hosts = "hosts:\n  web:\n    parameters: { hostname: www }\n";
  const digest = async (files: Readonly<Record<string, string>>, yaml = hosts) => {
    const { spec } = await load("web", yaml, files);
    return definitionDigest(spec, lockOf([lockedPackage("nginx", "1")]), { files: new Map(), links: [] });
  };

  it("is the same wherever the repository is", async () => {
    expect(await digest({})).toBe(await digest({}));
  });

  it.each<[string, Readonly<Record<string, string>>]>([
    ["a module", { "shared/domain.ts": 'export const domain = "example.net";\n' }],
    ["a YAML file", { "shared/limits.yaml": "users: 2\n" }],
  ])("changes with %s that it imports", async (_name, files) => {
    expect(await digest(files)).not.toBe(await digest({}));
  });

  it("changes with the parameters", async () => {
    expect(await digest({}, hosts.replace("www", "web"))).not.toBe(await digest({}));
  });
});

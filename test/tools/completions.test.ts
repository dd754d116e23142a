import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "../../src/system/run/run.ts";
import { adminKey } from "../helpers/builders/deployable.ts";
import { imgbuild, project } from "../helpers/imgbuild.ts";
import { environment } from "../helpers/labs/cli-lab.ts";
import { startLanguageServer } from "../helpers/labs/language-server.ts";

const packMs = 10 * 60_000;
let server: Awaited<ReturnType<typeof startLanguageServer>>;
let definition: string;
let home: string;

/** A repository as `imgbuild init` makes it, with the package and its types. */
beforeAll(async () => {
  await run(["node", "--import", "tsx", "scripts/package.ts"], { env: environment, timeoutMs: packMs });
  home = mkdtempSync(join(tmpdir(), "imgbuild-test-"));
  const directory = join(home, "web");
  writeFileSync(join(home, "key.pub"), `${adminKey} me\n`);
  const env = { ...environment, HOME: home, XDG_CONFIG_HOME: home };
  const ran = await imgbuild(["init", directory, "--key", join(home, "key.pub")], { env, timeoutMs: packMs });
  expect(ran.code, ran.stderr).toBe(0);
  mkdirSync(join(directory, "node_modules"));
  const links = { imgbuild: "out/package", zod: "node_modules/zod", "@types": "node_modules/@types" };
  for (const [name, to] of Object.entries(links))
    symlinkSync(resolve(project, to), join(directory, "node_modules", name));
  definition = readFileSync(join(directory, "IMGBUILD.ts"), "utf8");
  server = await startLanguageServer(join(project, "node_modules/.bin/tsc"), directory);
}, packMs);
afterAll(() => {
  server?.stop();
  rmSync(home, { recursive: true, force: true });
});

describe("an editor", () => {
  it.each<[string, string, readonly string[]]>([
    ["the fields of a definition", "\n  |", ["locale", "services", "secrets", "firewall", "hostKeys"]],
    ["the fields of boot", "\n  boot: {\n    |\n  },", ["firmware", "loader", "secureBoot", "consoles"]],
    ["loaders", '\n  boot: { loader: "|" },', ["systemd-boot", "uki", "grub"]],
    ["releases", '\n  system: { suite: "|" },', ["bookworm", "trixie"]],
    [
      "the fields of a user",
      "\n  users: {\n    me: {\n      |\n    },\n  },",
      ["keys", "sudo", "shell", "groups"],
    ],
    ["kinds of checks", '\n  health: [{ type: "|" }],', ["unit", "port", "command", "http"]],
    ["states of a unit", '\n  services: { "a.service": { state: "|" } },', ["enabled", "disabled", "masked"]],
    [
      "types of partitions",
      '\n  storage: { disks: { a: { match: {}, table: { type: "gpt", partitions: [{ type: "|" }] } } } },',
      ["esp", "linux-root", "linux-luks"],
    ],
    [
      "by what a disk is known",
      "\n  storage: { disks: { a: { match: {\n    |\n  } } } },",
      ["serial", "wwn", "byId", "tableUuid"],
    ],
    [
      "contents",
      '\n  storage: { arrays: { a: { content: { type: "|" } } } },',
      ["ext4", "luks", "btrfs", "swap"],
    ],
  ])("is offered %s", async (_what, at, names) => {
    const offered = await server.offered(definition.replace("image({", () => `image({${at}`));
    expect(offered.names).toEqual(expect.arrayContaining([...names]));
    // Names of the language would hide ours.
    expect(offered.names.length).toBeLessThan(60);
  });

  it("is offered the functions, each with its words", async () => {
    const text = 'import { | } from "imgbuild";\n';
    const { names, words } = await server.offered(text, "unitIsActive");
    expect(names).toEqual(expect.arrayContaining(["image", "disk", "gpt", "luks", "timer", "unitIsActive"]));
    expect(words).toContain("The unit is active");
  });
});

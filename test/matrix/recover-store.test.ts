import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { storePath } from "../../src/debian/http/places.ts";
import { parseLock } from "../../src/debian/lock/lock.ts";
import { imgbuild, project } from "../helpers/imgbuild.ts";
import { web, webOfFiles } from "../helpers/labs/web.ts";

const from = join(project, "imgbuild/layouts");
const commandMs = 3_600_000;

describe("rescue-store", () => {
  it("rebuilds a server of a blank disk from a store, when the archive has moved on (F48)", async () => {
    mkdirSync(join(project, "out"), { recursive: true });
    // Two levels below the project, as the layout is, for its key and for where "imgbuild" is found.
    const dir = mkdtempSync(join(project, "out/kept-"));
    const state = mkdtempSync(join(tmpdir(), "imgbuild-kept-"));
    onTestFinished(() => {
      for (const one of [dir, state]) rmSync(one, { recursive: true });
    });
    const definition = join(dir, "server");
    cpSync(join(from, "bios-gpt/IMGBUILD.ts"), join(definition, "IMGBUILD.ts"));
    const common = readFileSync(join(from, "common.ts"), "utf8");
    const define = (system: object) => {
      const text = common.replace(
        "    hostname,\n",
        `    hostname,\n    system: ${JSON.stringify(system)},\n`,
      );
      expect(text).not.toBe(common);
      writeFileSync(join(dir, "common.ts"), text);
    };
    const env = { ...process.env, IMGBUILD_STORE_KEY: join(state, "key.pem"), IMGBUILD_SNAPSHOT: "" };
    const run = async (args: readonly string[]) => {
      const { code, stdout, stderr } = await imgbuild(args, { env, timeoutMs: commandMs, show: true });
      expect(code, `${stdout}${stderr}`.slice(-4000)).toBe(0);
      return stdout;
    };
    const path = relative(project, definition);
    const store = join(state, "store");

    define({});
    await run(["lock", path]);
    const { packages } = parseLock(readFileSync(join(definition, "imgbuild.lock.yaml"), "utf8"));
    const key = /ed25519:\S+/.exec(await run(["store", "add", path, "--store", store]))![0];

    // A machine of the lab reaches this computer's loopback as 10.0.2.2.
    const seen = ({ url }: { url: string }) => url.replace("127.0.0.1", "10.0.2.2");
    const moved = await web((_request, response) => response.writeHead(404).end());
    const served = await webOfFiles((asked) => join(store, asked));
    define({ mirror: `${seen(moved)}/debian`, stores: [{ url: seen(served), key }] });
    const said = await run(["rescue", "--test", path, "--firmware", "bios"]);
    expect(said).toMatch(/bios-gpt is back after .*; (\d+) of \1 checks passed/);

    // Each package was asked for at the mirror, is there no more, and came from the store.
    const { archive, path: pool } = packages[0]!;
    expect(moved.asked).toContain(`/${archive}/${pool}`);
    expect(new Set(served.asked)).toEqual(new Set(packages.map((one) => `/${storePath(one)}`)));
  });
});

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { storePath } from "../../src/debian/http/places.ts";
import { Report } from "../../src/schema/report.ts";
import { silentLog } from "../../src/util/log.ts";
import { imgbuild, project } from "../helpers/imgbuild.ts";
import { ownDefinition, webPackages } from "../helpers/labs/cli-lab.ts";
import { deployArguments, startLab } from "../helpers/labs/lab.ts";
import { web, webOfFiles } from "../helpers/labs/web.ts";

const commandMs = 3_600_000;

it("deploy-store: a stock host becomes imgbuild/web, of packages that only a store by HTTP has any more (F48)", async () => {
  // Where "imgbuild" is found.
  mkdirSync(join(project, "out"), { recursive: true });
  const dir = mkdtempSync(join(project, "out/kept-"));
  const state = mkdtempSync(join(tmpdir(), "imgbuild-kept-"));
  onTestFinished(() => {
    for (const one of [dir, state]) rmSync(one, { recursive: true });
  });
  const env = {
    ...process.env,
    XDG_STATE_HOME: state,
    IMGBUILD_STORE_KEY: join(state, "key.pem"),
    IMGBUILD_SNAPSHOT: "",
  };
  const run = async (args: readonly string[]) => {
    const { code, stdout, stderr } = await imgbuild(args, { env, timeoutMs: commandMs });
    expect(code, `${stdout}${stderr}`.slice(-4000)).toBe(0);
    return stdout;
  };
  const store = join(state, "store");
  const key = /ed25519:\S+/.exec(await run(["store", "add", "imgbuild/web", "--store", store]))![0];

  // A machine of the lab reaches this computer's loopback as 10.0.2.2.
  const seen = ({ url }: { url: string }) => url.replace("127.0.0.1", "10.0.2.2");
  const moved = await web((_request, response) => response.writeHead(404).end());
  const served = await webOfFiles((asked) => join(store, asked));
  const mirror = `${seen(moved)}/debian`;
  const definition = ownDefinition(dir, mirror);
  const file = join(definition, "IMGBUILD.ts");
  const stores = JSON.stringify([{ url: seen(served), key }]);
  const text = readFileSync(file, "utf8");
  writeFileSync(file, text.replace(`mirror: "${mirror}"`, `mirror: "${mirror}", stores: ${stores}`));

  const lab = await startLab({ firmware: "bios", log: silentLog, env });
  try {
    const report = join(lab.directory, "report.json");
    await run([
      ...deployArguments(lab, report, "target", relative(project, definition)),
      ...["--build-on", "target"],
    ]);
    const { outcome, fetched } = Report.parse(JSON.parse(readFileSync(report, "utf8")));
    expect(outcome).toBe("done");
    expect(fetched?.packages).toBeGreaterThan(100);
    // The host showed before that it reaches the store, and the base took all from it.
    const wanted = webPackages().map((one) => `/${storePath(one)}`);
    expect(new Set(served.asked)).toEqual(new Set(["/index.txt", ...wanted]));
    expect(moved.asked.length).toBeGreaterThanOrEqual(wanted.length);
  } finally {
    await lab.close();
  }
});

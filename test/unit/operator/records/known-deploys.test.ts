import { readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { knownDeploy, recordDeploy } from "../../../../src/operator/records/known-deploys.ts";
import { notedDeploy } from "../../../helpers/fakes/noted-deploy.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

describe("a deploy that was started from here", () => {
  it("is found again by the host's name, the last one of each, and nobody else may read it", async () => {
    const env = { XDG_STATE_HOME: tempDir() };
    await recordDeploy(env, "admin@web", { ...notedDeploy, started: "2025-01-01T00:00:00.000Z" });
    await recordDeploy(env, "admin@web", notedDeploy);
    await recordDeploy(env, "mail/../x", notedDeploy);
    expect(await knownDeploy(env, "admin@web")).toEqual({ host: "admin@web", ...notedDeploy });
    expect(await knownDeploy(env, "mail/../x")).toMatchObject({ host: "mail/../x" });
    const dir = join(env.XDG_STATE_HOME, "imgbuild/deploys");
    const names = readdirSync(dir);
    expect(names.length).toBe(2);
    for (const name of names) {
      expect(name).toMatch(/^[0-9a-f]{16}\.json$/);
      expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
    }
    expect(statSync(dir).mode & 0o777).toBe(0o700);
  });

  it("lies in the home directory where there is no other place for state", async () => {
    const env = { HOME: tempDir() };
    await recordDeploy(env, "web", notedDeploy);
    expect(readdirSync(join(env.HOME, ".local/state/imgbuild/deploys")).length).toBe(1);
  });

  it.each([
    "",
    "{",
    "null",
    "{}",
    JSON.stringify({ host: "web", ...notedDeploy, more: 1 }),
    JSON.stringify({ host: "web", ...notedDeploy, newSystem: undefined }),
  ])("is not known when its file holds %j", async (text) => {
    const env = { XDG_STATE_HOME: tempDir() };
    await recordDeploy(env, "web", notedDeploy);
    const dir = join(env.XDG_STATE_HOME, "imgbuild/deploys");
    writeFileSync(join(dir, readdirSync(dir)[0]!), text);
    await expect(knownDeploy(env, "web")).rejects.toThrow("no deploy of web was started from here");
  });

  it("is not known when there was none", async () => {
    await expect(knownDeploy({ XDG_STATE_HOME: tempDir() }, "web")).rejects.toThrow(/no deploy of web/);
  });
});

import { expect, it } from "vitest";
import { earlierBase } from "../../../../src/operator/host/earlier-base.ts";
import { recordDeploy } from "../../../../src/operator/records/known-deploys.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { localHost } from "../../../helpers/fakes/local-host.ts";
import { notedDeploy } from "../../../helpers/fakes/noted-deploy.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

it("an earlier deploy's base is known by its own host key, where there was one and it answers", async () => {
  const env = { XDG_STATE_HOME: tempDir() };
  const asked: object[] = [];
  const answering = (answers: boolean) => ({
    connect: async (how: object) => {
      asked.push(how);
      if (!answers) throw new Fail("another host key");
      return localHost().host;
    },
  });
  expect(await earlierBase(env, "web", answering(true))).toBe(false);
  expect(asked).toEqual([]);
  await recordDeploy(env, "web", notedDeploy);
  expect(await earlierBase(env, "web", answering(false))).toBe(false);
  expect(await earlierBase(env, "web", answering(true))).toBe(true);
  expect(asked[1]).toMatchObject({ user: "root", pins: ["ssh-ed25519 AAAAbase"] });
});

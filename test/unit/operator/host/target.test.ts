import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { hostFor, planTargetOf, requireNoSpare, targetOf } from "../../../../src/operator/host/target.ts";
import { exitCodes } from "../../../../src/util/fail.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const print = `SHA256:${"A".repeat(43)}`;

/** Where web and db are hosts, and what was said. */
function place() {
  const top = tempDir();
  mkdirSync(join(top, "hosts/web"), { recursive: true });
  writeFileSync(
    join(top, "hosts.yaml"),
    `hosts:\n  web: { address: root@192.0.2.10, hostKeys: ["${print}"] }\n  db:\n`,
  );
  const said: string[] = [];
  return { top, said, log: { ...silentLog, info: (text: string) => void said.push(text) } };
}

describe("DEF and HOST of a command line", () => {
  it("are both a host of hosts.yaml by its name, which is said with its line", async () => {
    const { top, log, said } = place();
    const target = await targetOf("web", undefined, log, top);
    expect(target).toMatchObject({
      ...{ definition: join(top, "hosts/web"), host: "root@192.0.2.10", spare: [] },
      record: { name: "web", hostKeys: [print] },
    });
    expect(said).toEqual([
      expect.stringMatching(/^web is root@192\.0\.2\.10, by \S*hosts\.yaml:2, known by 1 host key there$/),
    ]);
    expect(await targetOf("web", "web", log, top)).toEqual({ ...target, record: expect.anything() });
    expect((await targetOf("web", "root@192.0.2.10", log, top)).spare).toEqual([]);
  });

  it("are a path and a host of hosts.yaml, whose record counts", async () => {
    const { top, log } = place();
    expect(await targetOf("./hosts/web", "db", log, top)).toMatchObject({
      ...{ definition: "./hosts/web", host: "db", record: { name: "db" } },
    });
  });

  it("are a path and an address, of which nothing is known", async () => {
    const { top, log, said } = place();
    expect(await targetOf("./hosts/web", "root@198.51.100.1", log, top)).toEqual({
      ...{ definition: "./hosts/web", host: "root@198.51.100.1", spare: [] },
    });
    expect(await hostFor("alias", log, top)).toEqual({ host: "alias" });
    expect(said).toEqual([]);
  });

  it("leave over a word that would be another host, which is refused where it is no serial", async () => {
    const { top, log } = place();
    for (const other of ["db", "root@198.51.100.1", "S3Z8NB0K"]) {
      const target = await targetOf("web", other, log, top);
      expect(target.spare).toEqual([other]);
      expect(target.host).toBe("root@192.0.2.10");
      expect(() => requireNoSpare(target)).toThrow(
        `web is a host of hosts.yaml, so ${other} cannot be another`,
      );
    }
    await expect(planTargetOf("web", "db", log, top)).rejects.toMatchObject({ exitCode: exitCodes.usage });
  });

  it("need a host, but for a plan of a definition alone", async () => {
    const { top, log } = place();
    const answer = targetOf("wep", undefined, log, top);
    await expect(answer).rejects.toMatchObject({
      ...{ message: "no HOST is given", exitCode: exitCodes.usage },
      hint: expect.stringMatching(/^did you mean web, a host of /),
    });
    expect(await planTargetOf("./hosts/web", undefined, log, top)).toEqual({ definition: "./hosts/web" });
    expect((await planTargetOf("web", undefined, log, top)).host).toBe("root@192.0.2.10");
  });
});

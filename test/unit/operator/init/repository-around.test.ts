import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadDefinition } from "../../../../src/operator/definition/load.ts";
import { initRepository } from "../../../../src/operator/init/init.ts";
import { repositoryAround } from "../../../../src/operator/init/repository-around.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

function outside() {
  const home = tempDir();
  return {
    ...{ env: { HOME: home }, cache: join(home, "cache"), log: silentLog, interactive: false },
    signal: new AbortController().signal,
    askSecret: async () => {
      throw new Error("asked");
    },
  };
}

function repository(yaml: string): string {
  const top = tempDir();
  mkdirSync(join(top, ".git"));
  writeFileSync(join(top, "hosts.yaml"), yaml);
  return top;
}

describe("a new server in a repository with a hosts.yaml", () => {
  it("is written without what the repository has, and entered beside the others, whose comments stay", async () => {
    const top = repository("# Ours.\nhosts:\n  web:\n    login: admin # who verifies it\n");
    const { files, host } = await initRepository(join(top, "hosts/db"), {}, outside());
    expect(host).toBe("db");
    expect(readdirSync(join(top, "hosts/db")).sort()).toEqual(
      ["IMGBUILD.test.ts", "IMGBUILD.ts", "authorized_keys", "files", "secrets"].sort(),
    );
    expect(files).toContain(join(top, "hosts.yaml"));
    expect(readFileSync(join(top, "hosts.yaml"), "utf8")).toBe(
      "# Ours.\nhosts:\n  web:\n    login: admin # who verifies it\n  db: {}\n",
    );
    expect((await loadDefinition("db", { from: top })).spec.hostname).toBe("db");
  });

  it("gets its address, and its place where that is not hosts/NAME", async () => {
    const top = repository("hosts: {}\n");
    await (await repositoryAround(join(top, "servers/mail")))!.addRecord("root@192.0.2.20");
    await (await repositoryAround(join(top, "hosts/db")))!.addRecord("root@192.0.2.21");
    expect(readFileSync(join(top, "hosts.yaml"), "utf8")).toBe(
      "hosts: { mail: { definition: servers/mail, address: root@192.0.2.20 }, db: { address: root@192.0.2.21 } }\n",
    );
  });

  it("is refused, with nothing written, where its name is taken or can be no host's", async () => {
    const top = repository("hosts:\n  web:\n");
    await expect(initRepository(join(top, "hosts/web"), {}, outside())).rejects.toThrow(
      /^web is a host of .*hosts\.yaml already$/,
    );
    await expect(initRepository(join(top, "hosts/Web_1"), {}, outside())).rejects.toThrow(
      /^Web_1 cannot be the name of a host in /,
    );
    expect(existsSync(join(top, "hosts/web"))).toBe(false);
    expect(readFileSync(join(top, "hosts.yaml"), "utf8")).toBe("hosts:\n  web:\n");
  });

  it("is a repository of its own elsewhere, below a directory that is there", async () => {
    const top = tempDir();
    expect(await repositoryAround(join(top, "web"))).toBeUndefined();
    await expect(initRepository(join(top, "hosts/web"), {}, outside())).rejects.toThrow(
      /there is no directory/,
    );
    expect(readdirSync(top)).toEqual([]);
  });
});

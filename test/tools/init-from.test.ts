import { hostname } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadDefinition } from "../../src/operator/definition/load.ts";
import { imgbuild } from "../helpers/imgbuild.ts";
import { localUser, startSshd } from "../helpers/labs/sshd.ts";
import { tempDir } from "../helpers/temp-dir.ts";

describe("imgbuild init --from", () => {
  it("looks at a host over SSH, changes nothing, and writes a definition that loads with its key", async () => {
    const home = tempDir();
    const { port } = await startSshd(home);
    const dir = join(tempDir(), "server");
    const args = ["init", dir, "--from", `${localUser}@127.0.0.1:${port}`];
    const env = { ...process.env, HOME: home, XDG_CONFIG_HOME: join(home, "config") };
    const { code, stdout, stderr } = await imgbuild(args, { env, timeoutMs: 120_000 });
    expect(stderr).toContain("looking at");
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toContain(`${join(dir, "IMGBUILD.ts")}\n`);
    expect(stdout).toContain(
      `your identity, which opens the secrets: ${join(home, "config/imgbuild/identity.txt")}`,
    );
    const { spec } = await loadDefinition(dir);
    expect(spec.users).toMatchObject({ admin: { keys: [expect.stringMatching(/^ssh-ed25519 /)] } });
    const [label = ""] = hostname().toLowerCase().split(".");
    expect(spec.hostname).toBe(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(label) ? label : "server");
  });
});

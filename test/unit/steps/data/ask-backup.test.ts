import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { askBackup } from "../../../../src/steps/data/ask-backup.ts";
import { actionLines } from "../../../../src/steps/step/actions.ts";
import { makeDeb } from "../../../helpers/builders/deb.ts";
import { stepBench } from "../../../helpers/fakes/step-bench.ts";

const only = { script: "#!/bin/bash\n", secrets: [], packages: [] };

/** A port of this computer at which something listens, or listened. */
async function port(open: boolean): Promise<number> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  if (open) server.unref();
  else await new Promise((resolve) => server.close(resolve));
  return port;
}

describe("ask-backup", () => {
  it("goes on where the server answers", async () => {
    const { context } = stepBench();
    await askBackup.run({ ...only, server: { host: "127.0.0.1", port: await port(true) } }, context);
  });

  it("ends the deploy where the server does not answer, and says that nothing was written", async () => {
    const { context } = stepBench();
    const server = { host: "127.0.0.1", port: await port(false) };
    await expect(Promise.resolve(askBackup.run({ ...only, server }, context))).rejects.toMatchObject({
      message: expect.stringContaining(`127.0.0.1, does not answer at port ${server.port}`),
      hint: expect.stringContaining("nothing was written"),
    });
  });

  it("says so where the program's packages cannot be had, as on a medium without a network", async () => {
    const { locked } = makeDeb("restic");
    const { context, said } = stepBench({
      context: { fetch: () => Promise.reject(new Error("no mirror answers")) },
    });
    await askBackup.run({ ...only, packages: [locked] }, context);
    expect(said).toEqual([
      "warn its packages are not at hand, so the backup is not tried: no mirror answers",
    ]);
  });

  it("prints what it does", () => {
    const { locked } = makeDeb("restic");
    const server = { host: "backup.example.org", port: 22 };
    expect(actionLines(askBackup.actions!({ ...only, packages: [locked], server }))).toEqual([
      "# connect to backup.example.org, port 22",
      "# unpack restic in memory, and run in the sandbox, with the network: imgbuild-backup try",
    ]);
  });
});

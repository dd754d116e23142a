import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { claim } from "../../src/operator/takeover/claim.ts";
import { connect } from "../../src/transport/host.ts";
import { silentLog } from "../../src/util/log.ts";
import { startSshd } from "../helpers/labs/sshd.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const quiet = { log: silentLog, signal: new AbortController().signal };

it("a host's claim is its connection's in OpenSSH's server, and ends with it (F02)", async () => {
  const home = tempDir();
  const { port } = await startSshd(home);
  const file = join(home, "run", "lock");
  const open = async () => {
    const host = await connect(`root@127.0.0.1:${port}`, { home });
    await host.becomeRoot({});
    return host;
  };
  const [first, second] = [await open(), await open()];
  await claim(first, quiet, file);
  await expect(claim(second, quiet, file)).rejects.toThrow(/another deploy/);
  first.close();
  // The server notices within a moment.
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const free = await claim(second, quiet, file).then(
      () => true,
      () => false,
    );
    if (free) break;
    await sleep(100);
  }
  await claim(second, quiet, file);
  second.close();
});

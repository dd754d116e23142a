import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import ssh2, { type ParsedKey } from "ssh2";
import { onTestFinished } from "vitest";
import { tempDir } from "../temp-dir.ts";

/** An agent with these private keys at the returned socket; one that `refuses` does not sign. */
export async function serveAgent(
  privateKeys: readonly string[],
  options: { readonly refuses?: boolean } = {},
): Promise<string> {
  const keys = privateKeys.map((text) => ssh2.utils.parseKey(text) as ParsedKey);
  const server = createServer((socket) => {
    socket.on("error", () => {});
    const agent = new ssh2.AgentProtocol(false);
    agent.on("identities", (request) => agent.getIdentitiesReply(request, keys));
    agent.on("sign", (request, asked: ParsedKey, data, { hash }) => {
      const key = keys.find((one) => one.getPublicSSH().equals(asked.getPublicSSH()));
      if (options.refuses === true || key === undefined) return agent.failureReply(request);
      agent.signReply(request, key.sign(data, hash) as Buffer);
    });
    socket.pipe(agent).pipe(socket);
  });
  const path = join(tempDir(), "agent");
  server.listen(path);
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return path;
}

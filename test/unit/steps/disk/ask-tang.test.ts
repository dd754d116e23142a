import { lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { askTang } from "../../../../src/steps/disk/ask-tang.ts";
import { stepBench } from "../../../helpers/fakes/step-bench.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const advertisement = readFileSync("test/fixtures/tang-advertisement.jws", "utf8");
const thumbprint = "LtFgu40PBYJTVpmvMyxidfQ1itT1NRRgFfsJ61GKag4";

/** A tang server that says that of its keys, or is none. */
async function tang(text?: string) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.statusCode = text === undefined ? 404 : 200;
    response.end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const file = join(tempDir(), "deep/tang.json");
  const bench = stepBench();
  const run = async () => await askTang.run({ url, thumbprint, file }, bench.context);
  return { ...bench, asked, file, run };
}

describe("ask-tang", () => {
  it("keeps what the server says of its keys, for root alone", async () => {
    const { asked, file, run } = await tang(advertisement);
    await run();
    expect(asked).toEqual([`/adv/${thumbprint}`]);
    expect(readFileSync(file, "utf8")).toBe(advertisement);
    expect([file, dirname(file)].map((path) => lstatSync(path).mode & 0o777)).toEqual([0o600, 0o700]);
  });

  it("asks no server whose keys are known, and again where what is known is of others", async () => {
    const { asked, file, run, said } = await tang(advertisement);
    mkdirSync(dirname(file));
    writeFileSync(file, advertisement);
    await run();
    expect([asked, said]).toEqual([[], ["info its keys are known"]]);
    writeFileSync(file, "{}");
    await run();
    expect(asked).toHaveLength(1);
    expect(readFileSync(file, "utf8")).toBe(advertisement);
  });

  it("fails at a server that has no such key", async () => {
    const { run } = await tang();
    await expect(run()).rejects.toThrow(`has no signing key with the thumbprint ${thumbprint}`);
  });

  it.each(["/etc/tang.json", "run/tang.json"])("keeps nothing at %s, which is no memory", (file) => {
    expect(askTang.schema.safeParse({ url: "u", thumbprint: "t", file }).success).toBe(false);
  });
});

import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { openPort } from "../../../src/target/port.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

/** A file in place of the port: reading behind its end is answered with nothing, as by a port that nobody holds. */
async function opened(content: string) {
  const directory = tempDir();
  const path = join(directory, "org.example.port");
  writeFileSync(path, content);
  const port = await openPort("org.example.port", directory);
  onTestFinished(() => void port.destroy());
  let got = "";
  port.setEncoding("utf8").on("data", (text: string) => {
    got += text;
  });
  const until = async (text: string) => {
    for (let time = 0; time < 300 && got !== text; time++) await sleep(10);
    expect(got).toBe(text);
  };
  return { port, path, until };
}

describe("openPort", () => {
  it("reads what comes, also after a time in which nobody was there, and writes in order", async () => {
    const { port, path, until } = await opened("first\n");
    await until("first\n");
    port.write("one\n");
    await new Promise<void>((done) => void port.write("two\n", () => done()));
    expect(readFileSync(path, "utf8")).toBe("first\none\ntwo\n");
    await sleep(300);
    appendFileSync(path, "later\n");
    await until("first\nlater\n");
  });

  it("waits for a port that is not there yet", async () => {
    const directory = tempDir();
    const late = openPort("org.example.late", directory);
    await sleep(50);
    writeFileSync(join(directory, "org.example.late"), "");
    (await late).destroy();
  });

  it("says why a port cannot be had", async () => {
    const directory = tempDir();
    writeFileSync(join(directory, "file"), "");
    await expect(openPort("port", join(directory, "file"))).rejects.toThrow(
      /port .* cannot be opened: ENOTDIR/,
    );
  });
});

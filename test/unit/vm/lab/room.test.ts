import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { silentLog } from "../../../../src/util/log.ts";
import { takePlace, waitForMemory } from "../../../../src/vm/lab/room.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

describe("takePlace", () => {
  it("gives as many places as there are, and a place again when one is left", async () => {
    const options = { log: silentLog, directory: join(tempDir(), "places"), places: 2, waitMs: 100 };
    const one = await takePlace(options);
    const two = await takePlace(options);
    await expect(takePlace(options)).rejects.toThrow(/other labs held all 2 places of this computer/);
    one.leave();
    const three = await takePlace(options);
    two.leave();
    three.leave();
  });

  it("says that it waits, and waits until the place is free", async () => {
    const said: string[] = [];
    const log = { ...silentLog, info: (text: string) => void said.push(text) };
    const options = { log, directory: join(tempDir(), "places"), places: 1, waitMs: 10_000 };
    const one = await takePlace(options);
    const two = takePlace(options);
    setTimeout(one.leave, 1_200);
    (await two).leave();
    expect(said).toEqual([
      expect.stringMatching(
        `^waiting, for at most \\d+ min: a lab is running on this computer: process ${process.pid} since \\d\\d:\\d\\d UTC \\(.*\\)$`,
      ),
    ]);
  });

  it("stops waiting when it is told to", async () => {
    const directory = join(tempDir(), "places");
    const one = await takePlace({ log: silentLog, directory, places: 1 });
    const stop = AbortSignal.timeout(50);
    await expect(takePlace({ log: silentLog, directory, places: 1, signal: stop })).rejects.toThrow();
    one.leave();
  });

  it("trusts no file that another has put where its locks are", async () => {
    const directory = join(tempDir(), "places");
    writeFileSync(directory, "");
    await expect(takePlace({ log: silentLog, directory })).rejects.toThrow("is not a directory of ours");
    mkdirSync(`${directory}2`);
    (await takePlace({ log: silentLog, directory: `${directory}2` })).leave();
  });
});

describe("waitForMemory", () => {
  it("goes on as soon as there is enough for the machine and some to spare", async () => {
    const have = [100, 700, 1300];
    await waitForMemory(1000, { log: silentLog, available: () => have.shift()! });
    expect(have).toEqual([]);
  });

  it("names what is needed and what there is when there never is", async () => {
    const waiting = waitForMemory(1000, { log: silentLog, waitMs: 0, available: () => 900 });
    await expect(waiting).rejects.toThrow("a machine of 1000 MiB needs 1256 MiB; 900 MiB are available");
  });
});

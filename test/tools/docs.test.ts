import { describe, expect, it } from "vitest";
import { loadDefinition } from "../../src/operator/definition/load.ts";
import { makeLockFor } from "../../src/operator/lock/lock.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { silentLog } from "../../src/util/log.ts";
import { docBlocks, writeModule } from "../helpers/checks/docs.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const whole = docBlocks().filter(
  ({ language, text, path }) => language === "ts" && path === undefined && /^export default/m.test(text),
);

describe("a definition of the documentation", () => {
  it.each(whole)("can be locked: $place", async ({ text }) => {
    const directory = tempDir();
    writeModule(directory, text);
    const { spec } = await loadDefinition(directory);
    const lock = await makeLockFor(spec, {
      ...{ cache: cacheRoot(process.env), env: process.env, log: silentLog, dir: directory },
      signal: new AbortController().signal,
    });
    const asked = spec.packages.install.map((one) => one.replace(/[=/].*$/, ""));
    expect(asked).not.toEqual([]);
    expect(lock.packages.map(({ name }) => name)).toEqual(expect.arrayContaining(["dpkg", ...asked]));
  });
});

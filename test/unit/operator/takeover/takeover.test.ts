import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type BaseFiles,
  cacheDir,
  shipBase,
  sizeOf,
  workDir,
} from "../../../../src/operator/takeover/takeover.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { localHost } from "../../../helpers/fakes/local-host.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

// What needs mounts and a kernel to load is in test/tools/takeover.test.ts.
const signal = new AbortController().signal;

/** A base of four small files, and a host whose cache and work directory lie in a directory of ours. */
function setUp() {
  const dir = tempDir();
  const file = (name: string) => {
    const path = join(dir, name);
    writeFileSync(path, `the ${name}`);
    return { path, size: `the ${name}`.length, sha256: sha256(`the ${name}`) };
  };
  // Runs what it is told to, as BusyBox does.
  const busybox = join(dir, "busybox");
  writeFileSync(busybox, '#!/bin/sh\nexec "$@"\n');
  const base: BaseFiles = {
    digest: "d1",
    kernel: file("kernel"),
    outer: file("outer"),
    squashfs: file("squashfs"),
    kit: file("kit"),
    busybox: { path: busybox, size: 21, sha256: sha256('#!/bin/sh\nexec "$@"\n') },
  };
  const root = tempDir();
  const at = (path: string) =>
    path === workDir || path.startsWith(`${workDir}/`) || path.startsWith(`${cacheDir}/`)
      ? join(root, path)
      : path;
  const local = localHost({ at });
  const progress: number[][] = [];
  const ship = (freeMib: number) =>
    shipBase(local.host, base, freeMib, signal, (done, total) => void progress.push([done, total]));
  return { base, local, ship, progress, cached: join(root, cacheDir, "d1"), root };
}

describe("shipBase", () => {
  it("fills the host's cache once; then nothing is sent", async () => {
    const { base, local, ship, progress, cached, root } = setUp();
    expect(await ship(1000)).toEqual({
      directory: `${cacheDir}/d1`,
      hadAll: false,
      sentBytes: sizeOf(base),
    });
    expect(local.uploaded).toEqual(
      ["kit", "kernel", "outer", "squashfs"].map((name) => `${cacheDir}/d1/${name}`),
    );
    expect(readFileSync(join(cached, "squashfs"), "utf8")).toBe("the squashfs");
    expect(progress.at(-1)).toEqual([sizeOf(base), sizeOf(base)]);
    local.uploaded.length = 0;
    expect(await ship(1000)).toEqual({ directory: `${cacheDir}/d1`, hadAll: true, sentBytes: 21 });
    expect(local.uploaded).toEqual([`${workDir}/busybox`]);
    expect(existsSync(join(root, workDir, "busybox"))).toBe(false);
  });

  it("sends anew what is damaged, cut or gone in the cache, and only that", async () => {
    const { base, local, ship, cached } = setUp();
    await ship(1000);
    local.uploaded.length = 0;
    writeFileSync(join(cached, "kernel"), "the kermel");
    writeFileSync(join(cached, "kit"), "");
    expect(await ship(1000)).toMatchObject({
      hadAll: false,
      sentBytes: 21 + base.kernel.size + base.kit.size,
    });
    expect(local.uploaded).toEqual([`${workDir}/busybox`, `${cacheDir}/d1/kit`, `${cacheDir}/d1/kernel`]);
    expect(readFileSync(join(cached, "kernel"), "utf8")).toBe("the kernel");
  });

  it("goes to RAM, whole, where the cache's filesystem would be filled", async () => {
    const { base, local, ship, progress, cached, root } = setUp();
    mkdirSync(cached, { recursive: true });
    writeFileSync(join(cached, "kernel"), "the kernel");
    expect(await ship(256)).toEqual({ directory: workDir, hadAll: false, sentBytes: 21 + sizeOf(base) });
    expect(local.uploaded).toEqual(
      ["busybox", "kit", "kernel", "outer", "squashfs"].map((name) => `${workDir}/${name}`),
    );
    expect(existsSync(join(root, workDir, "kernel"))).toBe(true);
    for (const [done, total] of progress) expect(done).toBeLessThanOrEqual(total!);
    expect(progress.at(-1)).toEqual([sizeOf(base), sizeOf(base)]);
  });
});

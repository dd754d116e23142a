import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { eatmydata } from "../../src/system/door/chroot.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { run } from "../../src/system/run/run.ts";
import { environment, program, warmCache } from "../helpers/labs/cli-lab.ts";
import { theBase } from "../helpers/labs/native.ts";
import { tempDir } from "../helpers/temp-dir.ts";

/** The example with all that could differ: users, a kernel with its initramfs, both bootloaders, a swap file. */
const example = "imgbuild/web";
const buildMs = 3_600_000;
const days = 40;
const faketime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/**
 * Shows imgbuild and every program of the tree another clock, in a mount namespace: libfaketime lies where the library is that is
 * laid over the tree's programs, and what starts them tells it the time. The times of files remain the machine's own: of them
 * nothing can be told but that the two builds are minutes apart.
 */
const otherClock = `set -eu
library=$1 preloaded=$2 told=$3; shift 3
mount --make-rprivate /
mount --bind "$library" "$preloaded"
mount -t tmpfs -o mode=755 none /usr/local/sbin
export FAKETIME=+${days}d NO_FAKE_STAT=1 FAKETIME_DONT_FAKE_MONOTONIC=1
cat > /usr/local/sbin/bwrap <<END
#!/bin/sh
fd=\\$2; shift 3
exec /usr/bin/bwrap --args "\\$fd" --setenv FAKETIME $FAKETIME --setenv NO_FAKE_STAT 1 --setenv FAKETIME_DONT_FAKE_MONOTONIC 1 -- "\\$@"
END
chmod 755 /usr/local/sbin/bwrap
printf '%s\\0' --dev-bind / / --clearenv --setenv LD_PRELOAD "$preloaded" > /usr/local/sbin/options
env -u FAKETIME /usr/local/sbin/bwrap --args 3 -- /bin/date +%s 3< /usr/local/sbin/options > "$told"
exec env LD_PRELOAD="$library" "$@"`;

beforeAll(warmCache);

/** Builds a copy of the example in a directory of its own, with a cache that has no trees; `again` builds it once more with what is there then. */
async function built(
  name: string,
  { umask, env, before = [] }: { umask: string; env: Readonly<Record<string, string>>; before?: string[] },
): Promise<{ readonly image: string; again(): Promise<string> }> {
  const dir = join(tempDir(), name);
  const usual = cacheRoot(process.env);
  const cache = join(dir, "cache");
  for (const one of [cache, join(dir, "out")]) mkdirSync(one, { recursive: true });
  for (const one of ["packages", "index", "base"]) symlinkSync(join(usual, one), join(cache, one));
  // Definitions name keys two levels above them.
  for (const one of ["imgbuild", "secrets"]) cpSync(one, join(dir, one), { recursive: true });
  const output = join(dir, "out", "image.raw");
  const set = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  const build = async (to: string) => {
    await run(
      [
        ...[...before, "sh", "-c", `umask ${umask}; exec "$@"`, "sh"],
        ...["env", `IMGBUILD_CACHE=${cache}`, ...set],
        ...["nice", "-n", "19", program, "build", join(dir, example), "-o", to],
      ],
      { env: environment, timeoutMs: buildMs, cwd: dir },
    );
    expect(readdirSync(join(cache, "tree"))).toHaveLength(1);
    return to;
  };
  return { image: await build(output), again: () => build(output.replace(/\.raw$/, "-again.raw")) };
}

describe("an image", () => {
  it("reproducible: is the same in another directory, with another umask, locale, time zone and clock", async () => {
    const told = join(tempDir(), "told");
    const preloaded = join(await theBase(), eatmydata);
    const one = await built("one", { umask: "022", env: { LC_ALL: "C.UTF-8", TZ: "UTC" } });
    const other = await built("another, with blanks", {
      umask: "077",
      env: { LC_ALL: "tr_TR.UTF-8", LANG: "de_DE.UTF-8", TZ: "Pacific/Kiritimati", SOURCE_DATE_EPOCH: "1" },
      before: ["unshare", "--mount", "sh", "-c", otherClock, "sh", faketime, preloaded, told],
    });
    const ahead = Number(readFileSync(told, "utf8")) - Date.now() / 1000;
    expect(ahead / 86_400).toBeGreaterThan(days - 1);
    for (const image of [other.image, await one.again()])
      await run(["cmp", "--", one.image, image], { timeoutMs: buildMs });
  });
});

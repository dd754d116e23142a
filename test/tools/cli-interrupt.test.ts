import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { sha256 } from "../../src/util/digest.ts";
import { imgbuild } from "../helpers/imgbuild.ts";
import {
  cachedPackage,
  environment,
  left,
  ownCache,
  ownDefinition,
  program,
  warmCache,
  webPackages,
} from "../helpers/labs/cli-lab.ts";
import { web } from "../helpers/labs/web.ts";
import { tempDir } from "../helpers/temp-dir.ts";

beforeAll(warmCache);

interface Moment {
  readonly after: RegExp;
  readonly waitMs: number;
  readonly signals: readonly NodeJS.Signals[];
}

/** From the earliest to the latest; the times let a program of the tree or the base be in its midst. */
const essential = webPackages().filter(({ bootstrap }) => bootstrap).length;
const told = (text: string) => new RegExp(text);
const moments: readonly Moment[] = [
  { after: told(`unpacking ${essential} essential packages`), waitMs: 1_000, signals: ["SIGINT"] },
  { after: told(`configuring ${essential} essential packages`), waitMs: 1_000, signals: ["SIGTERM"] },
  // A terminal and the `make` or `npm` between pass the same key on twice.
  { after: /configuring \d+ packages/, waitMs: 500, signals: ["SIGINT", "SIGINT"] },
  // The packages' layer is in the cache by now, and a disk is filled from it meanwhile.
  { after: /making the initramfs/, waitMs: 400, signals: ["SIGHUP"] },
];

describe("an interrupted build", () => {
  it("leaves nothing of itself at whatever moment, and a cache from which the next build succeeds", async () => {
    const place = makePlace();
    for (const moment of moments) {
      const before = machineState();
      const ran = await interrupted(place, ["imgbuild/web"], moment);
      expect({ moment, ...ran }).toMatchObject({ sent: true, code: 130, stdout: "" });
      expect(ran.stderr).toMatch(/^error: .*interrupted$\n {2}hint: nothing half-done is left/m);
      expect(ran.stderr).not.toMatch(/^ {4}at |this is a bug/m);
      expect(leavings(place, before)).toEqual(nothing);
    }
    const before = machineState();
    const output = join(place.out, "web.raw");
    const whole = await imgbuild(["build", "imgbuild/web", "-o", output], {
      env: place.env,
      timeoutMs: 180_000,
    });
    expect(whole).toMatchObject({ code: 0, stdout: `${output}\n` });
    expect(whole.stderr).toMatch(/^building web: done/m);
    expect(leavings(place, before)).toEqual({ ...nothing, output: ["web.raw"] });
  });

  it("ends transfers at once and takes no part of one for the whole", async () => {
    const missing = webPackages().slice(0, 8);
    const place = makePlace(missing);
    const byPath = new Map(missing.map((one) => [`/debian/${one.path}`, one]));
    // Half of every package comes, the rest never.
    const server = await web((request, response) => {
      const one = byPath.get(request.url ?? "");
      if (one === undefined) return void response.writeHead(404).end();
      const bytes = cachedPackage(one);
      response.writeHead(200, { "content-length": bytes.length });
      response.write(bytes.subarray(0, bytes.length >> 1));
    });
    const definition = ownDefinition(join(place.dir, "own"), `${server.url}/debian`);
    const before = machineState();
    const began = Date.now();
    const moment = {
      after: told(`unpacking ${essential} essential`),
      waitMs: 1_500,
      signals: ["SIGINT"] as const,
    };
    const ran = await interrupted(place, [definition, "--json"], moment);
    expect(Date.now() - began).toBeLessThan(15_000);
    expect(server.asked.length).toBeGreaterThan(1);
    expect(ran.code).toBe(130);
    const events = ran.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.at(-1)).toMatchObject({ event: "error", message: expect.stringMatching(/interrupted$/) });
    expect(leavings(place, before)).toEqual(nothing);
  });
});

interface Place {
  readonly dir: string;
  readonly out: string;
  readonly temporary: string;
  readonly cache: string;
  readonly env: Readonly<Record<string, string>>;
}

function makePlace(leaveOut: Parameters<typeof ownCache>[1] = []): Place {
  const dir = tempDir();
  const cache = ownCache(dir, leaveOut);
  const [out, temporary] = [join(dir, "out"), join(dir, "tmp")];
  for (const each of [out, temporary]) mkdirSync(each);
  return { dir, out, temporary, cache, env: { ...environment, IMGBUILD_CACHE: cache, TMPDIR: temporary } };
}

async function interrupted(place: Place, args: readonly string[], moment: Moment) {
  const child = spawn(program, ["build", ...args, "-o", join(place.out, "web.raw")], {
    env: place.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const text = { stdout: "", stderr: "" };
  let sent = false;
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      text[name] += chunk;
      if (sent || !moment.after.test(text.stdout + text.stderr)) return;
      sent = true;
      setTimeout(() => {
        for (const [index, signal] of moment.signals.entries())
          setTimeout(() => child.kill(signal), index * 50);
      }, moment.waitMs);
    });
  const timer = setTimeout(() => child.kill("SIGKILL"), 120_000);
  const [code] = (await once(child, "close")) as [number | null];
  clearTimeout(timer);
  return { code, sent, ...text };
}

const nothing = {
  output: [],
  temporary: [],
  processes: [],
  mounts: [],
  loops: [],
  badInCache: [],
  partsOfLayers: [],
};

/** What is still there, by every trace a build could leave. */
function leavings(place: Place, before: ReturnType<typeof machineState>): Record<string, string[]> {
  const now = machineState();
  return {
    output: readdirSync(place.out),
    temporary: left(place.temporary),
    processes: processesNaming([place.out, place.cache]),
    mounts: now.mounts.filter((line) => !before.mounts.includes(line)),
    loops: now.loops.filter((line) => !before.loops.includes(line)),
    // What came of a package is kept, to go on from.
    badInCache: readdirSync(join(place.cache, "packages")).filter(
      (name) =>
        !name.endsWith(".part") &&
        `${sha256(readFileSync(join(place.cache, "packages", name)))}.deb` !== name,
    ),
    partsOfLayers: (existsSync(join(place.cache, "tree"))
      ? readdirSync(join(place.cache, "tree"), { recursive: false, encoding: "utf8" }).flatMap((name) => [
          name,
          ...readdirSync(join(place.cache, "tree", name)),
        ])
      : []
    ).filter((name) => name.includes(".new-")),
  };
}

function machineState(): { mounts: string[]; loops: string[] } {
  const loops = readdirSync("/sys/block").filter((name) => name.startsWith("loop"));
  return {
    mounts: readFileSync("/proc/mounts", "utf8").split("\n"),
    loops: loops.map((name) => `${name} ${backingOf(name)}`),
  };
}

function backingOf(loop: string): string {
  try {
    return readFileSync(`/sys/block/${loop}/loop/backing_file`, "utf8").trim();
  } catch {
    return "";
  }
}

/** Running programs whose command line, working directory or root lies in one of the directories. */
function processesNaming(directories: readonly string[]): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
        const mounts = readFileSync(`/proc/${pid}/mountinfo`, "utf8");
        return directories.some((one) => `${line}\n${mounts}`.includes(one)) ? [line] : [];
      } catch {
        // It ended while it was looked at.
        return [];
      }
    });
}

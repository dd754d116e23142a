import { createServer } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { Health } from "../../../../src/schema/health.ts";
import { checkHealth, showCheck } from "../../../../src/system/health/health.ts";
import type { HealthShell } from "../../../../src/system/health/shell.ts";
import { run } from "../../../../src/system/run/run.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { silentLog } from "../../../../src/util/log.ts";

const unit = Health.parse({ type: "unit", unit: "nginx.service" });
const port = Health.parse({ type: "port", port: 80 });
const command = Health.parse({ type: "command", argv: ["/usr/bin/true", "-x"] });
const options = { log: silentLog, signal: new AbortController().signal };
/** One try only. */
const once = { ...options, slow: 0 };

/** A shell that gives these answers, the last one again and again, and tells what was asked. */
function shell(...answers: ({ code: number; stdout?: string; stderr?: string } | Error)[]) {
  const asked: string[][] = [];
  const fake: HealthShell = {
    run: async (argv) => {
      const answer = answers[Math.min(asked.length, answers.length - 1)]!;
      asked.push([...argv]);
      if (answer instanceof Error) throw answer;
      return { stdout: "", stderr: "", ...answer };
    },
  };
  return { fake, asked };
}

describe("checkHealth", () => {
  it("asks systemd for a unit, bash for a port, and runs a command as it is", async () => {
    const { fake, asked } = shell({ code: 0 });
    const results = await checkHealth([unit, port, command], fake, once);
    expect(results.map(({ check, ok }) => [check, ok])).toEqual([
      ["unit nginx.service", true],
      ["port 80", true],
      ["command /usr/bin/true -x", true],
    ]);
    expect(results.map(({ check }) => check)).toEqual([unit, port, command].map(showCheck));
    expect(asked[0]).toEqual(["systemctl", "is-active", "nginx.service"]);
    expect(asked[1]!.at(-1)).toBe("80");
    expect(asked[2]).toEqual(["/usr/bin/true", "-x"]);
  });

  it("runs every check, and tells why one failed: stderr, else stdout, else the exit code", async () => {
    const { fake } = shell(
      { code: 3, stdout: "inactive\n" },
      { code: 1, stdout: "x", stderr: "Connection refused\n" },
      { code: 7 },
    );
    const results = await checkHealth([unit, port, command], fake, once);
    expect(results.map(({ ok, detail }) => [ok, detail])).toEqual([
      [false, "inactive"],
      [false, "Connection refused"],
      [false, "exit code 7"],
    ]);
  });

  it("names the units that have failed by then", async () => {
    const check = Health.parse({ type: "no-failed-units" });
    const failed = shell({
      code: 0,
      stdout: "a.service loaded failed failed A\nb.timer loaded failed failed B\n",
    });
    expect(await checkHealth([check], failed.fake, once)).toMatchObject([
      { check: "no failed units", ok: false, detail: "failed: a.service, b.timer" },
    ]);
    expect(await checkHealth([check], shell({ code: 0 }).fake, once)).toMatchObject([{ ok: true }]);
    const unknown = shell({ code: 1, stderr: "Failed to connect to bus\n" });
    expect(await checkHealth([check], unknown.fake, once)).toMatchObject([
      { ok: false, detail: "Failed to connect to bus" },
    ]);
  });

  it("takes a lost connection for a failed try, not for the end", async () => {
    const { fake } = shell(new Fail("the connection was lost"));
    expect(await checkHealth([unit], fake, once)).toMatchObject([
      { ok: false, detail: "the connection was lost" },
    ]);
  });

  it("tries again until it passes", async () => {
    const { fake, asked } = shell({ code: 3 }, { code: 0 });
    const [result] = await checkHealth([unit], fake, options);
    expect(asked.length).toBe(2);
    expect(result).toMatchObject({ ok: true, detail: "passed" });
    expect(result!.seconds).toBeGreaterThan(1);
  });

  it("stops when it is told to", async () => {
    const { fake, asked } = shell({ code: 0 });
    const reason = new Fail("interrupted");
    await expect(
      checkHealth([unit], fake, { log: silentLog, signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
    expect(asked).toEqual([]);
  });

  it("finds a real port open, and closed when nobody listens", async () => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
    onTestFinished(() => void server.close());
    const { port: number } = server.address() as { port: number };
    const real: HealthShell = { run: (argv) => run(argv, { accept: [0, 1], timeoutMs: 10_000 }) };
    const check = Health.parse({ type: "port", port: number });
    expect(await checkHealth([check], real, once)).toMatchObject([{ ok: true }]);
    await new Promise((resolve) => server.close(resolve));
    expect(await checkHealth([check], real, once)).toMatchObject([
      { ok: false, detail: expect.stringMatching(/refused/i) },
    ]);
  });
});

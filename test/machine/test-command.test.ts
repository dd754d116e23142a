import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { expect, it } from "vitest";
import { expectSuccess, imgbuild, type Ran } from "../helpers/imgbuild.ts";
import { environment, ownDefinition, program } from "../helpers/labs/cli-lab.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const timeoutMs = 20 * 60_000;

function checksOf({ stdout }: Ran): Record<string, { ok: boolean; detail: string }> {
  const events = stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { event: string; check: string; ok: boolean; detail: string });
  return Object.fromEntries(
    events.filter(({ event }) => event === "check").map(({ check, ok, detail }) => [check, { ok, detail }]),
  );
}

it("imgbuild test runs a definition's own tests: two machines, a network of their own, and a firewall between", async () => {
  const dir = tempDir();
  const env = { ...environment, TMPDIR: dir };
  const args = [
    "--json",
    "test",
    "imgbuild/notes-db",
    "--firmware",
    "bios",
    "--junit",
    join(dir, "junit.xml"),
  ];
  const ran = await imgbuild(args, { env, timeoutMs });
  expectSuccess(ran);
  const checks = checksOf(ran);
  expect(Object.entries(checks).filter(([, { ok }]) => !ok)).toEqual([]);
  expect(Object.keys(checks)).toEqual(
    expect.arrayContaining([
      "it boots",
      "no unit has failed",
      "unit nftables.service",
      "port 5432",
      expect.stringMatching(/^sshd takes the key of admin/),
      "only the notes' address reaches the database, and nothing else is reached",
    ]),
  );
  expect(readFileSync(join(dir, "junit.xml"), "utf8")).toMatch(/tests="(\d+)" failures="0"/);
  // Images are in the cache; of the machines nothing is left.
  expect(readdirSync(dir).filter((name) => !/^(junit\.xml|tsx-.*|imgbuild-machines-.*)$/.test(name))).toEqual(
    [],
  );
});

it("imgbuild shell runs what comes on stdin in the machine, and imgbuild run shows its console until Ctrl-]", async () => {
  const dir = tempDir();
  const env = { ...environment, TMPDIR: dir };
  const asked = "hostname; id --user --name; systemctl is-active postgresql; exit 7\n";
  const shell = await imgbuild(["shell", "imgbuild/notes-db"], { env, timeoutMs, stdin: asked });
  expect(shell).toMatchObject({
    code: 1,
    // After what greets whoever logs in.
    stdout: expect.stringMatching(/\nnotes-db\nadmin\nactive\n$/),
    stderr: expect.stringContaining("error: the shell ended with 7"),
  });

  const command = `${program} run imgbuild/notes-db`;
  const child = spawn("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
    env,
    stdio: ["pipe", "pipe", "ignore"],
  });
  let shown = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    shown += text;
    if (shown.includes("notes-db login:")) child.stdin.write("\x1d");
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const [code] = (await once(child, "close")) as [number | null];
  clearTimeout(timer);
  expect(shown).toContain("notes-db login:");
  expect(code).toBe(0);
  // Of a shell that failed everything is kept, as it says.
  const [, kept] = /kept: (\S+)/.exec(shell.stderr)!;
  expect(readdirSync(dir).filter((name) => !/^(tsx-.*|imgbuild-machines-.*)$/.test(name))).toEqual([
    relative(dir, kept!).split("/")[0],
  ]);
});

it("imgbuild test tells what does not hold, goes on with the rest, and leaves journal, console and screen", async () => {
  const dir = tempDir();
  const definition = ownDefinition(dir);
  const file = join(definition, "IMGBUILD.ts");
  const text = readFileSync(file, "utf8");
  const broken = `"broken.service": { state: "enabled", unit: "[Service]\\nType=oneshot\\nExecStart=/bin/sh -c 'echo a reason; false'\\n[Install]\\nWantedBy=multi-user.target\\n" },`;
  const dhcp = 'network: { ethernet: dhcp("en*"), legacy: dhcp("eth*") }';
  if (!text.includes(dhcp)) throw new Error("imgbuild/web declares its network in another way");
  // As most servers have it, and QEMU's own network has not: addresses of its own, on a card of another name.
  const own = `network: { ethernet: { match: { name: "eno7" }, addresses: ["192.0.2.10/24", "2001:db8:7::10/64"], gateway: ["192.0.2.1", "2001:db8:7::1"] } }`;
  writeFileSync(
    file,
    text.replace('"nginx.service": {', `${broken}\n    "nginx.service": {`).replace(dhcp, own),
  );
  writeFileSync(
    join(definition, "IMGBUILD.test.ts"),
    `import { test } from "imgbuild/testing";
test("holds", async ({ machine }) => { await machine.succeed("touch /root/mark"); });
test("finds no trace of the one before", async ({ machine }) => { await machine.fail("test -e /root/mark"); });
test("is on its own network", async ({ machine }) => {
  await machine.succeed("exec 9<>/dev/udp/192.0.2.1/9; echo hello >&9");
  await machine.waitUntilSucceeds("grep -qE '^192.0.2.1 .* 0x2 .* eno7$' /proc/net/arp");
  await machine.waitUntilSucceeds("grep -qE '^20010db8000700000000000000000010 [0-9a-f]+ 40 00 80 +eno7$' /proc/net/if_inet6");
});
test("does not hold", async ({ machine }) => { await machine.succeed("echo told by the program >&2; exit 3"); });
test("is never done", () => new Promise(() => {}), { withinSeconds: 0.2 });
`,
  );
  cpSync("imgbuild/web/imgbuild.lock.yaml", join(definition, "imgbuild.lock.yaml"));
  const evidence = join(dir, "evidence");
  const report = join(dir, "report");
  const places = ["--evidence", evidence, "--report", `${report}.json`];
  const args = ["--json", "test", definition, "--firmware", "bios", ...places];
  const ran = await imgbuild(args, { env: environment, timeoutMs });
  expect(ran.code).toBe(1);
  const checks = checksOf(ran);
  expect(checks["no unit has failed"]).toMatchObject({
    ok: false,
    detail: expect.stringMatching(/^broken\.service\n[\s\S]*a reason/),
  });
  expect(checks["unit broken.service"]).toMatchObject({
    ok: false,
    detail: expect.stringMatching(/has failed/),
  });
  // Its address is the declared one, which QEMU would not have given.
  const key = Object.entries(checks).find(([name]) => name.startsWith("sshd takes the key of admin"));
  expect(key?.[1]).toMatchObject({ ok: true });
  expect(checks["is on its own network"]).toMatchObject({ ok: true });
  expect(checks["unit nginx.service"]).toMatchObject({ ok: true });
  expect(checks.holds).toMatchObject({ ok: true });
  expect(checks["finds no trace of the one before"]).toMatchObject({ ok: true });
  expect(checks["does not hold"]).toMatchObject({
    ok: false,
    detail: expect.stringContaining("told by the program"),
  });
  expect(checks["is never done"]).toMatchObject({ ok: false, detail: "did not end within 2 s" });
  expect(ran.stderr).toMatch(/error: \d of \d+ checks failed:\n[\s\S]*does not hold: web: .* exited 3/);
  expect(ran.stderr).toContain(join(evidence, "bios"));
  const of = join(evidence, "bios", "does-not-hold");
  expect(readFileSync(join(of, "journal.txt"), "utf8")).toContain("a reason");
  expect(readFileSync(join(of, "console.log"), "utf8")).toContain("web login:");
  expect(readFileSync(join(of, "screen.png")).subarray(1, 4).toString()).toBe("PNG");
  expect(existsSync(join(evidence, "bios", "is-never-done", "journal.txt"))).toBe(true);
  const written = JSON.parse(readFileSync(`${report}.json`, "utf8"));
  expect(written).toMatchObject({ version: 1, ok: false, machines: [{ firmware: "bios" }] });
  expect(written.machines[0].evidence.map((one: { of: string }) => one.of)).toEqual([
    "does not hold",
    "is never done",
  ]);
  const page = readFileSync(`${report}.html`, "utf8");
  expect(page.match(/<img src="data:image\/png;base64,iVBOR/g)).toHaveLength(2);
  expect(page).toContain("told by the program");
});

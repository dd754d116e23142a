import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../src/system/run/run.ts";
import { sourcesList } from "../test/helpers/labs/mmdebstrap.ts";
import { inTurns, type Row, row, timed } from "./bench-rows.ts";
import { command, type Server } from "./bench-server.ts";

const aptMs = 1_200_000;
/** Of priority "required", and needed by no other: apt leaves them out unless they are named. */
const required = ["login", "tzdata"];

/** Resolving a server anew with warm indices, against apt's own simulation in an empty root. */
export async function lockRows(server: Server): Promise<Row[]> {
  const apt = await emptyRoot(server);
  const { packages } = server.lock;
  const names = packages.filter((one) => one.requested || one.bootstrap).map(({ name }) => name);
  const simulate = [...apt, "--simulate", "install", ...required, ...names];
  const theirs = (await run(simulate, { timeoutMs: aptMs })).stdout.match(/^Inst /gm)?.length ?? 0;
  if (theirs !== packages.length)
    throw new Error(`apt would install ${theirs} packages, our lock has ${packages.length}`);
  const best = await inTurns(
    () => timed(() => command(server, ["lock", "--update", server.definition])),
    () => timed(() => run(simulate, { timeoutMs: aptMs })),
  );
  return [row("lock", best, { against: "apt-get --simulate", atMost: 1 })];
}

/** apt's command line for a root in which nothing is installed, with its indices there. */
async function emptyRoot({ work, mirrors }: Server): Promise<string[]> {
  const root = join(work, "apt");
  for (const path of [
    "etc/apt/apt.conf.d",
    "etc/apt/preferences.d",
    "var/lib/apt/lists/partial",
    "var/cache/apt/archives/partial",
    "var/lib/dpkg",
  ])
    await mkdir(join(root, path), { recursive: true });
  await writeFile(join(root, "var/lib/dpkg/status"), "");
  await writeFile(join(root, "etc/apt/sources.list"), sourcesList(mirrors));
  const settings = [
    `Dir=${root}`,
    `Dir::State::status=${join(root, "var/lib/dpkg/status")}`,
    "APT::Install-Recommends=false",
    "APT::Sandbox::User=root",
    "Dir::Etc::trustedparts=/usr/share/keyrings",
    "APT::Architecture=amd64",
  ];
  const apt = ["apt-get", ...settings.flatMap((one) => ["-o", one])];
  await run([...apt, "update"], { timeoutMs: aptMs });
  return apt;
}

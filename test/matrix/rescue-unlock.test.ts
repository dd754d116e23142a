import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type TpmOf, tpmOverSsh } from "../../src/operator/rescue/host-tpm.ts";
import { showSecret } from "../../src/operator/secrets/secrets.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { fetchAdvertisement } from "../../src/system/health/tang.ts";
import { openLab, type TestLab } from "../../src/testing/index.ts";
import { silentLog } from "../../src/util/log.ts";
import { project } from "../helpers/imgbuild.ts";
import { checksOf, withMedium } from "../helpers/labs/medium.ts";
import { startTangd } from "../helpers/labs/tangd.ts";

const secretFile = "secrets/layout-data-key.age";
const serial = "BIOS-GPT-1";
const blank = { serial, sizeBytes: 2 * 2 ** 30 };
/** With all tries, which are as long on any machine. */
const tangSeconds = 60;
const buildSeconds = 900;
const { signal } = new AbortController();

let lab: TestLab;
let definition: string;

/** A definition with a secret, where "imgbuild" is found. */
beforeEach(async () => {
  lab = await openLab();
  const dir = join(project, "out/unlock");
  execFileSync("rm", ["-rf", dir]);
  definition = "out/unlock/server";
  cpSync(join(project, "imgbuild/layouts/bios-gpt"), join(dir, "server"), { recursive: true });
  cpSync(join(project, "imgbuild/layouts/common.ts"), join(dir, "common.ts"));
  const file = join(dir, "server/IMGBUILD.ts");
  const secrets = `  secrets: { token: { file: "../../../${secretFile}", path: "/etc/token" } },\n`;
  writeFileSync(
    file,
    readFileSync(file, "utf8").replace(/^ {2}boot: .*\n/m, (line) => `${line}${secrets}`),
  );
});
afterEach(async () => {
  await lab.close();
  execFileSync("rm", ["-rf", join(project, "out/unlock")]);
});

describe("rescue-tang", () => {
  it("opens by tang with nothing typed but the serial, and by the passphrase while tang is silent", async () => {
    const tangd = await startTangd(join(lab.directory, "tang"));
    const { thumbprint } = tangd;
    // The machine reaches this one by another address than this one does: what the server says of itself comes as a file.
    const adv = join(lab.directory, "tang.jws");
    writeFileSync(adv, await fetchAdvertisement({ url: tangd.url, thumbprint }, signal));
    const seen = `http://10.0.2.2:${tangd.port}`;
    const unlock = [`tang:${seen},thumbprint=${thumbprint},adv=${adv}`];
    const { machine, ...person } = await withMedium(lab, definition, {
      disks: [blank],
      firmware: "bios",
      unlock,
    });
    await machine.start();

    tangd.answers = false;
    await person.choose("1");
    await person.see(/WARN {2}the tang server \S+ does not answer: /, tangSeconds);
    await person.answer(/Passphrase of the medium .*: /, person.passphrase);
    await person.answer(/Type the serial .*: /, "another");
    await person.see(/FAILED: "another" is not BIOS-GPT-1; nothing was written/);
    expect(tangd.helped).toEqual([]);

    tangd.answers = true;
    await person.choose("1");
    await person.see(/The tang server \S+ opens the secrets\./, tangSeconds);
    await person.name(serial);
    expect(tangd.helped).toHaveLength(1);
    await person.answer(/press Enter; in \d+ s/, "", buildSeconds);
    await machine.boot({ withinSeconds: 180 });
    expect((await checksOf(machine, definition)).failed).toEqual([]);
    const token = await showSecret(secretFile, { identityFiles: ["secrets/demo-identity.txt"] });
    expect((await machine.succeed("base64 -w0 /etc/token")).trim()).toBe(
      Buffer.from(token.expose()).toString("base64"),
    );
  });
});

describe("rescue-tpm2", () => {
  it("opens by the TPM of the machine that was asked over SSH, bound to register 7, on another disk", async () => {
    const before = await lab.machine({ definition, tpm: true });
    await before.boot({ withinSeconds: 180 });
    const config = await sshTo(before);
    const outside = {
      ...{ env: process.env, cache: cacheRoot(process.env), log: silentLog, hasPlace: true },
      ...{
        signal,
        interactive: false,
        askSecret: () => Promise.reject(new Error("a password was asked for")),
      },
    };
    const tpmOf: TpmOf = tpmOverSsh(config, outside);
    const unlock = ["tpm2:target,pcrs=7"];
    const { machine, ...person } = await withMedium(lab, definition, {
      ...{ disks: [blank], firmware: "bios", tpm: true, unlock, tpmOf },
    });
    await before.crash();
    // The same board: its TPM.
    cpSync(join(before.directory, "tpm"), join(machine.directory, "tpm"), { recursive: true });
    await machine.start();
    await person.choose("1");
    await person.see(/The machine's TPM opens the secrets\./);
    await person.answer(/Type the serial .*: /, "another");
    await person.see(/nothing was written/);
  });
});

/** How the machine is reached as "target". */
async function sshTo(machine: { forward(port: number): Promise<number>; readonly hostKey: string }) {
  const directory = join(lab.directory, "ssh");
  mkdirSync(directory);
  const [known, config, key] = ["known_hosts", "config", "key"].map((name) => join(directory, name));
  const port = await machine.forward(22);
  writeFileSync(known!, `[127.0.0.1]:${port} ${machine.hostKey}\n`);
  writeFileSync(key!, readFileSync("secrets/demo-admin-key"), { mode: 0o600 });
  writeFileSync(
    config!,
    `Host target\n  HostName 127.0.0.1\n  Port ${port}\n  User admin\n  IdentityFile ${key}\n  IdentityAgent none\n`,
  );
  return { sshConfig: config!, knownHosts: known! };
}

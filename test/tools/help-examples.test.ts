import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { examples } from "../../src/cli/examples.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { adminKey } from "../helpers/builders/deployable.ts";
import { imgbuild } from "../helpers/imgbuild.ts";
import { environment } from "../helpers/labs/cli-lab.ts";
import { atTerminal } from "../helpers/labs/terminal.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const lineMs = 300_000;
const lines = Object.values(examples).flatMap((some) => some.map(([line]) => line));
const passphrase = "not a secret";
const asked = /(passphrase[^\n]*|once more): /i;
/** What asks for one, at a terminal alone. */
const asking = /--passphrase|^imgbuild (rescue(?!.*--without-identity)|escrow) /;
/** What is not in a directory of the reader's. */
const store = "/srv/store";

/** Those that need a host, a registry or a machine: a test that types the command where there is one, and a word of it there. */
const elsewhere: Readonly<Record<string, readonly [file: string, word: string]>> = {
  "imgbuild init web --from root@192.0.2.10": ["test/tools/init-from.test.ts", "--from"],
  "imgbuild store add web --store oci://registry.example.org/imgbuild": [
    "test/tools/registry.test.ts",
    "oci://",
  ],
  "imgbuild test web": ["docs/FIRST-SERVER.md", "make test"],
  "imgbuild test web --deploy": ["scripts/matrix.ts", "--deploy"],
  "imgbuild run web": ["test/machine/test-command.test.ts", "run"],
  "imgbuild run stock:bookworm --dir host": ["docs/FIRST-SERVER.md", "imgbuild run stock:bookworm --dir"],
  "imgbuild shell web": ["test/machine/test-command.test.ts", "shell"],
  "imgbuild plan web": ["test/tools/cli-hosts.test.ts", "plan"],
  "imgbuild plan web root@192.0.2.10": ["docs/FIRST-SERVER.md", "make plan"],
  "imgbuild plan web root@192.0.2.10 --disk system=serial:S4EVNX0M": ["test/matrix/unlock.test.ts", "--disk"],
  "imgbuild deploy web": ["test/tools/cli-hosts.test.ts", "deploy"],
  "imgbuild deploy web root@192.0.2.10": ["docs/FIRST-SERVER.md", "make deploy"],
  "imgbuild deploy web --restore": ["test/unit/operator/plan/restore.test.ts", "restore"],
  "imgbuild deploy web --takeover boot-entry": ["test/matrix/takeover.test.ts", "--takeover"],
  "imgbuild deploy web --build-on local": ["test/matrix/deploy.test.ts", "local"],
  "imgbuild deploy web --build-on host": ["test/matrix/deploy.test.ts", "host"],
  "imgbuild deploy web root@192.0.2.10 --unattended --yes-wipe S3Z8NB0K": [
    "test/helpers/labs/lab.ts",
    "--yes-wipe",
  ],
  "imgbuild escrow make web -o web.escrow --host root@192.0.2.10": ["test/tools/escrow.test.ts", "--host"],
  // Without a host's headers it lacks something, and says so.
  "imgbuild escrow check web.escrow web": ["test/tools/escrow.test.ts", "check"],
  "imgbuild follow root@192.0.2.10": ["test/tools/cli-follow.test.ts", "follow"],
  "imgbuild resume root@192.0.2.10": ["test/tools/cli-follow.test.ts", "resume"],
  "imgbuild resume root@192.0.2.10 --with web": ["test/matrix/deploy.test.ts", "--with"],
  "imgbuild unlock root@192.0.2.10": ["test/tools/unlock.test.ts", "unlock"],
  "imgbuild unlock root@192.0.2.10 --definition web": ["test/matrix/unlock.test.ts", "--definition"],
  "imgbuild rescue-boot root@192.0.2.10": ["test/matrix/rescue-boot.test.ts", "rescue-boot"],
  "imgbuild rescue-boot root@192.0.2.10 --yes web": ["test/matrix/rescue-boot.test.ts", "--yes"],
  "imgbuild abort root@192.0.2.10": ["test/tools/cli-follow.test.ts", "abort"],
  "imgbuild rescue web --test --report drill.json": ["test/matrix/recover-data.test.ts", "--test"],
  "imgbuild rescue web --unlock tang:http://192.0.2.10,thumbprint=LtFgu40PBYJTVpmvMyxidfQ1itT1NRRgFfsJ61GKag4 -o web.iso":
    ["test/tools/rescue.test.ts", "--unlock"],
  "imgbuild rescue web --unlock tpm2:root@192.0.2.20 -o web.iso": ["test/tools/tpm2.test.ts", "sealForTpm"],
  "imgbuild backup web now": ["test/matrix/recover-data.test.ts", "backup"],
  "imgbuild backup root@192.0.2.10 list": ["test/matrix/recover-data.test.ts", "list"],
  "imgbuild secrets send root@192.0.2.10 --base-key SHA256:0000000000000000000000000000000000000000000": [
    "test/tools/send-identity.test.ts",
    "send",
  ],
};

it("every example of a help text does what it says, here or where another test has a host or a machine", async () => {
  for (const [line, [file, word]] of Object.entries(elsewhere)) {
    expect(lines, "it is an example no more").toContain(line);
    expect(readFileSync(file, "utf8"), line).toContain(word);
  }
  const left = new Set(lines.filter((line) => elsewhere[line] === undefined));
  const home = tempDir();
  const cache = cacheRoot(process.env);
  const env = { ...environment, HOME: home, XDG_CONFIG_HOME: join(home, "config"), IMGBUILD_CACHE: cache };
  /** Types it as it stands; gives what it shows. */
  const type = async (line: string, how: { cwd?: string; stdin?: string; env?: object } = {}) => {
    left.delete(line);
    const { cwd = home, stdin } = how;
    const args = line.replaceAll(store, join(home, "store")).split(" ").slice(1);
    const options = { env: { ...env, ...how.env }, cwd, timeoutMs: lineMs };
    const { code, ...shown } = asking.test(line)
      ? await atTerminal(args, asked, [passphrase, passphrase], options)
      : await imgbuild(args, { ...options, ...(stdin === undefined ? {} : { stdin }) });
    const text = "text" in shown ? shown.text : shown.stdout;
    expect(code, `${line}\n${JSON.stringify(shown)}`).toBe(0);
    return text;
  };
  const web = join(home, "web");
  const made = (...names: readonly string[]) =>
    expect(names.filter((name) => !existsSync(join(home, name)))).toEqual([]);

  expect(await type("imgbuild secrets keygen")).toMatch(/^age1\w+$/m);
  await type("imgbuild secrets keygen ops.txt --passphrase");
  await type("imgbuild init web");
  finish(web);
  const other = tempDir();
  await type(
    "imgbuild init web --disk S3Z8NB0K --address 192.0.2.10/24 --gateway 192.0.2.1 --dns 192.0.2.53",
    { cwd: other },
  );
  expect(readFileSync(join(other, "web/IMGBUILD.ts"), "utf8")).toContain("S3Z8NB0K");
  writeFileSync(join(other, "hosts.yaml"), "hosts:\n  web:\n    address: 192.0.2.10\n");
  mkdirSync(join(other, "hosts"));
  await type("imgbuild init hosts/db", { cwd: other });
  expect(await type("imgbuild hosts", { cwd: other })).toMatch(/web/);

  await type("imgbuild secrets edit secrets/password.age", { cwd: web, stdin: "open sesame\n" });
  expect(await type("imgbuild secrets show secrets/password.age", { cwd: web })).toBe("open sesame\n");
  await type("imgbuild secrets rekey secrets", { cwd: web });
  expect(await type("imgbuild secrets check web")).toMatch(/^ok {6}password/m);

  await type("imgbuild lock web");
  await type("imgbuild lock web --update nginx");
  cpSync(web, join(home, "db"), { recursive: true });
  await type("imgbuild sbom web --format cyclonedx -o web.cdx.json");
  await type("imgbuild vendor web debs");
  await type(`imgbuild store add web --store ${store}`);
  await type(`imgbuild store verify ${store}`);
  await type(`imgbuild store gc ${store} --keep web db`);
  expect(await type("imgbuild store key")).toMatch(/ed25519:/);
  made("web.cdx.json", "debs", "store");

  await type("imgbuild build web -o web.raw");
  await type("imgbuild build web -o web.raw --report web.json");
  await type("imgbuild build web -o web.qcow2 --minimize");
  made("web.raw", "web.json", "web.html", "web.qcow2");
  expect(await type("imgbuild plan web --commands")).toMatch(/mkfs|mke2fs/);

  await type("imgbuild rescue web -o web.iso");
  await type("imgbuild rescue web --offline -o web.iso");
  await type("imgbuild rescue web --without-identity -o web.iso");
  await type("imgbuild rescue web --format pxe -o pxe");
  made("web.iso", "pxe");
  await type("imgbuild escrow make web -o web.escrow --page web.html");
  await type("imgbuild escrow open web.escrow -o found");
  made("web.escrow", "found");

  await type("imgbuild base build");
  expect(await type("imgbuild base show")).toMatch(/[0-9a-f]{64}/);
  await type("imgbuild base remove", { env: { IMGBUILD_CACHE: tempDir() } });
  expect(await type("imgbuild cache show")).toMatch(/^total/m);
  await type("imgbuild cache gc --max-size 10GiB --dry-run");
  await type("imgbuild doctor");
  await type("imgbuild doctor --install");
  for (const shell of ["bash", "zsh", "fish"])
    expect(await type(`imgbuild completion ${shell}`)).toContain("imgbuild");
  expect([...left]).toEqual([]);
});

/** What its maker is to fill in: the disk, a key, and here packages and a secret of its own. */
function finish(directory: string): void {
  const file = join(directory, "IMGBUILD.ts");
  const text = readFileSync(file, "utf8");
  const changed = text
    .replace("CHANGE-ME", "SERIAL-1")
    .replace('"openssh-server"', '"nginx", "openssh-server", "systemd-repart"')
    .replace(
      "  boot: {",
      '  secrets: { password: { file: "secrets/password.age", path: "/etc/password" } },\n  boot: {',
    );
  expect(changed.length).toBeGreaterThan(text.length + 80);
  writeFileSync(file, changed);
  writeFileSync(join(directory, "authorized_keys"), `${adminKey}\n`);
}

import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { SignedFile } from "../../../src/debian/archive/index.ts";
import type { Source } from "../../../src/debian/archive/sources.ts";
import type { Policy } from "../../../src/debian/resolve/policy.ts";
import { plainEnv, run } from "../../../src/system/run/run.ts";

/** Nobody serves it: apt reads only what lies in its lists already. */
const host = "mirror.example.org";
const aptMs = 300_000;

/** Packages as "name version", sorted, or why there is no way. */
export type AptAnswer = { readonly set: readonly string[] } | { readonly refused: string };

export interface AptRoot {
  /** What `apt-get --simulate install` would install, "name version" sorted; its complaint where it refuses. */
  install(packages: readonly string[], options: { readonly recommends: boolean }): Promise<AptAnswer>;
}

/** An empty root as apt sees it, with the indices that imgbuild fetched and verified, and nothing of this machine's own. */
export async function aptRoot(
  dir: string,
  sources: readonly Source[],
  files: readonly SignedFile[],
  policy: Policy,
): Promise<AptRoot> {
  for (const path of [
    "etc/apt/apt.conf.d",
    "etc/apt/preferences.d",
    "etc/apt/trusted.gpg.d",
    "var/lib/apt/lists/partial",
    "var/cache/apt/archives/partial",
    "var/lib/dpkg",
    "var/log/apt",
  ])
    mkdirSync(join(dir, path), { recursive: true });
  writeFileSync(join(dir, "var/lib/dpkg/status"), "");
  writeFileSync(join(dir, "etc/apt/preferences"), preferences(policy));
  const line = ({ archive, suite, components }: Source) =>
    `deb [trusted=yes] http://${host}/${archive} ${suite} ${components.join(" ")}\n`;
  writeFileSync(join(dir, "etc/apt/sources.list"), sources.map(line).join(""));
  const config = join(dir, "apt.conf");
  writeFileSync(
    config,
    [
      `Dir "${dir}/";`,
      `Dir::State::status "${dir}/var/lib/dpkg/status";`,
      'Dir::Etc::main "";',
      'APT::Architecture "amd64";',
      'APT::Architectures { "amd64"; };',
      'APT::Sandbox::User "root";',
      'Acquire::Languages "none";',
      ...(policy.target.length === 0 ? [] : [`APT::Default-Release "/^(${policy.target.join("|")})$/";`]),
      "",
    ].join("\n"),
  );
  for (const { archive, suite, name, file } of files) {
    const known = `${host}/${archive}/dists/${suite}/${name}`.replaceAll("/", "_");
    symlinkSync(file, join(dir, "var/lib/apt/lists", known));
  }
  const env = { ...plainEnv, APT_CONFIG: config };
  await run(["apt-cache", "gencaches"], { env, timeoutMs: aptMs });
  const hook = join(dir, "hook.cjs");
  writeFileSync(hook, hookText);
  appendFileSync(config, `AptCli::Hooks::Install { "${process.execPath} ${hook}"; };\n`);
  let count = 0;
  return {
    async install(packages, { recommends }) {
      count += 1;
      const answer = join(dir, `answer-${count}.json`);
      const argv = [
        ...["apt-get", "--simulate", "--yes", `--option=APT::Install-Recommends=${recommends}`],
        // The decision is made by then; the order of unpacking, which takes it many seconds, is not asked for.
        "--option=PackageManager::UnpackAll=false",
      ];
      const ran = await run([...argv, "install", ...packages], {
        env: { ...env, ANSWER: answer },
        timeoutMs: aptMs,
        accept: [0, 100],
      });
      if (!existsSync(answer)) return { refused: ran.stderr.trim() };
      const text = readFileSync(answer, "utf8");
      rmSync(answer);
      return { set: installedIn(text) };
    },
  };
}

/** The pins as apt_preferences(5) has them. */
function preferences({ pins }: Policy): string {
  return pins
    .map(({ packages, suite, origin, version, priority }) => {
      const release = [
        ...(suite === undefined ? [] : [`n=${suite}`]),
        ...(origin === undefined ? [] : [`o=${origin}`]),
      ];
      const pin = version === undefined ? `release ${release.join(", ")}` : `version ${version}`;
      return `Package: ${packages.join(" ")}\nPin: ${pin}\nPin-Priority: ${priority}\n`;
    })
    .join("\n");
}

/** Speaks apt's protocol for hooks (0.2) and keeps what apt has decided. */
const hookText = `
const socket = new (require("node:net").Socket)({ fd: Number(process.env.APT_HOOK_SOCKET) });
let text = "";
socket.on("data", (data) => {
  text += data;
  for (let end = text.indexOf("\\n\\n"); end >= 0; end = text.indexOf("\\n\\n")) {
    const message = JSON.parse(text.slice(0, end));
    text = text.slice(end + 2);
    if (message.method.endsWith(".hello"))
      socket.write(JSON.stringify({ jsonrpc: "2.0", id: message.id, result: { version: "0.2" } }) + "\\n\\n");
    else if (message.method.endsWith(".install.pre-prompt"))
      require("node:fs").writeFileSync(process.env.ANSWER, JSON.stringify(message.params.packages));
    else if (message.method.endsWith(".bye")) process.exit(0);
  }
});
`;

function installedIn(text: string): string[] {
  const packages = JSON.parse(text) as {
    name: string;
    mode: string;
    versions: { install?: { version: string } };
  }[];
  return packages
    .filter(({ mode }) => mode === "install")
    .map(({ name, versions }) => `${name} ${versions.install?.version}`)
    .sort();
}

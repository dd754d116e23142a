import { installArgv, refreshArgv } from "../../tables/distribution.ts";
import { shellWord } from "../../util/shell-word.ts";
import type { Answers } from "./answers.ts";
import { definitionText } from "./definition-text.ts";

/** What the repository needs to know of this machine. */
interface Around {
  /** Where npm gets imgbuild from: a range of versions, or `file:…`. */
  readonly imgbuild: string;
  /** age recipients of whoever made it. */
  readonly recipients: readonly string[];
  /** Options of the command line that reach the host. */
  readonly login: readonly string[];
  /** What a machine needs to build and test it. */
  readonly debianPackages: readonly string[];
  /** The package.json that is there already. */
  readonly npmPackage: string | undefined;
}

/** Versions of what checks the types. */
export const tools = { "@types/node": "20.19.43", typescript: "7.0.2" } as const;

/** The files of a new repository, by path. */
export function repositoryFiles(answers: Answers, around: Around): ReadonlyMap<string, string> {
  return new Map([
    ["IMGBUILD.ts", definitionText(answers)],
    ["IMGBUILD.test.ts", testText],
    ["authorized_keys", keysText(answers.keys)],
    ["package.json", packageText(answers.hostname, around)],
    ["tsconfig.json", json({ compilerOptions, include: ["**/*.ts"] })],
    ["Makefile", makefileText(around.login)],
    [".github/workflows/check.yml", workflowText(around.debianPackages)],
    ["README.md", readme(answers.hostname)],
    [".gitignore", "node_modules/\nout/\n"],
    ["secrets/recipients", recipientsText(around.recipients)],
  ]);
}

const compilerOptions = {
  ...{ target: "es2023", module: "nodenext", strict: true, noEmit: true },
  ...{ exactOptionalPropertyTypes: true, allowImportingTsExtensions: true, types: ["node"] },
};

const testText = `import { test } from "imgbuild/testing";

test("lets its administrator become root", async ({ machine }) => {
  await machine.succeed("runuser --user admin -- sudo --non-interactive true");
});
`;

// A tab begins a recipe's lines.
const makefileText = (
  login: readonly string[],
) => `# HOST is [user@]name[:port], or an alias of your ssh_config.
HOST ?=
# How it is reached.
LOGIN ?=${login.map((word) => ` ${makeWord(word)}`).join("")}
# More options of \`npx imgbuild plan\` or \`deploy\`, as "--unattended --yes-wipe SERIAL".
OPTIONS ?=
IMGBUILD := npx imgbuild
.DEFAULT_GOAL := help
.PHONY: help check lock update test shell image rescue drill plan deploy host

help: ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\\t/' | expand -t 10

node_modules: package.json
	npm install --no-audit --no-fund
	@touch node_modules

check: node_modules ## check the definition's types
	npx tsc

lock: check ## resolve the packages into imgbuild.lock.yaml
	$(IMGBUILD) lock .

update: check ## take newer versions of the packages
	$(IMGBUILD) lock . --update

test: lock ## build the system, boot it in QEMU, and check it
	$(IMGBUILD) test .

shell: lock ## a shell in the system, in QEMU
	$(IMGBUILD) shell .

image: lock ## a disk image, out/system.raw
	@mkdir -p out
	$(IMGBUILD) build . -o out/system.raw

rescue: lock ## a medium that rebuilds the machine from blank disks, out/rescue.iso
	@mkdir -p out
	$(IMGBUILD) rescue . --offline -o out/rescue.iso $(OPTIONS)

drill: lock ## rebuild the machine from such a medium, in QEMU
	$(IMGBUILD) rescue . --offline --test $(OPTIONS)

plan: lock host ## what a deploy to HOST would do; changes nothing
	$(IMGBUILD) plan . $(HOST) $(LOGIN) $(OPTIONS)

deploy: lock host ## replace the system of HOST
	$(IMGBUILD) deploy . $(HOST) $(LOGIN) $(OPTIONS)

host:
	@[ -n "$(HOST)" ] || { echo "say which host: make plan HOST=user@name" >&2; exit 2; }
`;

/** A word of a recipe. */
function makeWord(word: string): string {
  return (/^[\w.,:@/+-]+$/.test(word) ? word : shellWord(word))
    .replaceAll("$", "$$$$")
    .replaceAll("#", "\\#");
}

/** What is in it already stays. */
function packageText(hostname: string, { imgbuild, npmPackage }: Around): string {
  const there = npmPackage === undefined ? {} : JSON.parse(npmPackage);
  return json({
    ...{ name: hostname, private: true },
    ...there,
    type: "module",
    dependencies: { imgbuild, ...there.dependencies },
    devDependencies: { ...tools, ...there.devDependencies },
  });
}

/** For GitHub; other services run the same lines. */
function workflowText(debianPackages: readonly string[]): string {
  const install = installArgv("--no-install-recommends", ...debianPackages);
  return `name: check
on: [push, pull_request]
jobs:
  check:
    runs-on: ubuntu-24.04
    timeout-minutes: 120
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-node@v4
        with:
          node-version: 22
      - run: sudo ${refreshArgv.join(" ")}
      - run: sudo ${install.join(" ")}
      # Ubuntu keeps users from what a build without root needs.
      - run: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0
      # QEMU is many times faster with it.
      - run: sudo chmod a+rw /dev/kvm || true
      - run: make check
      - run: make test
`;
}

function keysText(keys: readonly string[]): string {
  return ["# One public key a line, as in ~/.ssh/authorized_keys.", ...keys, ""].join("\n");
}

function recipientsText(recipients: readonly string[]): string {
  const head = "# age recipients that `npx imgbuild secrets edit secrets/NAME.age` encrypts for, one a line.";
  return [head, ...recipients, ""].join("\n");
}

function readme(hostname: string): string {
  return `# ${hostname}

This repository is the server ${hostname}: \`IMGBUILD.ts\` says all of it.

- \`make test\` builds it, boots it in QEMU and checks it.
- \`make plan HOST=user@name\` shows what a deploy would do.
- \`make deploy HOST=user@name\` replaces the system of that host.
- \`make\` lists the rest.

Files below \`files/\` are copied onto the system. Secrets are age files in \`secrets/\`:
\`npx imgbuild secrets edit secrets/NAME.age\` writes one. Your identity, which opens them, is not in
this repository; keep a copy of it where a fire does not reach it.
`;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

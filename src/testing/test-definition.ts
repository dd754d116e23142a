import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { loadDefinition } from "../operator/definition/load.ts";
import { type OpenDefinition, openDefinition } from "../operator/lock/open-definition.ts";
import { requireTools } from "../operator/native/doctor.ts";
import { shownOf, type TestReport, testPage } from "../operator/report/test-page.ts";
import { writeReport } from "../operator/report/write-report.ts";
import { identityFiles, type RevealOptions, revealSecrets } from "../operator/secrets/secrets.ts";
import { type TestImage, testImage } from "../operator/test/test-image.ts";
import type { Surroundings } from "../system/files/cache.ts";
import { requireParent } from "../system/files/parent.ts";
import { guardDirectory } from "../system/files/work-directory.ts";
import { onlyArchitecture } from "../tables/architecture.ts";
import { exitCodes, Fail } from "../util/fail.ts";
import type { Secret } from "../util/secret.ts";
import { casesOf } from "./cases.ts";
import { type DefinedMachine, machineOf, openTestLab } from "./lab.ts";
import { type Rehearsal, rehearse } from "./rehearse.ts";
import { judge, junit, type Verdict } from "./verdict.ts";

/** How a definition is tried in virtual machines, as the command line says it. */
export interface TestOptions extends RevealOptions {
  /** A firmware; "declared": each of the definition's; "one" of them; "both". */
  readonly firmware: string;
  readonly memory?: number;
  /** The machine's files stay. */
  readonly keep?: boolean;
  readonly withSecrets?: boolean;
  readonly junit?: string;
  readonly evidence?: string;
  /** A JSON file, beside which its page is written. */
  readonly report?: string;
}

export interface RehearsalOptions extends TestOptions {
  readonly from: string;
  readonly fromUser?: string;
  readonly fromKey?: string;
}

interface Outside extends Surroundings {
  askSecret(question: string): Promise<Secret>;
}

type Firmware = "bios" | "uefi";

/** Looked for before the image is built, which takes longer than to find that nothing can boot it. */
const machineTools = [onlyArchitecture.qemu.program, "qemu-img"];

/** Builds the image, boots it by each firmware, and runs its checks and tests. A Fail that names each check that failed. */
export async function testDefinition(
  path: string,
  options: TestOptions,
  outside: Outside,
  show: {
    readonly verdict: (verdict: Verdict) => void;
    readonly all: (ok: boolean, seconds: number) => void;
  },
): Promise<void> {
  for (const place of [options.junit, options.evidence, options.report])
    if (place !== undefined) await requireParent(place);
  await withImage(path, options, outside, async (image, definition, directory) => {
    const tests = await casesOf(definition.file);
    const evidence = resolve(options.evidence ?? join(directory, "evidence"));
    const from = dirname(definition.file);
    const verdicts: Verdict[] = [];
    for (const firmware of chosen(options.firmware, image.spec.boot?.firmware ?? [])) {
      const plan = { image, firmware, tests, ...memoryOf(options), evidence: join(evidence, firmware) };
      const verdict = await judge(plan, { ...outside, from, ...labDirectory(options, directory, firmware) });
      verdicts.push(verdict);
      show.verdict(verdict);
    }
    if (options.junit !== undefined) await writeFile(options.junit, junit(image.spec.hostname, verdicts));
    const ok = verdicts.every((verdict) => verdict.ok);
    if (options.report !== undefined) {
      const report: TestReport = {
        ...{ version: 1, hostname: image.spec.hostname, definition: definition.digest, ok },
        machines: verdicts.map(({ ok: _same, ...verdict }) => verdict),
      };
      // What is seen of real secrets is left only where it was asked for.
      const isShown = !options.withSecrets || options.evidence !== undefined;
      const page = testPage(report, (of) => (isShown ? shownOf(of) : {}));
      await writeReport(options.report, report, page);
    }
    show.all(
      ok,
      verdicts.reduce((sum, { seconds }) => sum + seconds, 0),
    );
    if (!ok) throw failure(verdicts);
  });
}

/** Rehearses the deploy onto a machine that stands in for the host. */
export async function rehearseDefinition(
  path: string,
  options: RehearsalOptions,
  outside: Outside,
): Promise<Rehearsal> {
  const { spec } = await loadDefinition(path);
  const wanted = options.firmware === "declared" ? "one" : options.firmware;
  const [firmware] = chosen(wanted, spec.boot?.firmware ?? []);
  await requireTools("build", machineTools);
  const { from, fromUser: user, fromKey: key, report } = options;
  if (report !== undefined) await requireParent(report);
  const origin = { from, ...(user && key ? { login: { user, key } } : {}) };
  return await rehearse(path, origin, firmware!, { ...outside, from: "." }, report);
}

/** A machine of the definition's image, for as long as `work` takes. */
export async function withMachine(
  path: string,
  options: TestOptions,
  outside: Outside,
  work: (machine: DefinedMachine) => Promise<void>,
): Promise<void> {
  await withImage(path, options, outside, async (image, _definition, directory) => {
    const [firmware] = chosen(options.firmware, image.spec.boot?.firmware ?? []);
    const lab = await openTestLab({ ...outside, ...labDirectory(options, directory, firmware!) });
    try {
      await work(await machineOf(lab, image, { firmware: firmware!, ...memoryOf(options) }));
    } finally {
      await lab.close();
    }
  });
}

async function withImage(
  path: string,
  options: TestOptions,
  outside: Outside,
  work: (image: TestImage, definition: OpenDefinition, directory: string) => Promise<void>,
): Promise<void> {
  const { log, signal } = outside;
  const definition = await openDefinition(path, {
    log,
    check: async ({ spec }) => {
      chosen(options.firmware, spec.boot?.firmware ?? []);
      await requireTools("build", machineTools);
    },
  });
  const directory = await mkdtemp(join(tmpdir(), "imgbuild-test-"));
  const guard = options.withSecrets && !options.keep ? guardDirectory(directory) : undefined;
  let done = false;
  try {
    const secrets = options.withSecrets
      ? await revealSecrets(definition, {
          identityFiles: identityFiles(options, outside.env),
          passphrase: (of: string) => outside.askSecret(`Passphrase of ${of}: `),
        })
      : undefined;
    const image = await testImage(definition, outside, secrets && { secrets, directory });
    await work(image, definition, directory);
    done = true;
  } finally {
    const failed = !done && !signal.aborted;
    // An image with real secrets is not left about unless asked.
    if (options.keep || (failed && !options.withSecrets)) log.info(`kept: ${directory}`);
    else if (guard === undefined) await rm(directory, { recursive: true, force: true });
    else await guard.clear();
  }
}

function failure(verdicts: readonly Verdict[]): Fail {
  const lines = verdicts.flatMap(({ firmware, results }) =>
    results
      .filter(({ ok }) => !ok)
      .map(({ check, detail }) => `  ${firmware}: ${check}: ${detail.replaceAll("\n", "\n    ")}`),
  );
  const places = verdicts.flatMap(({ evidence }) => evidence.map(({ directory }) => directory));
  const count = verdicts.reduce((sum, { results }) => sum + results.length, 0);
  return new Fail(`${lines.length} of ${count} checks failed:\n${lines.join("\n")}`, {
    hint: `journal, console and screen are in ${places.join(" and ")}; look inside with \`imgbuild shell\``,
  });
}

function memoryOf({ memory }: TestOptions) {
  return memory === undefined ? {} : { memoryMib: memory };
}

/** The machine's files stay with the test's own where they are kept. */
function labDirectory(options: TestOptions, directory: string, firmware: Firmware) {
  return options.keep ? { directory: join(directory, firmware), keep: true } : {};
}

function chosen(wanted: string, declared: readonly Firmware[]): Firmware[] {
  if (declared.length === 0) throw new Fail("the definition has no `boot`, so there is nothing to start");
  if (wanted === "declared") return [...declared];
  if (wanted === "one") return [declared.includes("bios") ? "bios" : "uefi"];
  const asked = wanted === "both" ? (["bios", "uefi"] as const) : [wanted];
  for (const each of asked)
    if (!declared.some((one) => one === each))
      throw new Fail(`--firmware ${wanted}: the definition serves ${declared.join(" and ")}`, {
        exitCode: exitCodes.usage,
      });
  return asked as Firmware[];
}

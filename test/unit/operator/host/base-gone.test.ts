import { describe, expect, it } from "vitest";
import type { ConnectOptions } from "../../../../src/operator/deploy/world.ts";
import { baseGone } from "../../../../src/operator/host/base-gone.ts";
import { waitForReturn, whoIsBack } from "../../../../src/operator/host/who-is-back.ts";
import { markPath } from "../../../../src/steps/tree/finish-tree.ts";
import type { Host } from "../../../../src/transport/host.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { notedDeploy } from "../../../helpers/fakes/noted-deploy.ts";

const known = { ...notedDeploy, host: "web" };
const { nonce, machine, newSystem } = known;
const cause = new Fail("connection refused");

/** What answers to whom: by known_hosts (`old`), and with the new system's host keys and user (`fresh`). */
function answering({ old, fresh }: { old?: Partial<Answers>; fresh?: Partial<Answers> }) {
  const life = { open: 0 };
  const connects: ConnectOptions[] = [];
  const connect = async (how: ConnectOptions): Promise<Host> => {
    connects.push(how);
    const answers = how.pins === undefined ? old : fresh;
    if (answers === undefined) throw new Fail("no route to host");
    life.open += 1;
    const exec = async (argv: readonly string[]) => ({
      code: 0,
      stdout: argv.includes(markPath) ? (answers.mark ?? "") : `${answers.boot ?? "another boot"}\n`,
      stderr: "",
    });
    const close = () => {
      life.open -= 1;
    };
    return { exec, close } as unknown as Host;
  };
  const world = { connect, log: silentLog, now: Date.now, signal: new AbortController().signal };
  return { world, connects, life };
}
interface Answers {
  mark: string;
  boot: string;
}

describe("a host whose base does not answer", () => {
  it.each([
    ["old", { old: {} }, 4, /runs its old system again$/, /imgbuild deploy DEF web$/],
    [
      "old, never left",
      { old: { boot: machine.bootId } },
      1,
      /still runs its old system/,
      /imgbuild abort web$/,
    ],
    ["new", { old: { mark: `{"nonce":"${nonce}"}` } }, 1, /runs the new system$/, /^imgbuild follow web/],
    ["new", { fresh: { mark: `{"nonce":"${nonce}"}` } }, 1, /runs the new system$/, /^imgbuild follow web/],
    [undefined, {}, 1, /^neither the base nor another system answers at web/, /console.*imgbuild abort web;/],
    // Its keys are the new system's, and nothing says that it is the one.
    [undefined, { fresh: { mark: "{}" } }, 1, /^neither/, /imgbuild abort web;/],
  ])("is looked at once (%s)", async (which, answers, exitCode, message, hint) => {
    const { world, life } = answering(answers);
    expect(await baseGone(known, "abort", cause, world)).toMatchObject({
      which,
      exitCode,
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
      cause,
    });
    expect(life.open).toBe(0);
  });

  it("names both errors where nothing answers", async () => {
    const { message } = await baseGone(known, "follow", cause, answering({}).world);
    expect(message).toContain("\nthe base: connection refused\nthe old or new system: no route to host");
  });

  it("lets a bug through", async () => {
    const connect = () => Promise.reject(new TypeError("oops"));
    await expect(baseGone(known, "follow", cause, { connect })).rejects.toThrow(new TypeError("oops"));
  });

  it("is asked with the new system's keys and user, each within a bound", async () => {
    const { world, connects } = answering({});
    await expect(whoIsBack(known, world)).rejects.toThrow("no route to host");
    expect(connects).toEqual([
      { timeoutMs: expect.any(Number) },
      { timeoutMs: expect.any(Number), pins: newSystem.pins, user: newSystem.user },
    ]);
  });

  it("is waited for until another boot answers than the one that was left", async () => {
    const still = answering({ old: { boot: machine.bootId } });
    await expect(waitForReturn(known, still.world)).rejects.toThrow(/in the boot that it was to leave$/);
    expect(await waitForReturn(known, answering({ old: {} }).world)).toBe("old");
  });
});

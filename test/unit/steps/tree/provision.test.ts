import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { provision } from "../../../../src/steps/tree/provision.ts";
import type { TreeRunOptions } from "../../../../src/system/door/chroot.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { type Answers, stepBench } from "../../../helpers/fakes/step-bench.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const inside = "/run/imgbuild/provision";

function bench(answers: Answers = {}, context: object = {}) {
  const root = tempDir();
  mkdirSync(join(root, "etc"));
  const one = stepBench({ root, answers, context });
  const run = async (more: Partial<z.input<typeof provision.schema>> = {}) =>
    await provision.run(
      provision.schema.parse({ name: "setup", script: "#!/bin/sh -eu\ntrue\n", epoch: 7, ...more }),
      one.context,
    );
  const given = () => one.options[0] as TreeRunOptions;
  return { ...one, root, run, given };
}

/** A program of the tree that prints lines, and then fails. */
function failing(
  lines: readonly string[],
  fail: Error = new Fail("setup exited 1\nend of stderr", { hint: "its own" }),
) {
  const chroot = async (_argv: readonly string[], options: TreeRunOptions = {}) => {
    for (const line of lines) options.onLine!(line);
    throw fail;
  };
  return bench({}, { chroot });
}

describe("provision", () => {
  it("runs the script with its inputs alone, read-only, without a network, and leaves none of them", async () => {
    let seen: unknown;
    const chroot = async (argv: readonly string[], options: TreeRunOptions = {}) => {
      const [{ from, to, readOnly }] = options.binds as [{ from: string; to: string; readOnly?: boolean }];
      seen = {
        ...{ argv, to, readOnly, from, network: options.network, bare: options.bare, shown: options.shown },
        ...{ env: options.env, timeoutMs: options.timeoutMs, signal: options.signal },
        script: [readFileSync(join(from, "script"), "utf8"), lstatSync(join(from, "script")).mode & 0o777],
        files: ["a", "deep/b"].map((name) => readFileSync(join(from, "files", name), "utf8")),
        count: [options.binds!.length, readdirSync(from).length],
      };
      return { code: 0, stdout: "", stderr: "" };
    };
    const { run, context } = bench({}, { chroot });
    const files = { a: "one", "deep/b": { base64: Buffer.from("two").toString("base64") } };
    await run({ files, values: { WORD: "w" }, timeoutSeconds: 5 });
    expect(seen).toMatchObject({
      ...{
        argv: ["/bin/sh", "-eu", `${inside}/script`],
        to: inside,
        readOnly: true,
        network: false,
        bare: true,
      },
      ...{ shown: ["setup"], timeoutMs: 5_000, signal: context.signal },
      env: {
        ...{ TZ: "UTC", HOME: "/root", SOURCE_DATE_EPOCH: "7", WORD: "w", PATH: expect.any(String) },
        IMGBUILD_INPUTS: `${inside}/files`,
      },
      ...{ script: ["#!/bin/sh -eu\ntrue\n", 0o755], files: ["one", "two"], count: [1, 2] },
    });
    expect(existsSync((seen as { from: string }).from)).toBe(false);
  });

  it.each([
    ["#!/bin/sh\n", ["/bin/sh"]],
    ["#! /usr/bin/python3\n", ["/usr/bin/python3"]],
    ["#!/usr/bin/env  perl -w  \n", ["/usr/bin/env", "perl -w"]],
    ["#!/bin/sh \n", ["/bin/sh"]],
  ])("reads %j as the kernel does", async (script, argv) => {
    const { run, asked } = bench();
    await run({ script });
    expect(asked).toEqual([`tree: ${[...argv, `${inside}/script`].join(" ")}`]);
  });

  it("gives a script with the network the machine's name servers, where the tree looks for them", async () => {
    const plain = bench();
    await plain.run({ network: true });
    expect(plain.given().network).toBe(true);
    const linked = bench();
    symlinkSync("../run/resolver", join(linked.root, "etc/resolv.conf"));
    await linked.run({ network: true });
    // A machine without name servers has none to give.
    const there = existsSync("/etc/resolv.conf");
    expect(
      plain
        .given()
        .binds!.slice(1)
        .map(({ to, readOnly }) => [to, readOnly]),
    ).toEqual(there ? [["/etc/resolv.conf", true]] : []);
    expect(
      linked
        .given()
        .binds!.slice(1)
        .map(({ to }) => to),
    ).toEqual(there ? ["/run/resolver"] : []);
  });

  it("shows the end of what a script printed, and not its secrets", async () => {
    const secret = new Secret("token", Buffer.from("a long secret word"));
    const lines = Array.from({ length: 50 }, (_none, index) => `line ${index}`);
    const { run } = failing([...lines, `it is ${Buffer.from(secret.expose()).toString()}`]);
    const failed = (await run().catch((error: unknown) => error)) as Fail;
    expect(failed).toBeInstanceOf(Fail);
    expect(failed.message.split("\n")).toEqual([
      "the script setup exited 1",
      ...lines.slice(11),
      "it is <secret token>",
    ]);
    expect(failed.hint).toBe("its own");
  });

  it.each([
    [
      "curl: (6) Could not resolve host: example.org",
      false,
      "a script has no network unless it says `network: true`",
    ],
    ["connect: Network is unreachable", false, "a script has no network unless it says `network: true`"],
    ["connect: Network is unreachable", true, "its own"],
    ["something else", false, "its own"],
  ])("after %j, network %s, hints at %s", async (line, network, hint) => {
    await expect(failing(["before", line, "after"]).run({ network })).rejects.toMatchObject({ hint });
  });

  it("has no hint where there is none, and passes a bug on untouched", async () => {
    await expect(failing([], new Fail("x")).run()).rejects.toMatchObject({
      message: "the script x",
      hint: undefined,
    });
    const bug = new TypeError("oops");
    await expect(failing([], bug).run()).rejects.toBe(bug);
  });
});

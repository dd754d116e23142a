import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { clevisBind, enrollClevis, trusting } from "../../../../src/steps/disk/enroll-clevis.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { fakeMachine } from "../../../helpers/fakes/fake-machine.ts";
import { type Answers, stepBench } from "../../../helpers/fakes/step-bench.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

describe("enroll-clevis", () => {
  it("binds with the passphrase from stdin, and has clevis hold the server against the thumbprint", () => {
    const config = '{"url":"http://192.0.2.1","thp":"t"}';
    const { argv, env } = clevisBind("/dev/vda2", { pin: "tang", config });
    // `-y` would trust any server.
    expect(argv.join(" ")).toBe(`clevis luks bind -f -k - -d /dev/vda2 tang ${config}`);
    expect(env).toMatchObject({ TMPDIR: "/run" });
  });

  it("tells clevis what the server said of its keys, beside URL and thumbprint", () => {
    expect(JSON.parse(trusting('{"url":"http://192.0.2.1","thp":"t"}', '{"payload":"p"}'))).toEqual({
      url: "http://192.0.2.1",
      thp: "t",
      adv: { payload: "p" },
    });
  });

  const enroll = (
    pin: "tpm2" | "tang",
    more: { advertisement?: string; secret?: string; answers?: Answers; root?: string } = {},
  ) => {
    const made = fakeMachine();
    const disk = made.disk("vda", 2 ** 20);
    const root = tempDir();
    for (const name of ["dev", "proc", "sys", "run"]) mkdirSync(join(root, name));
    const { answers = {}, secret = "typed", ...rest } = more;
    const bench = stepBench({ machine: made.machine, root, answers, secrets: { typed: "open\n" } });
    const input = { device: { disk }, secret, pin, config: '{"a":1}', ...rest };
    return { ...made, ...bench, root, run: async () => await enrollClevis.run(input, bench.context) };
  };

  it("works in the new system with what clevis needs of the base, and takes that away again", async () => {
    const { run, asked, options, root, machine } = enroll("tpm2");
    await run();
    const mounts = ["dev", "proc", "sys", "run"].map(
      (name) => `mount --rbind --make-rslave /${name} ${root}/${name}`,
    );
    expect(asked.slice(0, 4)).toEqual(mounts);
    expect(asked[4]).toContain(`clevis luks bind -f -k - -d ${join(machine.dev, "vda")} tpm2 {"a":1}`);
    expect(asked.slice(5)).toEqual(
      ["run", "sys", "proc", "dev"].map((name) => `umount --recursive ${root}/${name}`),
    );
    expect(Buffer.from(options[4]!.stdin!).toString()).toBe("open");
    expect(options[4]!.env).toMatchObject({ TMPDIR: "/run" });
    expect(options[4]!.hint).toMatch(/TPM 2\.0/);
    expect(options.map(({ timeoutMs }) => timeoutMs)).toEqual(Array(9).fill(600_000));
  });

  it("gives clevis what the tang server said before the disks were written", async () => {
    const file = join(tempDir(), "adv");
    writeFileSync(file, '{"payload":"p"}');
    const { run, asked, options } = enroll("tang", { advertisement: file });
    await run();
    expect(asked[4]).toContain('tang {"a":1,"adv":{"payload":"p"}}');
    expect(options[4]!.hint).toMatch(/tang server/);
  });

  it("unmounts what it has mounted, whatever fails", async () => {
    const failing = enroll("tpm2", { answers: { "mount --rbind --make-rslave /sys": new Fail("no") } });
    await expect(failing.run()).rejects.toThrow("no");
    expect(failing.asked.slice(3)).toEqual(
      ["proc", "dev"].map((name) => `umount --recursive ${failing.root}/${name}`),
    );
  });

  it("does nothing without the secret that opens the volume", async () => {
    const { run, asked } = enroll("tpm2", { secret: "gone" });
    await expect(run()).rejects.toThrow("the secret gone is not at hand");
    expect(asked).toEqual([]);
  });
});

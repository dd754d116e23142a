import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readPayload } from "../../../../src/archive/payload.ts";
import { gunzipTar } from "../../../../src/archive/tar.ts";
import { vmPlan } from "../../../../src/operator/build/vm-plan.ts";
import { composeInitrd, runnerPort, workFiles } from "../../../../src/operator/vm-runner/vm-initrd.ts";
import { DeployData, Order } from "../../../../src/schema/base/deploy.ts";
import { Plan } from "../../../../src/schema/plan.ts";
import { checkDeployData } from "../../../../src/target/open-payload.ts";
import { digestOf } from "../../../../src/util/digest.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { lockOf, serverSpec } from "../../../helpers/builders/deployable.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const nonce = "a".repeat(64);
const secrets = new Map([["disk-key", new Secret("disk-key", Buffer.from("open sesame"))]]);

function job() {
  const spec = serverSpec();
  const inputs = {
    ...{ spec, lock: lockOf(spec), definition: "def", filesDir: undefined, mirrors: {}, secrets: undefined },
    files: { files: new Map(), links: [] },
  };
  const made = vmPlan(inputs);
  const archive = made.archive(4096);
  const disks = [...made.disks, archive].map((identity) => ({ identity, file: `/w/${identity.name}.raw` }));
  return { plan: made.plan(archive), lock: inputs.lock, disks, secrets };
}

describe("what the base of a virtual machine finds", () => {
  it("is what the runner accepts: a signed plan, its disks, and the port to be reached by", async () => {
    const { plan, ...rest } = job();
    const planDigest = digestOf(plan);
    const { files, word } = await workFiles({ plan, ...rest }, { nonce, planDigest });
    const bytesOf = (name: string) => {
      const found = files.find((one) => one.name === `imgbuild/${name}`);
      if (found === undefined || !("content" in found)) throw new Error(`no ${name}`);
      return found.content;
    };
    const deploy = DeployData.parse(JSON.parse(Buffer.from(bytesOf("deploy.json")).toString()));
    expect(deploy).toMatchObject({ nonce, port: runnerPort, network: { links: [], dns: [] } });
    checkDeployData(bytesOf("deploy.json"), `console=ttyS0 ${word}`);
    const { publicKey } = deploy;
    const payload = await readPayload(bytesOf("payload.tar.gz"), {
      publicKey,
      nonce,
      // The machine's clock says what the image is to say.
      machine: { macs: [] },
      now: new Date(0),
    });
    const read = (name: string) => JSON.parse(Buffer.from(payload.files.get(name)!).toString());
    const order = Order.parse(read("order.json"));
    expect(order.planDigest).toBe(digestOf(read("plan.json")));
    expect(Plan.parse(read("plan.json"))).toEqual(plan);
    expect(order.disks.map(({ serial }) => serial)).toEqual(["imgbuild-0", "imgbuild-tree"]);
    expect(order.secrets).toEqual(["disk-key"]);
  });

  it("names its secrets, and holds none", async () => {
    const { plan, ...rest } = job();
    const { files } = await workFiles({ plan, ...rest }, { nonce, planDigest: digestOf(plan) });
    for (const file of files) {
      if (!("content" in file)) throw new Error("a file without content");
      const bytes = file.name.endsWith(".gz")
        ? gunzipTar(file.content, { bytes: 2 ** 20, members: 100 })
        : file.content;
      for (const encoding of ["utf8", "base64", "hex"] as const)
        expect(Buffer.from(bytes).includes(Buffer.from("open sesame").toString(encoding))).toBe(false);
    }
  });

  it("follows the base in one file, which only its owner reads", async () => {
    const directory = tempDir();
    const parts = ["outer", "squashfs"].map((name, index) => {
      const path = join(directory, name);
      writeFileSync(path, Buffer.alloc(512, index + 1));
      return { path, size: 512, sha256: "" };
    });
    const { plan, ...rest } = job();
    const start = { nonce, planDigest: digestOf(plan) };
    const base = { outer: parts[0]!, squashfs: parts[1]! };
    const more = [{ type: "file", name: "imgbuild/ssh/port", content: Buffer.from("2222") }] as const;
    const { file } = await composeInitrd({ plan, ...rest, directory, more }, start, base);
    const initrd = readFileSync(file);
    for (const name of ["imgbuild/ssh/port\0", "imgbuild/deploy.json\0"])
      expect(initrd.includes(name)).toBe(true);
    expect([...new Set(initrd.subarray(0, 512))]).toEqual([1]);
    expect([...new Set(initrd.subarray(512, 1024))]).toEqual([2]);
    expect(initrd.toString("latin1", 1024, 1030)).toBe("070701");
    expect(initrd.length % 512).toBe(0);
  });
});

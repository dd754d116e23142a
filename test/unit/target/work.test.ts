import { describe, expect, it } from "vitest";
import type { Order } from "../../../src/schema/base/deploy.ts";
import type { Plan } from "../../../src/schema/plan.ts";
import { sealFor } from "../../../src/secrets/seal.ts";
import { workThroughPlan } from "../../../src/target/work.ts";
import { silentLog } from "../../../src/util/log.ts";
import { generateIdentity } from "../../helpers/builders/identity.ts";
import { deadUrl, portal, web, webOf } from "../../helpers/labs/web.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const nginx = {
  name: "nginx",
  version: "1.26.3-3",
  architecture: "amd64",
  archive: "debian",
  path: "pool/main/n/nginx/nginx_1.26.3-3_amd64.deb",
  size: 1000,
  sha256: "a".repeat(64),
};

/** A plan that would install one package and nothing else, worked through with no disk in it. */
async function work(
  change: Partial<Order> = {},
  sealedFor?: string,
  steps?: Plan["steps"],
  more: ReadonlyMap<string, Uint8Array> = new Map(),
  bundles: readonly Readonly<Record<string, string>>[] = [{}],
) {
  const { identity, recipient } = await generateIdentity();
  const plan: Plan = {
    version: 1,
    hostname: "web",
    definition: "d",
    prepare: [],
    steps: steps ?? [{ kind: "install-packages", doing: "installing", packages: [nginx] }],
  };
  const order: Order = {
    version: 1,
    definition: "d",
    planDigest: "p",
    disks: [],
    mirrors: { debian: [] },
    secrets: [],
    ...change,
  };
  const seal = async (bundle: object) =>
    Buffer.from(await sealFor(sealedFor ?? recipient, Buffer.from(JSON.stringify(bundle)))).toString(
      "base64",
    );
  let ponr = false;
  const error = await workThroughPlan({
    order,
    files: new Map([["plan.json", Buffer.from(JSON.stringify(plan))], ...more]),
    directory: tempDir(),
    identity,
    sealed: await Promise.all(bundles.map(seal)),
    ponr: () => {
      ponr = true;
    },
    log: silentLog,
    signal: new AbortController().signal,
    fetched: { packages: 0, bytes: 0 },
    nonce: "0".repeat(64),
  }).then(
    () => undefined,
    (thrown: Error) => thrown,
  );
  return { ponr, message: error?.message };
}

describe("workThroughPlan ends before the first write (F16) when", () => {
  it("the mirror is dead", async () => {
    const { ponr, message } = await work({ mirrors: { debian: [await deadUrl()] } });
    expect(message).toMatch(/^no mirror can be reached: http:\/\/127\.0\.0\.1:\d+.*ECONNREFUSED/);
    expect(ponr).toBe(false);
  });

  it("the archive has replaced a package since the lock was made", async () => {
    const { url } = await webOf(new Map());
    const { ponr, message } = await work({ mirrors: { debian: [url] } });
    expect(message).toMatch(/^no mirror has pool\/main\/n\/nginx\/nginx_1\.26\.3-3_amd64\.deb .*404/);
    expect(ponr).toBe(false);
  });

  it("a login page stands before the mirror", async () => {
    const { ponr, message } = await work({ mirrors: { debian: [(await portal()).url] } });
    expect(message).toMatch(/what the server gives is no package/);
    expect(ponr).toBe(false);
  });

  it("a confirmed disk is not there", async () => {
    const disks = [{ name: "system", serial: "NOT-THERE", sizeBytes: 4096 }];
    const { ponr, message } = await work({ disks });
    expect(message).toMatch(/^disk system \(serial NOT-THERE, 4096 bytes\) is not there$/);
    expect(ponr).toBe(false);
  });

  it("a secret did not come, or what came is sealed for another base", async () => {
    const lacking = await work({ secrets: ["token"] });
    expect(lacking.message).toMatch(/the secret token did not come/);
    const other = await work({}, (await generateIdentity()).recipient);
    expect(other.message).toBeDefined();
    expect([lacking.ponr, other.ponr]).toEqual([false, false]);
  });

  it("a package of the definition's own did not travel along; when it did, that is none", async () => {
    const bytes = Buffer.from("!<arch>\n and the rest");
    const own = {
      ...nginx,
      name: "own",
      archive: "local",
      path: "debs/own_1.0_amd64.deb",
      size: bytes.length,
    };
    const steps = [
      { kind: "install-packages", doing: "installing", packages: [own] },
      { kind: "format-everything", doing: "formatting" },
    ];
    const { url } = await webOf(new Map());
    const mirrors = { debian: [url] };
    expect((await work({ mirrors }, undefined, steps)).message).toMatch(
      /debs\/own_1\.0_amd64\.deb \(no mirror/,
    );
    const along = new Map([[`debs/${own.path}`, bytes]]);
    const { ponr, message } = await work({ mirrors }, undefined, steps, along);
    expect(message).toMatch(/unknown kind format-everything/);
    expect(ponr).toBe(false);
  });

  it("a registry wants a login that no secret has; when one has it, that is none (F48)", async () => {
    const bytes = Buffer.from("!<arch>\n and the rest");
    const old = { ...nginx, size: bytes.length };
    const steps = [
      { kind: "install-packages", doing: "installing", packages: [old] },
      { kind: "format-everything", doing: "formatting" },
    ];
    const right = `Basic ${Buffer.from("operator:a password").toString("base64")}`;
    const registry = await web((request, response) => {
      const isIn = request.headers.authorization === right;
      response.writeHead(isIn ? 200 : 401, isIn ? {} : { "www-authenticate": "Basic" });
      response.end(isIn ? bytes : "");
    });
    const url = `oci://${new URL(registry.url).host}/kept`;
    const { url: mirror } = await webOf(new Map());
    const stores = { stores: [url], snapshots: {} };
    const order = { mirrors: { debian: [mirror] }, secrets: ["registry"] };
    const asked = async (keepers: Order["keepers"], text: string) =>
      await work({ ...order, keepers }, undefined, steps, new Map(), [
        { registry: Buffer.from(text).toString("base64") },
      ]);
    const named = { ...stores, loginSecrets: { [url]: "registry" } };
    expect((await asked(stores, "operator:a password")).message).toMatch(/401 \(it wants another login\)/);
    expect((await asked(named, "operator:wrong")).message).toMatch(/401 \(it wants another login\)/);
    const none = await asked(named, "a password");
    expect(none.message).toMatch(/the secret registry is no login such as "user:password"/);
    expect(none.ponr).toBe(false);
    expect((await asked(named, "operator:a password\n")).message).toMatch(/unknown kind format-everything/);
    expect(registry.asked.at(-1)).toBe(`/v2/kept/blobs/sha256:${nginx.sha256}`);
  });

  it("a package is in no store either; one that has it, or sent it along, is enough (F48)", async () => {
    const bytes = Buffer.from("!<arch>\n and the rest");
    const old = { ...nginx, size: bytes.length };
    const steps = [
      { kind: "install-packages", doing: "installing", packages: [old] },
      { kind: "format-everything", doing: "formatting" },
    ];
    const name = `packages/${old.sha256}.deb`;
    const moved = await webOf(new Map());
    const store = await webOf(new Map([[name, bytes]]));
    const mirrors = { debian: [moved.url] };
    const ask = async (stores: string[], along: ReadonlyMap<string, Uint8Array> = new Map()) =>
      (await work({ mirrors, keepers: { stores, snapshots: {} } }, undefined, steps, along)).message;
    expect(await ask([moved.url])).toMatch(/^no mirror has pool\/.*404.* as locked/);
    expect(await ask([store.url])).toMatch(/unknown kind format-everything/);
    expect(await ask([], new Map([[`debs/${name}`, bytes]]))).toMatch(/unknown kind format-everything/);
  });

  it("a secret came with an earlier GO only, of which host keys alone are still of use", async () => {
    const text = Buffer.from("x").toString("base64");
    const earlier = { token: text, "hostkey:ssh_host_ed25519_key": text };
    const bundles = [earlier, {}];
    const token = await work({ secrets: ["token"] }, undefined, undefined, undefined, bundles);
    expect(token.message).toMatch(/the secret token did not come/);
    const secrets = ["hostkey:ssh_host_ed25519_key"];
    const kept = await work({ secrets }, undefined, undefined, undefined, bundles);
    expect(kept.message).toMatch(/no mirror is known/);
    // Where other host keys came, the earlier ones are nobody's.
    const other = [earlier, { "hostkey:ssh_host_rsa_key": text }];
    expect((await work({ secrets }, undefined, undefined, undefined, other)).message).toMatch(
      /the secret hostkey:ssh_host_ed25519_key did not come/,
    );
  });

  it("the plan has a step that this runner does not know", async () => {
    const { ponr, message } = await work({}, undefined, [{ kind: "format-everything", doing: "formatting" }]);
    expect(message).toMatch(/unknown kind format-everything/);
    expect(ponr).toBe(false);
  });
});

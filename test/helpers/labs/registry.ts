import { execFileSync, spawn } from "node:child_process";
import { createHash, createPrivateKey, sign } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { tempDir } from "../temp-dir.ts";
import { freePort } from "./sshd.ts";
import { type Web, web } from "./web.ts";

const startMs = 30_000;
/** Whoever may write to a registry that asks. */
export const login = { user: "operator", password: "a-password-of-a-test" };
const htpasswd = "operator:$2y$05$/PSYQR9B.wdnqFqD7KVPHe6lG1haSVaMRscewus1UkTFYb8F2Jay6\n";

export interface RegistryLab {
  /** "127.0.0.1:PORT" */
  readonly host: string;
  /** Where the registry keeps a blob. */
  blob(sha256: string): string;
  /** Frees what no manifest with a tag names. */
  collect(): void;
  /** What it has logged. */
  log(): string;
}

/** Debian's registry on loopback: open to all, or asking for the login, or for a token of a server that gives it. */
export async function registryLab(
  asks: "nothing" | "basic" | "token" = "nothing",
): Promise<RegistryLab & { readonly tokens?: Web }> {
  const dir = tempDir();
  const port = await freePort();
  const rules: string[] = [];
  let tokens: Web | undefined;
  if (asks === "basic") {
    writeFileSync(join(dir, "htpasswd"), htpasswd);
    rules.push("auth:", "  htpasswd:", "    realm: store", `    path: ${join(dir, "htpasswd")}`);
  }
  if (asks === "token") {
    tokens = await tokenServer(dir);
    const about = { realm: `${tokens.url}/token`, service: "registry", issuer: "test" };
    const lines = Object.entries({ ...about, rootcertbundle: join(dir, "cert.pem") });
    rules.push("auth:", "  token:", ...lines.map(([name, value]) => `    ${name}: ${value}`));
  }
  const config = join(dir, "config.yml");
  const storage = join(dir, "storage");
  writeFileSync(
    config,
    [
      "version: 0.1",
      ...["storage:", "  filesystem:", `    rootdirectory: ${storage}`],
      ...["http:", `  addr: 127.0.0.1:${port}`, "  secret: of a test"],
      ...[...rules, ""],
    ].join("\n"),
  );
  const child = spawn("docker-registry", ["serve", config], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  const ended = once(child, "close");
  onTestFinished(async () => {
    child.kill();
    await ended;
  });
  const end = Date.now() + startMs;
  while (!(await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined))) {
    if (child.exitCode !== null || Date.now() > end) throw new Error(`the registry does not start: ${said}`);
    await sleep(100);
  }
  return {
    host: `127.0.0.1:${port}`,
    blob: (sum) => join(storage, "docker/registry/v2/blobs/sha256", sum.slice(0, 2), sum, "data"),
    collect: () =>
      void execFileSync("docker-registry", ["garbage-collect", "--delete-untagged", config], {
        stdio: "ignore",
        timeout: 60_000,
      }),
    log: () => said,
    ...(tokens === undefined ? {} : { tokens }),
  };
}

/** Writes a login into a home, as `docker login` does. */
export function logInAt(home: string, host: string, password: string = login.password): string {
  const file = join(home, ".docker/config.json");
  mkdirSync(dirname(file), { recursive: true });
  const auth = Buffer.from(`${login.user}:${password}`).toString("base64");
  writeFileSync(file, JSON.stringify({ auths: { [host]: { auth } } }), { mode: 0o600 });
  return file;
}

/** Gives everybody tokens that read, and the login those that write. */
async function tokenServer(dir: string): Promise<Web> {
  const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
  execFileSync(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ...["-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=test"],
    ],
    { stdio: "ignore" },
  );
  const der = readFileSync(cert, "utf8").replace(/-----[^-]+-----|\s/g, "");
  const privateKey = createPrivateKey(readFileSync(key));
  const right = `Basic ${Buffer.from(`${login.user}:${login.password}`).toString("base64")}`;
  const part = (data: object) => Buffer.from(JSON.stringify(data)).toString("base64url");
  return await web((request, response) => {
    const { authorization } = request.headers;
    if (authorization !== undefined && authorization !== right) return void response.writeHead(401).end("{}");
    const asked = new URL(request.url ?? "", "http://localhost").searchParams;
    const [type, name, actions = ""] = (asked.get("scope") ?? "").split(":");
    const given = actions.split(",").filter((one) => one === "pull" || authorization === right);
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      ...{ iss: "test", sub: "", aud: asked.get("service"), exp: now + 300, nbf: now - 60, iat: now },
      jti: createHash("sha256").update(String(Math.random())).digest("hex"),
      access: [{ type, name, actions: given }],
    };
    const text = `${part({ typ: "JWT", alg: "ES256", x5c: [der] })}.${part(claims)}`;
    const signature = sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" });
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ token: `${text}.${signature.toString("base64url")}`, expires_in: 300 }));
  });
}

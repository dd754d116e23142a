import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { Health } from "../../src/schema/health.ts";
import { checkHealth } from "../../src/system/health/health.ts";
import type { HealthShell } from "../../src/system/health/shell.ts";
import { run } from "../../src/system/run/run.ts";
import { silentLog } from "../../src/util/log.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const once = { log: silentLog, signal: new AbortController().signal, slow: 0 };

/** A server for www.example.org whose certificate is valid for ten days, and what is wrong with it, on a system that trusts it or not. */
async function server(version: "TLSv1.2" | "TLSv1.3") {
  const dir = tempDir();
  const [key, certificate] = [join(dir, "key"), join(dir, "certificate")];
  await run([
    ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-keyout", key, "-out", certificate, "-days", "10", "-subj", "/CN=www.example.org"],
    ...["-addext", "subjectAltName=DNS:www.example.org,IP:127.0.0.1"],
  ]);
  const names: (string | false | null)[] = [];
  const https = createServer(
    { key: readFileSync(key), cert: readFileSync(certificate), minVersion: version, maxVersion: version },
    (request, response) => {
      const { servername } = request.socket as { servername?: string | false };
      names.push(servername ?? null);
      response.end(`${request.headers.host}${request.url}`);
    },
  );
  https.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => https.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void https.close());
  const { port } = https.address() as { port: number };
  const problem = async (more: object, trusts = true, host = "www.example.org") => {
    const shell: HealthShell = {
      run: (argv, options) =>
        run(trusts ? ["env", `SSL_CERT_FILE=${certificate}`, ...argv] : argv, {
          accept: Array.from({ length: 256 }, (_none, code) => code),
          ...options,
        }),
    };
    const check = Health.parse({ type: "http", url: `https://${host}:${port}/x`, ...more });
    const [result] = await checkHealth([check], shell, once);
    return result?.ok === true ? undefined : result?.detail;
  };
  const { fingerprint256 } = new X509Certificate(readFileSync(certificate));
  return { problem, fingerprint256, port, names, close: () => https.close() };
}

describe.each(["TLSv1.2", "TLSv1.3"] as const)("a health check over %s", (version) => {
  it("passes when it answers, whoever signed its certificate, and names the URL's host", async () => {
    const { problem, port, names } = await server(version);
    expect(await problem({ contains: `www.example.org:${port}/x` }, false)).toBe(undefined);
    expect(await problem({ contains: `127.0.0.1:${port}/x` }, false, "127.0.0.1")).toBe(undefined);
    expect(names).toEqual(["www.example.org", false]);
  });

  it("passes for a certificate that is trusted, known by its fingerprint, and valid long enough", async () => {
    const { problem, fingerprint256: sha256 } = await server(version);
    expect(await problem({ certificate: { trusted: true, sha256, days: 9 } })).toBe(undefined);
    expect(await problem({ certificate: { trusted: true } }, true, "127.0.0.1")).toBe(undefined);
  });

  it("fails for one that is signed by nobody known, is for another name, is another one, or ends soon", async () => {
    const { problem, fingerprint256 } = await server(version);
    expect(await problem({ certificate: { trusted: true } }, false)).toMatch(
      /^its certificate is not trusted: 18 \(self.signed certificate\)$/,
    );
    expect(await problem({ certificate: { trusted: true } }, true, "other.example.org")).toMatch(
      /^its certificate is not trusted: 62 \(hostname mismatch\)$/i,
    );
    expect(await problem({ certificate: { sha256: Array(32).fill("AB").join(":") } })).toBe(
      `its certificate is ${fingerprint256}`,
    );
    expect(await problem({ certificate: { days: 11 } })).toMatch(
      /is valid until .*, which is less than 11 days$/,
    );
  });

  it("fails where nothing answers", async () => {
    const { problem, close } = await server(version);
    close();
    expect(await problem({})).toMatch(/refused|connect/i);
    expect(await problem({ certificate: { days: 1 } })).toMatch(/refused|connect/i);
  });
});

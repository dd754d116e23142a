import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { HealthCheck } from "../../schema/health.ts";
import { bashOn, type HealthShell } from "./shell.ts";

type HttpCheck = Extract<HealthCheck, { type: "http" }>;

/** Of an answer; what comes later is not looked at. */
const maxBytes = 1024 * 1024;
/** For a connection, and for an answer: of a server that does not close what it was asked to, that is how long it takes. */
const answerSeconds = 20;
const dayMs = 24 * 60 * 60 * 1000;

/** Asks from the new system itself. It has bash; for https it needs the package openssl, which definitions are checked for. */
export async function httpProblem(check: HttpCheck, shell: HealthShell): Promise<string | undefined> {
  const url = new URL(check.url);
  const isTls = url.protocol === "https:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const at = isTls && check.address.includes(":") ? `[${check.address}]` : check.address;
  const port = url.port === "" ? (isTls ? "443" : "80") : url.port;
  const name = isIP(host) === 0 ? ["-servername", host] : ["-noservername"];
  const certificate = isTls ? await certificateProblem(check, [at, port, ...name], host, shell) : undefined;
  if (certificate !== undefined) return certificate;
  const args = [at, port, url.host, `${url.pathname}${url.search}`, ...(isTls ? name : [])];
  const { stdout, stderr } = await bashOn(shell, isTls ? overTls : overTcp, args, answerSeconds + 5);
  const answer = answerOf(Buffer.from(stdout, "base64"));
  if (answer === undefined) return stderr.trim().slice(-500) || "it does not answer as a web server does";
  const { status, body } = answer;
  if (!check.status.includes(status)) return `it answers ${status}, not ${check.status.join(" or ")}`;
  if (check.contains === undefined || body.includes(check.contains)) return undefined;
  return `its answer does not contain ${JSON.stringify(check.contains)}: ${body.trim().slice(0, 200)}`;
}

const request = String.raw`printf 'GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: imgbuild\r\nAccept: */*\r\nConnection: close\r\n\r\n' "$4" "$3"`;
// Only what reads is ended: what was read until then is answered.
const answer = `head --bytes=${maxBytes} | base64 --wrap=0`;
const overTcp = `exec 3<>"/dev/tcp/$1/$2" && ${request} >&3 && timeout ${answerSeconds} cat <&3 | ${answer}`;
const overTls = `${request} | timeout ${answerSeconds} openssl s_client -quiet -connect "$1:$2" "\${@:5}" | ${answer}`;
const handshake = `timeout ${answerSeconds} openssl s_client -connect "$1:$2" "\${@:3}" </dev/null`;

async function certificateProblem(
  { certificate }: HttpCheck,
  args: readonly string[],
  host: string,
  shell: HealthShell,
): Promise<string | undefined> {
  if (certificate === undefined) return undefined;
  const verify = [isIP(host) === 0 ? "-verify_hostname" : "-verify_ip", host];
  const { stdout, stderr } = await bashOn(shell, handshake, [...args, ...verify], answerSeconds + 5);
  const pem = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/.exec(stdout)?.[0];
  if (pem === undefined) return stderr.trim().slice(-500) || "it shows no certificate";
  const { fingerprint256, validTo } = new X509Certificate(pem);
  const { trusted, sha256, days } = certificate;
  const verdict = /Verify return code: (\d+ \(.*\))/.exec(stdout)?.[1] ?? "no verdict";
  if (trusted === true && !verdict.startsWith("0 ")) return `its certificate is not trusted: ${verdict}`;
  if (sha256 !== undefined && sha256 !== fingerprint256) return `its certificate is ${fingerprint256}`;
  const isShort = days !== undefined && Date.parse(validTo) - Date.now() < days * dayMs;
  return isShort ? `its certificate is valid until ${validTo}, which is less than ${days} days` : undefined;
}

function answerOf(bytes: Buffer): { status: number; body: string } | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  const head = bytes.subarray(0, Math.max(0, end)).toString("latin1");
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1];
  if (status === undefined) return undefined;
  const rest = bytes.subarray(end + 4);
  const body = /^transfer-encoding:.*chunked/im.test(head) ? unchunked(rest) : rest;
  return { status: Number(status), body: body.toString("utf8") };
}

/** RFC 9112, 7.1; as far as it goes. */
function unchunked(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = bytes.indexOf("\r\n", at);
    const size = line < 0 ? 0 : Number.parseInt(bytes.toString("latin1", at, line), 16);
    if (!(size > 0)) return Buffer.concat(parts);
    parts.push(bytes.subarray(line + 2, line + 2 + size));
    at = line + 2 + size + 2;
  }
}

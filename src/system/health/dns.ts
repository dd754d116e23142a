import { randomInt } from "node:crypto";
import type { HealthCheck } from "../../schema/health.ts";
import { parseAddress, showAddress } from "../../util/addresses.ts";
import { bashOn, type HealthShell } from "./shell.ts";

type DnsCheck = Extract<HealthCheck, { type: "dns" }>;

const answerSeconds = 5;
/** RFC 1035, 3.2.2, and RFC 3596. */
const types = { A: 1, NS: 2, CNAME: 5, MX: 15, TXT: 16, AAAA: 28 } as const;
const inClass = 1;
const codes: Readonly<Record<number, string>> = {
  2: "it has failed (SERVFAIL)",
  3: "there is no such name (NXDOMAIN)",
  5: "it refuses to answer (REFUSED)",
};

/** Asks a name server from the new system itself, which has bash for it. */
export async function dnsProblem(check: DnsCheck, shell: HealthShell): Promise<string | undefined> {
  const query = queryFor(check);
  const args = [query.toString("base64"), ...(check.server === undefined ? [] : [check.server])];
  const { stdout, stderr } = await bashOn(shell, script, args, 2 * answerSeconds);
  const answer = Buffer.from(stdout, "base64");
  if (answer.length < 12) return stderr.trim().slice(-500) || "the name server does not answer";
  if (answer.readUInt16BE(0) !== query.readUInt16BE(0)) return "what answers is not to this question";
  const code = answer.readUInt8(3) & 0x0f;
  if (code !== 0) return codes[code] ?? `it answers with the error ${code}`;
  const found = readable(() => answersIn(answer, check.record));
  if (found === undefined) return "its answer is cut off, or makes no sense";
  if (found.length === 0) return `the name has no ${check.record}`;
  const wanted = check.answer === undefined ? undefined : plain(check.answer, check.record);
  if (wanted === undefined || found.includes(wanted)) return undefined;
  return `it answers ${found.join(", ")}, not ${check.answer}`;
}

// Each write and each read is a datagram; bash itself would write a question line by line.
const script = `server=\${2:-$(sed -n 's/^nameserver[[:space:]]*//p' /etc/resolv.conf | head -n 1)}
[ -n "$server" ] || { echo "/etc/resolv.conf names no server" >&2; exit 1; }
exec 3<>"/dev/udp/$server/53" && printf %s "$1" | base64 --decode >&3 &&
timeout ${answerSeconds} dd bs=65535 count=1 status=none <&3 | base64 --wrap=0`;

/** RFC 1035, 4.1: one question, with recursion. */
function queryFor({ name, record }: DnsCheck): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(randomInt(65536), 0);
  head.writeUInt16BE(0x0100, 2);
  head.writeUInt16BE(1, 4);
  const labels = name.split(".").map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`));
  return Buffer.concat([head, ...labels, Buffer.from([0, 0, types[record], 0, inClass])]);
}

/** Undefined where it points outside of what came. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The answers of that type, each as a text; aliases on the way are passed over. */
function answersIn(bytes: Buffer, record: DnsCheck["record"]): string[] {
  let at = 12;
  for (let left = bytes.readUInt16BE(4); left > 0; left -= 1) at = nameAt(bytes, at).end + 4;
  const found: string[] = [];
  for (let left = bytes.readUInt16BE(6); left > 0; left -= 1) {
    const { end } = nameAt(bytes, at);
    const data = end + 10;
    at = data + bytes.readUInt16BE(end + 8);
    if (at > bytes.length) return found;
    if (bytes.readUInt16BE(end) === types[record]) found.push(plain(dataAt(bytes, data, at, record), record));
  }
  return found;
}

function dataAt(bytes: Buffer, from: number, to: number, record: DnsCheck["record"]): string {
  switch (record) {
    case "A":
      return bytes.subarray(from, to).join(".");
    case "AAAA":
      return showAddress({ bits: 128, value: BigInt(`0x${bytes.toString("hex", from, to)}`) });
    case "MX":
      return `${bytes.readUInt16BE(from)} ${nameAt(bytes, from + 2).name}`;
    case "TXT": {
      const parts: Buffer[] = [];
      for (let at = from; at < to; at += 1 + bytes[at]!)
        parts.push(bytes.subarray(at + 1, at + 1 + bytes[at]!));
      return Buffer.concat(parts).toString("utf8");
    }
    default:
      return nameAt(bytes, from).name;
  }
}

/** A name may end in a pointer to an earlier one (RFC 1035, 4.1.4). */
function nameAt(bytes: Buffer, from: number): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = from;
  for (;;) {
    const length = bytes.readUInt8(at);
    if (length === 0) return { name: labels.join("."), end: at + 1 };
    if (length >= 0xc0) {
      const to = bytes.readUInt16BE(at) & 0x3fff;
      if (to >= from) throw new RangeError("a name that has no end");
      return { name: [...labels, nameAt(bytes, to).name].join("."), end: at + 2 };
    }
    labels.push(bytes.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
}

/** The one form of an answer that is compared. */
function plain(answer: string, record: DnsCheck["record"]): string {
  if (record === "TXT") return answer;
  if (record === "AAAA") return showAddress(parseAddress(answer));
  return answer.toLowerCase().replace(/\.$/, "");
}

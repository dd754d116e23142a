import { createSocket } from "node:dgram";
import { describe, expect, it, onTestFinished } from "vitest";
import { Health } from "../../../../src/schema/health.ts";
import { checkHealth } from "../../../../src/system/health/health.ts";
import type { HealthShell } from "../../../../src/system/health/shell.ts";
import { run } from "../../../../src/system/run/run.ts";
import { silentLog } from "../../../../src/util/log.ts";

/** One try only. */
const once = { log: silentLog, signal: new AbortController().signal, slow: 0 };
const inClass = [0, 1, 0, 0, 0, 60];
/** A pointer to the question's name. */
const same = [0xc0, 12];
const name = (text: string) => text.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]);
const record = (type: number, data: readonly number[], owner = same) => [
  ...[...owner, 0, type, ...inClass],
  ...[data.length >> 8, data.length & 255, ...data],
];

interface Answer {
  readonly records?: readonly (readonly number[])[];
  readonly code?: number;
  /** In place of the question's. */
  readonly id?: number;
}

/** A name server with these answers; what is asked goes there in place of port 53. */
async function server(answer: Answer) {
  const asked: Buffer[] = [];
  const socket = createSocket("udp4");
  socket.on("message", (query, from) => {
    asked.push(query);
    const records = answer.records ?? [];
    const head = Buffer.from([
      ...query.subarray(0, 2),
      0x81,
      0x80 | (answer.code ?? 0),
      0,
      1,
      0,
      records.length,
      0,
      0,
      0,
      0,
    ]);
    if (answer.id !== undefined) head.writeUInt16BE(query.readUInt16BE(0) ^ answer.id, 0);
    socket.send(Buffer.concat([head, query.subarray(12), Buffer.from(records.flat())]), from.port);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  onTestFinished(() => void socket.close());
  const port = socket.address().port;
  const shell: HealthShell = {
    run: (argv, options) =>
      run(
        argv.map((word) => word.replace("/udp/$server/53", `/udp/$server/${port}`)),
        { accept: [0, 1, 124], ...options },
      ),
  };
  const problem = async (check: object): Promise<string | undefined> => {
    const all = { type: "dns", name: "www.example.org", server: "127.0.0.1", ...check };
    const [result] = await checkHealth([Health.parse(all)], shell, once);
    return result?.ok === true ? undefined : result?.detail;
  };
  return { problem, asked };
}

describe("a health check of a name", () => {
  it("asks one question, whatever bytes are in it, and passes when there is an answer", async () => {
    const { problem, asked } = await server({ records: [record(1, [192, 0, 2, 7])] });
    // A label of ten letters has a line's end for its length.
    expect(await problem({ name: "abcdefghij.example.org" })).toBe(undefined);
    expect(asked.map((query) => query.subarray(2).toString("latin1"))).toEqual([
      "\x01\0\0\x01\0\0\0\0\0\0\nabcdefghij\x07example\x03org\0\0\x01\0\x01",
    ]);
  });

  it.each<[string, object, readonly (readonly number[])[]]>([
    ["an address", { answer: "192.0.2.7" }, [record(1, [192, 0, 2, 9]), record(1, [192, 0, 2, 7])]],
    [
      "an address after an alias",
      { answer: "192.0.2.7" },
      [record(5, name("web").concat(0xc0, 16)), record(1, [192, 0, 2, 7], [...name("web"), 0xc0, 16])],
    ],
    [
      "an IPv6 address in any of its forms",
      { record: "AAAA", answer: "2001:0DB8::0:7" },
      [record(28, [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7])],
    ],
    ["an alias", { record: "CNAME", answer: "Web.example.org." }, [record(5, [...name("web"), 0xc0, 16])]],
    ["a name server", { record: "NS", answer: "ns1.example.org" }, [record(2, [...name("ns1"), 0xc0, 16])]],
    [
      "a mail server",
      { record: "MX", answer: "10 mail.example.org" },
      [record(15, [0, 10, ...name("mail.example.org"), 0])],
    ],
    [
      "a text of two parts",
      { record: "TXT", answer: "v=spf1 -all" },
      [record(16, [3, ...Buffer.from("v=s"), 8, ...Buffer.from("pf1 -all")])],
    ],
  ])("passes for %s", async (_what, check, records) => {
    const { problem } = await server({ records });
    expect(await problem(check)).toBe(undefined);
  });

  it.each<[string, object, Answer, string]>([
    [
      "another answer",
      { answer: "192.0.2.7" },
      { records: [record(1, [192, 0, 2, 9])] },
      "it answers 192.0.2.9, not 192.0.2.7",
    ],
    [
      "no answer of that type",
      { record: "MX" },
      { records: [record(1, [192, 0, 2, 9])] },
      "the name has no MX",
    ],
    ["no such name", {}, { code: 3 }, "there is no such name (NXDOMAIN)"],
    ["a server that fails", {}, { code: 2 }, "it has failed (SERVFAIL)"],
    ["a server with another error", {}, { code: 9 }, "it answers with the error 9"],
    ["an answer to another question", {}, { id: 1 }, "what answers is not to this question"],
    [
      "a name without an end",
      { record: "NS" },
      { records: [record(2, [0xc0, 45])] },
      "its answer is cut off, or makes no sense",
    ],
    [
      "an answer that is cut off",
      { record: "MX" },
      { records: [[...same, 0, 15]] },
      "its answer is cut off, or makes no sense",
    ],
  ])("fails for %s", async (_what, check, answer, detail) => {
    const { problem } = await server(answer);
    expect(await problem(check)).toBe(detail);
  });
});

import type { LookupAddress } from "node:dns";
import { describe, expect, it } from "vitest";
import { rememberedLookup } from "../../../../src/debian/http/names.ts";

const here: LookupAddress[] = [
  { address: "192.0.2.7", family: 4 },
  { address: "2001:db8::7", family: 6 },
];

/** Asks as a socket does: for all addresses. */
function ask(lookup: ReturnType<typeof rememberedLookup>, hostname: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    lookup(hostname, { all: true }, (error, found) => (error ? reject(error) : resolve(found)));
  });
}

describe("rememberedLookup", () => {
  it("asks once for a host, however many connections want it at once or later", async () => {
    const asked: string[] = [];
    const lookup = rememberedLookup(async (hostname) => {
      asked.push(hostname);
      return here;
    });
    const hosts = ["a.example.org", "a.example.org", "b.example.org"];
    expect(await Promise.all(hosts.map((host) => ask(lookup, host)))).toEqual([here, here, here]);
    expect(await ask(lookup, "a.example.org")).toEqual(here);
    expect(asked).toEqual(["a.example.org", "b.example.org"]);
  });

  it("asks again after a failure, which every connection is told that waited for it", async () => {
    const answers = [new Error("EAI_AGAIN"), undefined];
    const lookup = rememberedLookup(async () => {
      const error = answers.shift();
      if (error !== undefined) throw error;
      return here;
    });
    const waiting = [ask(lookup, "a.example.org"), ask(lookup, "a.example.org")];
    const told = await Promise.allSettled(waiting);
    expect(told.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(await ask(lookup, "a.example.org")).toEqual(here);
  });

  it("gives one address to who wants one", async () => {
    const lookup = rememberedLookup(async () => here);
    const found = await new Promise((resolve) => {
      lookup("a.example.org", {}, (_error, address, family) => resolve([address, family]));
    });
    expect(found).toEqual(["192.0.2.7", 4]);
  });

  it("really resolves names", async () => {
    expect(await ask(rememberedLookup(), "localhost")).toEqual(
      expect.arrayContaining([expect.objectContaining({ address: expect.stringMatching(/^127\.|^::1$/) })]),
    );
  });
});

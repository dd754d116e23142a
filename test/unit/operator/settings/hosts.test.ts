import { describe, expect, it } from "vitest";
import { written, wrongIn } from "../../../helpers/builders/settings.ts";

const localhost =
  "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n";
const hosts = { "192.0.2.7": ["db.example.org", "db"], "2001:db8::7": ["db6"] };

describe("hosts", () => {
  it("adds lines to those that every system has", () => {
    expect(written({ hosts })["/etc/hosts"]).toBe(
      `${localhost}127.0.1.1 web.example.org web\n192.0.2.7 db.example.org db\n2001:db8::7 db6\n`,
    );
  });

  it("may give the system's own name another address", () => {
    const own = { "192.0.2.1": ["web.example.org", "web"] };
    expect(written({ hosts: own })["/etc/hosts"]).toBe(`${localhost}192.0.2.1 web.example.org web\n`);
  });

  it.each<[object, RegExp]>([
    [{ db: ["192.0.2.7"] }, /IPv4|address|key/],
    [{ "192.0.2.7": [] }, /at least 1/],
    [{ "192.0.2.7": ["a b"] }, /a host name/],
    [{ "192.0.2.7": ["a\n192.0.2.8 b"] }, /a host name/],
    [{ "192.0.2.7": ["-a"] }, /a host name/],
    [{ "192.0.2.7": ["a#"] }, /a host name/],
    [{ "192.0.2.7": "db" }, /a list/],
  ])("refuses %j", (wrong, why) => {
    expect(wrongIn({ hosts: wrong })).toEqual([expect.stringMatching(why)]);
  });

  it("refuses /etc/hosts as a file beside it", () => {
    expect(wrongIn({ hosts, files: { "/etc/hosts": { content: "" } } })).toEqual([
      "hosts: /etc/hosts collides with the file /etc/hosts; needs a path of its own",
    ]);
    expect(wrongIn({ files: { "/etc/hosts": { content: "" } } })).toEqual([]);
  });
});

import { describe, expect, it } from "vitest";
import {
  type NamespaceFacts,
  troubleOf,
  troublesIn,
} from "../../../../src/system/user/namespace-troubles.ts";

const good: NamespaceFacts = {
  user: { name: "alice", uid: 1000, gid: 1000 },
  subuid: "bob:100000:65536\nalice:165536:65536\n",
  subgid: "alice:165536:65536\n",
  programs: true,
  noNewPrivileges: false,
  unprivilegedClone: "1\n",
  maxNamespaces: "15000\n",
  appArmorRestricts: undefined,
};
const told = (facts: Partial<NamespaceFacts>) =>
  troublesIn({ ...good, ...facts }).map(({ reason, fix }) => [reason, fix?.join(" ")]);

describe("what is in the way of a user's namespace", () => {
  it("is nothing where kernel, programs and ids are there; what only a try shows is not guessed", () => {
    expect(told({})).toEqual([]);
    expect(
      told({ unprivilegedClone: undefined, maxNamespaces: undefined, appArmorRestricts: "1\n" }),
    ).toEqual([]);
  });

  it.each<[Partial<NamespaceFacts>, RegExp, string | undefined]>([
    [
      { unprivilegedClone: "0\n" },
      /root alone .*userns_clone=0/,
      "sysctl -w kernel.unprivileged_userns_clone=1",
    ],
    [{ maxNamespaces: "0\n" }, /no user namespaces .*=0/, "sysctl -w user.max_user_namespaces=10000"],
    [{ programs: false }, /newuidmap and newgidmap are missing/, "apt-get install --yes uidmap"],
    [{ noNewPrivileges: true }, /no_new_privs/, undefined],
    [{ user: undefined }, /no entry in \/etc\/passwd/, undefined],
    [
      { subuid: "bob:100000:65536\n", subgid: "" },
      /^\/etc\/subuid gives alice no subordinate ids, 65534 are needed\n\/etc\/subgid gives alice no /,
      "usermod --add-subuids 165536-231071 --add-subgids 165536-231071 alice",
    ],
    [
      { subgid: "alice:165536:1000\nbob:500000:65536\n" },
      /^\/etc\/subgid gives alice only 1000 subordinate ids/,
      "usermod --add-subgids 565536-631071 alice",
    ],
    [
      { subuid: "", subgid: "" },
      /subuid gives alice no /,
      "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 alice",
    ],
  ])("is told with its reason and the command that mends it: %j", (facts, reason, fix) => {
    expect(told(facts)).toEqual([[expect.stringMatching(reason), fix]]);
  });

  it.each<[string, string | undefined, RegExp, string | undefined]>([
    [
      "unshare: write failed /proc/self/uid_map: Operation not permitted",
      "1\n",
      /^AppArmor .*=1\): unshare: write failed/,
      "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ],
    [
      "unshare: unshare failed: No space left on device",
      "0\n",
      /as many user namespaces as the kernel allows/,
      "sysctl -w user.max_user_namespaces=10000",
    ],
    [
      "mount: /proc: permission denied.",
      undefined,
      /^parts of \/proc are hidden, as in a container/,
      undefined,
    ],
    ["mount: /run: odd.", undefined, /cannot do here what builds need: mount: \/run: odd\.$/, undefined],
  ])("is told from what a try said: %s", (said, appArmorRestricts, reason, fix) => {
    const trouble = troubleOf(said, { appArmorRestricts });
    expect([trouble.reason, trouble.fix?.join(" ")]).toEqual([expect.stringMatching(reason), fix]);
  });

  it("is told all at once", () => {
    expect(told({ maxNamespaces: "0", programs: false, subuid: "" })).toHaveLength(3);
  });
});

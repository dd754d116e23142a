import { describe, expect, it } from "vitest";
import { settingsExpect } from "../../../../src/operator/settings/settings.ts";
import { Spec } from "../../../../src/schema/spec.ts";
import { written, wrongIn } from "../../../helpers/builders/settings.ts";

describe("sysusers", () => {
  it("become lines of sysusers.d", () => {
    const sysusers = {
      app: {
        id: 890,
        comment: "An app",
        home: "/var/lib/app",
        shell: "/bin/sh",
        groups: ["adm", "ssl-cert"],
      },
      plain: {},
      shared: { user: false, id: 891 },
      free: { user: false },
    };
    expect(written({ sysusers })).toEqual({
      "/etc/sysusers.d/imgbuild.conf": [
        'u app 890 "An app" /var/lib/app /bin/sh',
        "m app adm",
        "m app ssl-cert",
        "u plain - - - -",
        "g shared 891",
        "g free -",
        "",
      ].join("\n"),
    });
    expect(written({ sysusers: {} })).toEqual({});
  });

  it.each<[string, object]>([
    ["sysusers.App: ", { App: {} }],
    ["sysusers.a.id: ", { a: { id: 1000 } }],
    ["sysusers.a.id: ", { a: { id: 0 } }],
    ["sysusers.a.comment: ", { a: { comment: 'a"b' } }],
    ["sysusers.a.comment: ", { a: { comment: "a\nu root" } }],
    ["sysusers.a.comment: ", { a: { comment: "100%" } }],
    // It stands for none in sysusers.d.
    ["sysusers.a.comment: ", { a: { comment: "-" } }],
    ["sysusers.a.home: ", { a: { home: "home" } }],
    ["sysusers.a.home: ", { a: { home: "/a b" } }],
    ["sysusers.a.shell: ", { a: { shell: "/bin/%h" } }],
    ["sysusers.a.groups[0]: ", { a: { groups: ["A"] } }],
    ["sysusers.b.id: 5 is the id of `a` too", { a: { id: 5 }, b: { id: 5 } }],
    ["sysusers.a: a group alone has no", { a: { user: false, home: "/a" } }],
    ["sysusers.root: root is among `users` too, or root", { root: {} }],
  ])("refuses %s", (why, sysusers) => {
    expect(wrongIn({ sysusers })).toEqual([expect.stringContaining(why)]);
  });

  it("refuses a name that is among users", () => {
    expect(wrongIn({ users: { app: {} }, sysusers: { app: {} } })).toEqual([
      "sysusers.app: app is among `users` too, or root; use another name",
    ]);
  });
});

describe("tmpfiles", () => {
  it("become a file, which the tree's systemd reads when it is built", () => {
    const tmpfiles = ["d /run/app 0750 app app -", 'f+ "/run/a b" - - - - hello', "e! %T/x - - - 1d"];
    expect(written({ tmpfiles })).toEqual({
      "/etc/tmpfiles.d/imgbuild.conf": `${tmpfiles.join("\n")}\n`,
    });
    expect(settingsExpect(Spec.parse({ hostname: "x", tmpfiles }))).toEqual([
      { path: ["tmpfiles"], kind: "tmpfiles.d lines", name: "/etc/tmpfiles.d/imgbuild.conf" },
    ]);
    expect(written({ tmpfiles: [] })).toEqual({});
  });

  it.each(["", "d", "d run/app", "B /x", "dd /x", "# d /x", "d /a\nd /b", "d /a\0"])("refuse %j", (line) => {
    expect(wrongIn({ tmpfiles: [line] })).not.toEqual([]);
  });
});

import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatLock } from "../../../../src/debian/lock/lock.ts";
import { lockRequest } from "../../../../src/debian/lock/lock-request.ts";
import { definitionDigest } from "../../../../src/operator/definition/digest.ts";
import { withImpliedPackages } from "../../../../src/operator/lock/lock.ts";
import { openDefinition } from "../../../../src/operator/lock/open-definition.ts";
import { Spec } from "../../../../src/schema/spec.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { lockOf } from "../../../helpers/builders/deployable.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** A definition with a file, a link, and the lock of a hostname. */
function definition(fields = ""): string {
  const dir = tempDir();
  const text = `import { image } from "imgbuild";\nexport default image({ hostname: "web", ${fields} });\n`;
  writeFileSync(join(dir, "IMGBUILD.ts"), text);
  mkdirSync(join(dir, "files/etc"), { recursive: true });
  writeFileSync(join(dir, "files/etc/motd"), "hello\n");
  symlinkSync("/etc/motd", join(dir, "files/etc/link"));
  const spec = withImpliedPackages(Spec.parse({ hostname: "web" }));
  const lock = { ...lockOf(spec), request: lockRequest(spec) };
  writeFileSync(join(dir, "imgbuild.lock.yaml"), formatLock(lock));
  return dir;
}

describe("an open definition", () => {
  it("has its spec, lock and files, and the digest of all three", async () => {
    const open = await openDefinition(definition());
    expect(open.spec.hostname).toBe("web");
    expect(open.lock.packages.map(({ name }) => name)).toContain("openssh-server");
    expect([...open.files.keys()]).toEqual(["/etc/motd"]);
    expect(open.links).toEqual([{ path: "/etc/link", link: "/etc/motd" }]);
    expect(open.digest).toBe(definitionDigest(open.spec, open.lock, open));
  });

  it("is refused with a lock that does not fit it", async () => {
    await expect(openDefinition(definition('packages: { install: ["nginx"] }'))).rejects.toThrow(
      / is stale: /,
    );
  });

  it("is refused for what it cannot be used for before its lock is looked at, and after what it lacks is shown", async () => {
    const order: string[] = [];
    const log = { ...silentLog, warn: (line: string) => void order.push(line) };
    const check = ({ spec }: { spec: Spec }) => {
      order.push("check");
      throw new Fail(`${spec.hostname} has no storage`);
    };
    const lacking = definition(
      'packages: { install: ["nginx"] }, health: [{ type: "command", argv: ["/bin/echo", "CHANGE-ME"] }]',
    );
    await expect(openDefinition(lacking, { log, check })).rejects.toThrow("web has no storage");
    expect(order).toEqual([expect.stringContaining("CHANGE-ME is still to be replaced"), "check"]);
  });
});

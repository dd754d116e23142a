import { describe, expect, it } from "vitest";
import {
  type DeployRecord,
  openRecord,
  readRecord,
  sealRecord,
} from "../../../../src/operator/records/sealed-record.ts";
import { openBytes } from "../../../../src/secrets/open.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { generateIdentity } from "../../../helpers/builders/identity.ts";
import { notedDeploy } from "../../../helpers/fakes/noted-deploy.ts";

const secrets = (values: Readonly<Record<string, string>>) =>
  new Map(Object.entries(values).map(([name, text]) => [name, new Secret(name, Buffer.from(text))]));
const usual = secrets({ a: "first", b: "second" });

async function sealedAndOpened(change: (text: string) => string = (text) => text, with_ = usual) {
  const { identity, recipient } = await generateIdentity();
  const sealed = await sealRecord(notedDeploy, with_, [recipient]);
  expect(sealed).toMatch(/^-----BEGIN AGE/);
  const opened = await openBytes(Buffer.from(sealed!), "record", { identities: [identity], name: "record" });
  return Buffer.from(change(Buffer.from(opened.expose()).toString()));
}

describe("the record of a deploy that goes with the base", () => {
  it("is itself again for who has the same secrets, in whatever order, and host keys beside them", async () => {
    const opened = await sealedAndOpened();
    expect(openRecord(opened, secrets({ b: "second", a: "first" }))).toEqual(notedDeploy);
    expect(openRecord(opened, new Map([...usual, ...secrets({ "hostkey:x": "k" })]))).toEqual(notedDeploy);
  });

  it.each([
    ["another value", { a: "first", b: "other" }],
    ["a secret less", { a: "first" }],
    ["one more", { a: "first", b: "second", c: "" }],
    ["another name", { a: "first", c: "second" }],
    ["the border between two moved", { a: "firsts", b: "econd" }],
  ])("is refused with %s", async (_what, values) => {
    const opened = await sealedAndOpened();
    expect(() => openRecord(opened, secrets(values as Record<string, string>))).toThrow(
      "was not made with this definition's secrets",
    );
  });

  it("is refused where a word of it was changed", async () => {
    const opened = await sealedAndOpened((text) => text.replace("AAAAbase", "AAAAelse"));
    expect(() => openRecord(opened, usual)).toThrow("was not made with this definition's secrets");
  });

  it("is refused in another form, sealed or not", async () => {
    const more = await sealedAndOpened((text) => text.replace('"started"', '"began"'));
    expect(() => openRecord(more, usual)).toThrow("is of another form");
    expect(() => readRecord("{}")).toThrow("is of another form");
    expect(() => readRecord("no JSON")).toThrow("is of another form");
    expect(readRecord(JSON.stringify(notedDeploy))).toEqual(notedDeploy satisfies DeployRecord);
  });

  it("is not sealed where there is nothing to prove it by, or nobody to read it", async () => {
    const { recipient } = await generateIdentity();
    expect(await sealRecord(notedDeploy, new Map(), [recipient])).toBeUndefined();
    expect(await sealRecord(notedDeploy, usual, [])).toBeUndefined();
  });
});

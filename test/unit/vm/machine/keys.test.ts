import { describe, expect, it } from "vitest";
import { keysOf } from "../../../../src/vm/machine/keys.ts";

describe("keysOf", () => {
  it("gives the keys of an American keyboard for a text", () => {
    expect(keysOf("aB1!\n")).toEqual([["a"], ["shift", "b"], ["1"], ["shift", "1"], ["ret"]]);
  });

  it("knows every printable ASCII character", () => {
    const all = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join("");
    const chords = keysOf(all).map((chord) => chord.join("-"));
    expect(new Set(chords).size).toBe(95);
  });

  it("takes chords by QEMU's names", () => {
    expect(keysOf(["ctrl-alt-delete", "esc"])).toEqual([["ctrl", "alt", "delete"], ["esc"]]);
  });

  it("refuses what no key gives", () => {
    expect(() => keysOf("naïve")).toThrow('no key gives "ï"; letters, digits and ASCII signs are accepted');
    expect(() => keysOf("\x07")).toThrow("no key gives");
  });
});

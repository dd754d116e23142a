import { Fail } from "../../util/fail.ts";

/** QEMU's names of the keys that give a character on an American keyboard, without and with shift. */
const plain: Readonly<Record<string, string>> = {
  " ": "spc",
  "\n": "ret",
  "\t": "tab",
  "-": "minus",
  "=": "equal",
  "[": "bracket_left",
  "]": "bracket_right",
  "\\": "backslash",
  ";": "semicolon",
  "'": "apostrophe",
  "`": "grave_accent",
  ",": "comma",
  ".": "dot",
  "/": "slash",
};
const shifted: Readonly<Record<string, string>> = {
  "!": "1",
  "@": "2",
  "#": "3",
  $: "4",
  "%": "5",
  "^": "6",
  "&": "7",
  "*": "8",
  "(": "9",
  ")": "0",
  _: "minus",
  "+": "equal",
  "{": "bracket_left",
  "}": "bracket_right",
  "|": "backslash",
  ":": "semicolon",
  '"': "apostrophe",
  "~": "grave_accent",
  "<": "comma",
  ">": "dot",
  "?": "slash",
};

/** Chords in the order of typing, each the QEMU names of keys that are down together. */
export function keysOf(keys: string | readonly string[]): readonly (readonly string[])[] {
  return typeof keys === "string" ? [...keys].map(chordOf) : keys.map((chord) => chord.split("-"));
}

function chordOf(character: string): readonly string[] {
  if (/^[a-z0-9]$/.test(character)) return [character];
  if (/^[A-Z]$/.test(character)) return ["shift", character.toLowerCase()];
  if (Object.hasOwn(plain, character)) return [plain[character]!];
  if (Object.hasOwn(shifted, character)) return ["shift", shifted[character]!];
  throw new Fail(`no key gives ${JSON.stringify(character)}; letters, digits and ASCII signs are accepted`);
}

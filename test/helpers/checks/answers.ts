import { showPath } from "../../../src/util/problem.ts";
import type { Breakage } from "../builders/breakages.ts";
import type { LiteralText } from "../builders/literal-text.ts";

/** What a message says to do, in one way or another. */
const accepted =
  /\bneeds?\b|\baccepted\b|\bdid you mean\b|\bonly for\b|\bmakes one\b|\buse\b|\bleave\b|\badd\b|\bsay\b/;
const place = /^(\S*\.ts):(\d+): (\S.*)$/s;
const ofMachinery = /^ {4}at |node:internal|node_modules|\bundefined is not|\bZod|\[object /m;

/** What is missing in the answer to a broken definition, of which `file` has the text; undefined if it is a good one. */
export function faultOf(
  message: string,
  file: string,
  { paths, words }: Pick<Breakage, "paths" | "words">,
  { span }: Pick<LiteralText, "span">,
): string | undefined {
  const lines = message.split("\n").filter((line) => !/^and \d+ more problems$/.test(line));
  if (ofMachinery.test(message)) return "shows what is inside of the program";
  const read = lines.map((line) => place.exec(line));
  const numbers: number[] = [];
  for (const [index, match] of read.entries()) {
    if (match === null) return `has no place: ${lines[index]}`;
    if (!file.endsWith(match[1]!)) return `is about another file: ${match[1]}`;
    if (!accepted.test(match[3]!)) return `does not say what is accepted: ${lines[index]}`;
    numbers.push(Number(match[2]));
  }
  const around = paths.flatMap((path) => {
    const [own, above] = [span(path), span(path.slice(0, -1))];
    return [
      ...(own === undefined ? [] : [own]),
      ...(above === undefined ? [] : [[above[0], above[0]] as const]),
    ];
  });
  if (numbers.some((line) => around.some(([first, last]) => line >= first && line <= last))) return undefined;
  // What it does not fit may be said of its neighbours, or of what holds it.
  const broken = paths.map((path) => showPath(path));
  const beside = read.map((match) => match![3]!.split(": ")[0]!.replace(/(\.[\w-]+|\[[^\]]*\])$/, ""));
  if (beside.some((parent) => parent.split(".").length > 2 && broken.some((one) => one.startsWith(parent))))
    return undefined;
  // Another field may speak of it: the one that names it, or that needs it.
  return [...words].some((word) => word.length > 1 && read.some((match) => match![3]!.includes(word)))
    ? undefined
    : `names lines ${numbers.join(", ")} instead of ${around.map((lines) => lines.join("-")).join(" or ")}`;
}

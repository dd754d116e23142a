export const needsEvent = 'needs an event as "daily", "Mon 04:30" or "*:0/15"';

const shorthands =
  /^(minutely|hourly|daily|weekly|monthly|quarterly|yearly|annually|anually|semi-?annually|bi-?annually)$/i;
const days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const dayNames = /^(mon(day)?|tue(sday)?|wed(nesday)?|thu(rsday)?|fri(day)?|sat(urday)?|sun(day)?)$/i;
/** As a time zone is called: "UTC", "Europe/Berlin". Whether there is such a zone, the tree knows. */
const zone = /^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/;

/**
 * Why a text is no calendar event as `OnCalendar=` takes it (systemd.time(7)); undefined for one that is. What is
 * not clearly wrong passes: systemd in the tree has the last word.
 */
export function calendarProblem(text: string): string | undefined {
  const words = text.trim().split(/\s+/);
  if (/^@\d+$/.test(words[0] ?? "") && words.length === 1) return undefined;
  if (words.length > 1 && isZone(words.at(-1)!)) words.pop();
  if (words.length === 1 && shorthands.test(words[0]!)) return undefined;
  if (/^[A-Za-z]/.test(words[0] ?? "")) {
    const problem = weekdayProblem(words.shift()!, words.length === 0);
    if (problem !== undefined || words.length === 0) return problem;
  }
  const [first = "", second, ...more] = words.length === 1 ? words[0]!.split("T") : words;
  if (more.length > 0) return `has more than days, a date, a time and a time zone: ${more.join(" ")}`;
  if (second !== undefined) return dateProblem(first) ?? timeProblem(second);
  return first.includes(":") ? timeProblem(first) : dateProblem(first);
}

function isZone(word: string): boolean {
  return (
    zone.test(word) && !shorthands.test(word) && !word.split(/,|\.\.|-/).some((one) => dayNames.test(one))
  );
}

function weekdayProblem(word: string, alone: boolean): string | undefined {
  for (const part of word.replace(/,$/, "").split(",")) {
    const ends = part.split(/\.\.|-/);
    const wrong = ends.find((one) => !dayNames.test(one));
    if (wrong !== undefined)
      return alone && ends.length === 1
        ? `${word} is neither a day of the week, a date, a time, nor a word as "daily"`
        : `${JSON.stringify(wrong)} is no day of the week`;
    const [from, to = from] = ends.map((one) => days.indexOf(one.slice(0, 3).toLowerCase()));
    if (ends.length > 2 || from! > to!) return `${part}: a range of days goes forward, from Mon to Sun`;
  }
  return undefined;
}

function dateProblem(text: string): string | undefined {
  const parts = text.split(/[-~]/);
  const tilde = text.indexOf("~");
  if (parts.length < 2 || parts.length > 3)
    return `${text} is no date; "2026-12-31", "*-*-1" and "12-31" are`;
  if (tilde >= 0 && text.slice(tilde + 1).search(/[-~]/) >= 0) return `${text}: \`~\` stands before the day`;
  const [day, month, year] = parts.reverse() as [string, string, string | undefined];
  return (
    componentProblem("day", day, 1, 31) ??
    componentProblem("month", month, 1, 12) ??
    (year === undefined || /^\d\d$/.test(year) ? undefined : componentProblem("year", year, 1970, 2199))
  );
}

function timeProblem(text: string): string | undefined {
  const parts = text.split(":");
  if (parts.length < 2 || parts.length > 3) return `${text} is no time; "4:30" and "*:0/15" are`;
  const [hour, minute, second] = parts as [string, string, string | undefined];
  return (
    componentProblem("hour", hour, 0, 23) ??
    componentProblem("minute", minute, 0, 59) ??
    (second === undefined ? undefined : componentProblem("second", second, 0, 59, "(?:\\.\\d{1,6})?"))
  );
}

/** `*`, or a list of values and ranges, each with the step of its repetition. */
function componentProblem(
  what: string,
  text: string,
  least: number,
  most: number,
  decimals = "",
): string | undefined {
  if (text === "*") return undefined;
  const number = `(\\d{1,4}${decimals})`;
  const form = new RegExp(`^${number}(?:\\.\\.${number})?(?:/${number})?$`);
  for (const part of text.split(",")) {
    const match = form.exec(part);
    if (match === null)
      return `${JSON.stringify(part)} is no ${what}; ${least}, ${least}..${most}, ${least}/2 and * are`;
    const [from, to, step] = match.slice(1).map((one) => (one === undefined ? undefined : Number(one)));
    for (const one of [from!, to ?? from!])
      if (Math.floor(one) < least || Math.floor(one) > most)
        return `${one} is no ${what}; ${least} to ${most} are`;
    if (to !== undefined && to < from!) return `${part}: a range goes forward`;
    if (step === 0) return `${part}: a repetition of 0 never comes`;
  }
  return undefined;
}

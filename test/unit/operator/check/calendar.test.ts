import { describe, expect, it } from "vitest";
import { calendarProblem } from "../../../../src/operator/check/calendar.ts";
import { calendars } from "../../../helpers/builders/calendars.ts";

describe("calendarProblem", () => {
  it.each(calendars.right)("takes %s", (text) => {
    expect(calendarProblem(text)).toBeUndefined();
  });

  it.each(calendars.wrong)("refuses %s", (text) => {
    expect(calendarProblem(text)).toEqual(expect.any(String));
  });

  it("says what is wrong", () => {
    expect(calendarProblem("hourlyy")).toMatch(/^hourlyy is neither a day of the week, a date, a time/);
    expect(calendarProblem("Mon..Fry 10:00")).toBe('"Fry" is no day of the week');
    expect(calendarProblem("*-*-* 25:00")).toBe("25 is no hour; 0 to 23 are");
    expect(calendarProblem("*:*/5")).toBe('"*/5" is no minute; 0, 0..59, 0/2 and * are');
    expect(calendarProblem("*-13-1")).toBe("13 is no month; 1 to 12 are");
  });
});

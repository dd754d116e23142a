/** One thing that was looked at before a deploy, with the numbers that led to the verdict. */
export interface Finding {
  readonly check: string;
  readonly verdict: "go" | "warn" | "no-go";
  readonly detail: string;
  readonly hint?: string;
}

export function go(check: string, detail: string): Finding {
  return { check, verdict: "go", detail };
}

export function warn(check: string, detail: string, hint: string): Finding {
  return { check, verdict: "warn", detail, hint };
}

export function noGo(check: string, detail: string, hint?: string): Finding {
  return { check, verdict: "no-go", detail, ...(hint === undefined ? {} : { hint }) };
}

import { Fail } from "../../util/fail.ts";
import type { Answers } from "./answers.ts";
import { type Choices, chosen } from "./choices.ts";

/** A wrong answer is asked for again so often. */
const tries = 3;

interface Question {
  readonly name: keyof Choices;
  readonly text: string;
  /** Taken when nothing is typed; "": the choice is left open. */
  readonly usual: string;
  /** Several, separated by spaces. */
  readonly several?: true;
}

/** Asks for what neither an option nor a host has said. */
export async function askChoices(
  given: Choices,
  found: Answers,
  options: {
    /** Whether a host was looked at. */
    readonly looked: boolean;
    /** The key file that is taken where none is named. */
    readonly key: string | undefined;
    readonly ask: (question: string) => Promise<string>;
    readonly warn: (text: string) => void;
  },
): Promise<Choices> {
  const { looked, key, ask, warn } = options;
  let choices = given;
  const settle = async (question: Question) => {
    const { name, text, usual, several } = question;
    if (choices[name] !== undefined) return;
    for (let tried = 1; ; tried += 1) {
      const said = (await ask(`${text}${usual === "" ? "" : ` [${usual}]`}: `)).trim() || usual;
      if (said === "") return;
      const words = said.split(/[\s,]+/);
      const next: Choices = { ...choices, [name]: several ? words : said };
      try {
        await chosen(next, found);
        choices = next;
        return;
      } catch (error) {
        if (!(error instanceof Fail) || tried === tries) throw error;
        warn(error.message);
      }
    }
  };
  if (!looked) await settle({ name: "hostname", text: "Host name", usual: found.hostname });
  if (found.match === undefined)
    await settle({ name: "disk", text: "Serial of the disk to be written (empty: later)", usual: "" });
  if (!looked) await settle({ name: "firmware", text: "Firmware: uefi, bios or both", usual: "both" });
  const lacksNetwork = !looked || (found.network === undefined && found.stack === undefined && !found.dhcp);
  if (lacksNetwork && choices.address === undefined) {
    const text = "Address in CIDR notation (empty: by DHCP)";
    await settle({ name: "address", text, usual: "", several: true });
    if (choices.address !== undefined) {
      await settle({ name: "gateway", text: "Gateway", usual: "", several: true });
      await settle({ name: "dns", text: "DNS servers", usual: "", several: true });
    }
  }
  if (found.timezone === undefined) await settle({ name: "timezone", text: "Time zone", usual: "Etc/UTC" });
  if (found.keys.length === 0)
    await settle({ name: "key", text: "File of the administrator's public key", usual: key ?? "" });
  return choices;
}

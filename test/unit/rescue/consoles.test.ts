import { describe, expect, it } from "vitest";
import { Consoles, type Terminal } from "../../../src/rescue/consoles.ts";
import { consolesWith } from "../../helpers/fakes/fake-consoles.ts";

function terminal(): Terminal & { text: string; type(line: string): void } {
  let listener: (line: string) => void = () => {};
  return {
    text: "",
    write(text) {
      this.text += text;
    },
    onLine: (one) => {
      listener = one;
    },
    echo: async () => {},
    type: (line) => listener(line),
  };
}

describe("the consoles of a rescue medium", () => {
  it("show the same everywhere, and take the first answer", async () => {
    const consoles = new Consoles();
    const [serial, screen] = [terminal(), terminal()];
    consoles.add(serial);
    consoles.add(screen);
    consoles.print("hello");
    const answer = consoles.ask("Name? ");
    screen.type(" web ");
    serial.type("late");
    expect(await answer).toBe("web");
    expect(serial.text).toBe("hello\nName? ");
    expect(screen.text).toBe(serial.text);
  });

  it("show who comes later what was shown, and what is asked", async () => {
    const consoles = new Consoles();
    for (let line = 0; line < 100; line += 1) consoles.print(`line ${line}`);
    const answer = consoles.ask("Name? ");
    const late = terminal();
    consoles.add(late);
    expect(late.text.split("\n").slice(-2)).toEqual(["line 99", "Name? "]);
    expect(late.text).not.toContain("line 1\n");
    late.type("web");
    expect(await answer).toBe("web");
  });

  it("do not show what is typed for a secret, and show it again afterwards", async () => {
    const { consoles, echoes } = consolesWith([["Passphrase", " open sesame "]]);
    const secret = await consoles.askSecret("passphrase", "Passphrase: ");
    expect(Buffer.from(secret.expose()).toString()).toBe(" open sesame ");
    expect(echoes).toEqual([false, true]);
    expect(String(secret)).not.toContain("sesame");
  });

  it("ask for a secret only once what is typed is not shown any more", async () => {
    const consoles = new Consoles();
    const said: string[] = [];
    let type: (line: string) => void = () => {};
    consoles.add({
      write: (text) => void said.push(text),
      onLine: (listener) => {
        type = listener;
      },
      echo: async (on) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        said.push(on ? "shown" : "hidden");
      },
    });
    const secret = consoles.askSecret("passphrase", "Passphrase: ");
    await new Promise((resolve) => setTimeout(resolve, 60));
    type("open sesame");
    await secret;
    expect(said).toEqual(["hidden", "Passphrase: ", "\n", "shown"]);
  });

  it("wait no longer than they are asked to", async () => {
    const { consoles, shown } = consolesWith();
    expect(await consoles.askWithin("Stop it? ", 20)).toBeUndefined();
    expect(shown()).toContain("Stop it? ");
    const { consoles: other } = consolesWith([["Stop it?", ""]]);
    expect(await other.askWithin("Stop it? ", 5_000)).toBe("");
  });

  it("show no line longer than a screen is wide, and nothing that a terminal acts on", () => {
    const { consoles, shown } = consolesWith();
    consoles.print(`  disk: ${"word ".repeat(40)}`);
    consoles.print("y".repeat(170));
    consoles.print("a\u001b[2Jb");
    const lines = shown().split("\n");
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(80);
    expect(lines.filter((line) => line.startsWith("    word")).length).toBeGreaterThan(1);
    expect(lines.join("").replace(/[^y]/g, "")).toHaveLength(170);
    expect(shown()).not.toContain("\u001b");
  });
});

import { describe, expect, it } from "vitest";
import { makeConsole } from "../../../../src/vm/shell/console.ts";

describe("a console", () => {
  it("finds what was said before the wait, and across pieces", async () => {
    const { console, append } = makeConsole();
    append("stock lo");
    append("gin: ");
    expect((await console.waitFor(/(\w+) login:/, 1_000))[1]).toBe("stock");
  });

  it("waits for what is said later", async () => {
    const { console, append } = makeConsole();
    const found = console.waitFor(/Welcome to (\w+)/, 5_000);
    append("Welcome to ");
    append("Debian\n");
    expect((await found)[0]).toBe("Welcome to Debian");
  });

  it("looks only behind a mark, so that a second boot is not taken for the first", async () => {
    const { console, append } = makeConsole();
    append("boot 1\n");
    const mark = console.mark();
    const found = console.waitFor(/boot (\d)/, 5_000, mark);
    append("boot 2\n");
    expect((await found)[1]).toBe("2");
  });

  it("forgets what came later when the machine goes back, so that a prompt of then is not taken for one of now", async () => {
    const { console, append, rewind } = makeConsole();
    append("starting\n");
    const shown = console.text;
    append("login: ");
    const before = console.mark();
    rewind(shown);
    expect(console.text).toBe("starting\n");
    await expect(console.waitFor(/login/, 10)).rejects.toThrow("did not show /login/");
    expect(console.mark()).toBe(before);
    const found = console.waitFor(/login: |starting/, 5_000, before);
    append("login: ");
    expect((await found)[0]).toBe("login: ");
    append("x".repeat(10));
    rewind("starting\nlogin: ");
    expect(console.since(before)).not.toContain("x");
  });

  it("keeps marks right when old text is dropped", async () => {
    const { console, append } = makeConsole();
    append("boot 1\n");
    append("x".repeat(4 * 1024 * 1024));
    expect(console.text.length).toBeLessThan(4 * 1024 * 1024);
    append("boot 2\n");
    const mark = console.mark();
    append("boot 3\n");
    expect((await console.waitFor(/boot (\d)/, 1_000, mark))[1]).toBe("3");
    expect((await console.waitFor(/boot (\d)/, 1_000))[1]).toBe("2");
  });

  it("fails at its bound, showing pattern and end", async () => {
    const { console, append } = makeConsole();
    append("kernel panic\n");
    await expect(console.waitFor(/login:/, 20)).rejects.toThrow(
      /did not show \/login:\/ within 0 s; the console's end:\nkernel panic/,
    );
  });

  it("fails at once when the machine ends, and ever after", async () => {
    const { console, append, close } = makeConsole();
    const found = console.waitFor(/login:/, 60_000);
    append("Power down\n");
    close("one: QEMU ended (0)");
    await expect(found).rejects.toThrow(/^one: QEMU ended \(0\) before the console showed \/login:\//);
    await expect(console.waitFor(/login:/, 60_000)).rejects.toThrow("QEMU ended");
    expect((await console.waitFor(/Power down/, 60_000))[0]).toBe("Power down");
  });

  it("shows its end without escape sequences, carriage returns and empty lines", () => {
    const { console, append } = makeConsole();
    expect(console.tail()).toBe("");
    append("\x1b[2J\x1b[01;01H\r\n\x1b[0;32m  OK  \x1b[0m Started ssh\r\n\r\nlogin: ");
    expect(console.tail()).toBe("  OK   Started ssh\nlogin: ");
  });

  it("shows the last lines only", () => {
    const { console, append } = makeConsole();
    append(Array.from({ length: 100 }, (_, index) => `line ${index}\n`).join(""));
    expect(console.tail().split("\n")).toHaveLength(25);
    expect(console.tail()).toMatch(/line 99$/);
  });
});

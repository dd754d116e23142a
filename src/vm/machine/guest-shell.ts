import type { Duplex } from "node:stream";
import { Fail } from "../../util/fail.ts";
import { within } from "../../util/promises.ts";
import { shellPort } from "./command.ts";

/** What a command may print on each stream; more is reported as a failure. */
const maxOutputBytes = 64 * 1024 * 1024;
/** Beyond a command's own bound: to send what it printed, on ordinary hardware. */
const answerMs = 10_000;

interface GuestResult {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/**
 * A root shell in the guest that needs neither network nor login nor anything installed: systemd (256 and later) takes a
 * unit from the firmware's tables, and the unit's bash answers on a port of ours.
 */
interface GuestShell {
  /** Runs a program of bash; its own exit code, 124 when it took longer than `timeoutMs`. */
  run(script: string, options: { timeoutMs: number; stdin?: Uint8Array }): Promise<GuestResult>;
  /** The id of the boot whose shell answers, once there is one that is not `notBoot`. */
  ready(timeoutMs: number, notBoot?: string): Promise<string>;
  readonly boot: string | undefined;
}

/** What the owner of the QEMU process does with it. */
interface GuestShellEnd extends GuestShell {
  /** A new process's port. */
  attach(socket: Duplex): void;
  /** The machine was reset. */
  lost(): void;
  /** The guest is again as it was when its boot had this id. */
  restored(boot: string | undefined): void;
  /** The machine has ended or lost power: those who wait get the reason. */
  close(reason: string): void;
}

const unit = "imgbuild-shell.service";

/** The guest's side. What a command prints goes to files first, so that a process it leaves behind cannot hold us up. */
const loop = `
until [ -c /dev/virtio-ports/${shellPort} ]; do sleep 0.2; done
exec 3<>/dev/virtio-ports/${shellPort}
mkdir -p -m 700 /run/imgbuild-shell; cd /run/imgbuild-shell
read -r boot </proc/sys/kernel/random/boot_id
printf 'hello %s\\n' "$boot" >&3
export HOME=/root LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
while read -r id seconds bytes script <&3; do
  if [ "$bytes" = 0 ]; then : >in; else head -c "$bytes" <&3 >in; fi
  eval "script=$script"
  (exec 3>&-; cd /; exec timeout --kill-after=5 "$seconds" bash -c "$script") <in >out 2>err
  printf 'result %s %s %s\\n' "$id" "$?" "$(stat -c %s out err | tr '\\n' ' ')" >&3
  cat out err >&3
done
`.trim();

/** What the machine's firmware tables must hold for `openGuestShell` to find a shell. */
export function shellCredentials(): string[] {
  const text = [
    ...["[Unit]", "Description=Shell of the machine's tester", "DefaultDependencies=no"],
    // Not bound to the port's device unit: udev's coldplug makes that go and come once more, and a command would be lost.
    ...["Conflicts=shutdown.target", "[Service]"],
    // systemd would read $ and % as its own.
    `ExecStart=/bin/bash -c ${unitWord(loop)}`,
    ...["StandardError=journal", "KillMode=process", "Restart=always", "RestartSec=1", ""],
  ].join("\n");
  const credential = (name: string, value: string) =>
    `io.systemd.credential.binary:${name}=${Buffer.from(value).toString("base64")}`;
  return [
    credential(`systemd.extra-unit.${unit}`, text),
    credential("systemd.unit-dropin.sysinit.target", `[Unit]\nWants=${unit}\n`),
  ];
}

/** One word of a command line of systemd (systemd.service(5)). */
function unitWord(script: string): string {
  const escaped = script.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  return `"${escaped.replaceAll("$", "$$$$").replaceAll("%", "%%")}"`;
}

/** One word of bash on one line, which the guest's loop reads; a word of sh would keep its line ends. */
export function bashWord(text: string): string {
  if (text.includes("\0")) throw new Fail("a command cannot hold NUL");
  return `$'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'").replaceAll("\n", "\\n").replaceAll("\r", "\\r")}'`;
}

export function openGuestShell(name: string, scale: number): GuestShellEnd {
  let socket: Duplex | undefined;
  let boot: string | undefined;
  let closed: string | undefined = `${name} is switched off`;
  let queue: Promise<unknown> = Promise.resolve();
  let forget = () => {};
  const asking = makeAsking(name, scale);
  const greeted = new Set<() => void>();
  const wakeAll = () => {
    for (const wake of [...greeted]) wake();
  };
  const onHello = (id: string) => {
    boot = id;
    asking.fail(`${name} restarted while a command ran`);
    wakeAll();
  };
  const runNow: GuestShell["run"] = async (script, options) => {
    if (closed !== undefined) throw new Fail(closed, { hint: "`await machine.boot()` switches it on" });
    if (boot === undefined || socket === undefined)
      throw new Fail(`${name} has no shell yet`, { hint: "wait for it: `await machine.boot()`" });
    return await asking.ask(socket, script, options);
  };
  return {
    get boot() {
      return boot;
    },
    attach: (stream) => {
      socket = stream;
      boot = undefined;
      closed = undefined;
      forget = readAnswers(stream, onHello, asking.answer);
    },
    lost: () => {
      boot = undefined;
      forget();
      asking.fail(`${name} restarted while a command ran`);
    },
    restored: (id) => {
      forget();
      boot = id;
      asking.fail(`${name} was restored while a command ran`);
      wakeAll();
    },
    run: (script, options) => {
      // One after another: there is one shell.
      const result = queue.then(() => runNow(script, options));
      queue = result.catch(() => {});
      return result;
    },
    ready: (timeoutMs, notBoot) =>
      untilGreeted(name, timeoutMs, greeted, () => {
        if (closed !== undefined) throw new Fail(closed);
        return boot === notBoot ? undefined : boot;
      }),
    close: (reason) => {
      closed = reason;
      boot = undefined;
      asking.fail(reason);
      wakeAll();
    },
  };
}

/** One question at a time, and what becomes of it. */
function makeAsking(name: string, scale: number) {
  let pending:
    | { id: number; resolve: (result: GuestResult) => void; reject: (error: unknown) => void }
    | undefined;
  let nextId = 0;
  return {
    ask: async (
      port: Duplex,
      script: string,
      { timeoutMs, stdin = Buffer.alloc(0) }: { timeoutMs: number; stdin?: Uint8Array },
    ): Promise<GuestResult> => {
      nextId += 1;
      const id = nextId;
      const boundMs = timeoutMs + answerMs * scale;
      // A later answer is to no question any more, and the guest may hang for good.
      const late = () => new Fail(`${name} did not answer within ${Math.round(boundMs / 1000)} s`);
      return await within<GuestResult>(boundMs, late, (resolve, reject) => {
        pending = { id, resolve, reject };
        port.write(`${id} ${Math.ceil(timeoutMs / 1000)} ${stdin.length} ${bashWord(script)}\n`);
        if (stdin.length > 0) port.write(stdin);
        return () => {
          pending = undefined;
        };
      });
    },
    answer: (id: number, result: GuestResult): void => {
      if (pending?.id === id) pending.resolve(result);
    },
    fail: (why: string): void => pending?.reject(new Fail(why)),
  };
}

/** Waits until `look` gives a boot; it is called at once, and when one of `greeted` is. */
function untilGreeted(
  name: string,
  timeoutMs: number,
  greeted: Set<() => void>,
  look: () => string | undefined,
): Promise<string> {
  const late = () =>
    new Fail(`${name} did not come up within ${Math.round(timeoutMs / 1000)} s`, {
      hint: "the shell needs systemd 256 or later in the machine; older systems are reached by `ssh`",
    });
  return within(timeoutMs, late, (resolve, reject) => {
    const wake = () => {
      try {
        const found = look();
        if (found !== undefined) resolve(found);
      } catch (error) {
        reject(error);
      }
    };
    greeted.add(wake);
    wake();
    return () => void greeted.delete(wake);
  });
}

/** Lines "hello BOOT" and "result ID CODE SIZE SIZE" followed by that many bytes. Gives back what forgets a half answer. */
function readAnswers(
  stream: Duplex,
  onHello: (boot: string) => void,
  onResult: (id: number, result: GuestResult) => void,
): () => void {
  let rest: Buffer = Buffer.alloc(0);
  const parts: Buffer[] = [];
  let wanted = 0;
  let header: readonly number[] | undefined;
  const forget = () => {
    rest = Buffer.alloc(0);
    parts.length = 0;
    header = undefined;
  };
  const step = (): boolean => {
    if (header !== undefined) {
      if (rest.length < wanted) return false;
      const [id, code, out] = header as [number, number, number];
      onResult(id, { code, stdout: rest.subarray(0, out), stderr: rest.subarray(out, wanted) });
      rest = rest.subarray(wanted);
      header = undefined;
      return true;
    }
    const end = rest.indexOf("\n");
    if (end === -1) return false;
    const line = rest.toString("utf8", 0, end);
    rest = rest.subarray(end + 1);
    const hello = line.match(/hello ([0-9a-f-]{36})$/);
    if (hello !== null) onHello(hello[1]!);
    const result = line.match(/^result (\d+) (\d+) (\d+) (\d+)\s*$/);
    if (result === null) return true;
    header = result.slice(1).map(Number);
    wanted = header[2]! + header[3]!;
    if (wanted > 2 * maxOutputBytes) {
      onResult(header[0]!, tooMuch(wanted));
      stream.destroy();
      return false;
    }
    return true;
  };
  stream.on("data", (chunk: Buffer) => {
    // After a kexec nothing else shows that the machine has started anew in the middle of an answer.
    if (header !== undefined && /^hello [0-9a-f-]{36}\n/.test(chunk.toString("latin1", 0, 43))) forget();
    parts.push(chunk);
    const have = rest.length + parts.reduce((sum, part) => sum + part.length, 0);
    if (header !== undefined && have < wanted) return;
    rest = Buffer.concat([rest, ...parts.splice(0)]);
    while (step());
  });
  return forget;
}

function tooMuch(bytes: number): GuestResult {
  return { code: 255, stdout: Buffer.alloc(0), stderr: Buffer.from(`${bytes} bytes were printed`) };
}

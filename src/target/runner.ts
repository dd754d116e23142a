import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { BaseReport, FromOperator, FromRunner, RunnerState } from "../schema/base/journal.ts";
import { protocolVersion } from "../schema/base/journal.ts";
import { wipeFile } from "../system/files/wipe-file.ts";
import { Fail, messageOf } from "../util/fail.ts";
import type { Log } from "../util/log.ts";
import type { DeadMan } from "./dead-man.ts";
import { aborted, whyItFailed } from "./failures.ts";
import type { Journal } from "./journal.ts";

/** After a failure before any write: long enough for the operator to read why, then back to the old system. */
const returnAfterMs = 15_000;
/** After success: the operator fetches the report and says when; without an order it restarts by itself. */
const restartAfterMs = 20_000;
/** When a build failed after the first write, the secrets of GO are kept for so long, so that `resume` need not send them again. */
export const secretsKeptMs = 2 * 60 * 60_000;
/** After an abort: the answer is out. */
const abortAfterMs = 500;

/** What the state machine needs of the machine. */
export interface RunnerWorld {
  readonly journal: Journal;
  readonly log: Log;
  readonly nonce: string;
  /** Started from the new disks after a power cut: past the first write. */
  readonly rescued?: boolean;
  readonly bootId: string;
  readonly recipient: string;
  /** Marks that GO was given. Holds the sealed secrets, in RAM. */
  readonly goFile: string;
  /** Checked and ready payload, or the reason why it is not. */
  readonly payload: { planDigest: string } | { refusal: Fail };
  /** Checks another payload and works with it from now on; resolves with its plan's digest. */
  replace(publicKey: string, payload: Uint8Array): Promise<string>;
  /** Opens the sealed secrets, the newest last, and works through the plan; waits for `ponr` before the first write. */
  work(sealed: readonly string[], ponr: () => Promise<void>): Promise<void>;
  /** Ends the work, as soon as it can be. */
  stop(why: Fail): void;
  readonly deadMan: DeadMan;
  report(outcome: "done" | "failed", ponr: boolean, error: unknown): BaseReport;
  /** Milliseconds; this clock cannot be set. */
  now(): number;
  /** Ends this process and all that it knows; another is started, with another key. */
  forget(): void;
  /** `flush`: what was written has to get to the disks. Before the first write no disk is waited for. */
  restart(flush: boolean): Promise<never>;
  later(ms: number, what: () => void): void;
}

/** Waits for GO, works once, reports, restarts. Every transition is in the journal. */
export class Runner {
  readonly #world: RunnerWorld;
  readonly #reportListeners = new Set<(report: BaseReport) => void>();
  #state: RunnerState = "waiting";
  #ponr = false;
  /** The dead man is standing down: the first write comes next, or the old system. */
  #crossing = false;
  #aborted = false;
  #payload: RunnerWorld["payload"];
  #replacing = false;
  /** What came with each GO: the host keys of an earlier GO are still of use. */
  #sealed: readonly string[] = [];
  #report: BaseReport | undefined;
  /** When what came with GO is wiped; undefined while it is needed, and when it is gone. */
  #wipeAt: number | undefined;

  constructor(world: RunnerWorld) {
    this.#world = world;
    this.#payload = world.payload;
    this.#ponr = world.rescued === true;
    if (existsSync(world.goFile)) {
      // This process was started again in a run. The journal knows of the first write before it happens.
      this.#ponr ||= world.journal.entries.some(({ event }) => event.type === "ponr");
      this.#sealed = readFileSync(world.goFile, "utf8").split("\n").filter(Boolean);
      this.#end("failed", whyItFailed(world.journal));
    } else if ("refusal" in world.payload) {
      this.#end("failed", world.payload.refusal);
    } else {
      world.journal.add({ type: "state", state: "waiting" });
    }
  }

  onAttach(send: (message: FromRunner) => void): () => void {
    const { nonce, bootId, recipient } = this.#world;
    const payload = this.#payload;
    send({
      type: "hello",
      protocol: protocolVersion,
      nonce,
      bootId,
      state: this.#state,
      seq: this.#world.journal.entries.length,
      recipient,
      ...("planDigest" in payload ? { planDigest: payload.planDigest } : {}),
      ...(this.#report?.message === undefined ? {} : { message: this.#report.message }),
      ...(this.#report?.hint === undefined ? {} : { hint: this.#report.hint }),
      ...this.#secretsLeft(),
    });
    const detachers: (() => void)[] = [];
    this.#detachers.set(send, detachers);
    return () => {
      for (const detach of detachers) detach();
      this.#detachers.delete(send);
    };
  }

  readonly #detachers = new Map<(message: FromRunner) => void, (() => void)[]>();

  onMessage(message: FromOperator, send: (answer: FromRunner) => void): void {
    if (message.type === "follow") this.#follow(message.after, send);
    else if (message.type === "go") this.#go(message, send);
    else if (message.type === "resume") this.#resume(send);
    else if (message.type === "replace") void this.#replace(message, send);
    else if (message.type === "abort") this.#abort(send);
    else this.#restartNow(send);
  }

  #follow(after: number, send: (answer: FromRunner) => void): void {
    const { journal } = this.#world;
    for (const entry of journal.entries) if (entry.seq > after) send({ type: "journal", entry });
    const detachers = this.#detachers.get(send);
    detachers?.push(journal.listen((entry) => send({ type: "journal", entry })));
    const onReport = (report: BaseReport) =>
      send({ type: "report", report: { ...report, ...this.#secretsLeft() } });
    if (this.#report !== undefined) onReport(this.#report);
    else {
      this.#reportListeners.add(onReport);
      detachers?.push(() => this.#reportListeners.delete(onReport));
    }
  }

  #go(message: Extract<FromOperator, { type: "go" }>, send: (answer: FromRunner) => void): void {
    const payload = this.#payload;
    if (this.#state !== "waiting" || this.#replacing || this.#aborted || !("planDigest" in payload)) {
      send({ type: "refused", message: `GO comes too late: the runner is ${this.#state}` });
      return;
    }
    if (message.planDigest !== payload.planDigest) {
      send({ type: "refused", message: "GO names another plan than the payload has" });
      return;
    }
    this.#sealed = [...this.#sealed, message.sealed];
    writeFileSync(this.#world.goFile, this.#sealed.join("\n"), { mode: 0o600 });
    this.#work();
  }

  #resume(send: (answer: FromRunner) => void): void {
    if (this.#state !== "failed" || !this.#ponr || this.#replacing) {
      send({ type: "refused", message: `there is nothing to resume: the runner is ${this.#state}` });
    } else if (this.#sealed.length === 0) {
      send({
        type: "refused",
        message: "the secrets that came with GO were wiped",
        hint: "send them again, with the definition: imgbuild resume HOST --with DEF",
      });
    } else {
      this.#report = undefined;
      this.#work();
    }
  }

  /** Replaces a plan that can never succeed: the old system is gone, and there is nothing else to return to. */
  async #replace(
    message: Extract<FromOperator, { type: "replace" }>,
    send: (answer: FromRunner) => void,
  ): Promise<void> {
    const idle = this.#state === "failed" || this.#state === "waiting";
    if (!this.#ponr || !idle || this.#replacing) {
      send({
        type: "refused",
        message: `another plan is accepted only when a build failed after the first write; the runner is ${this.#state}`,
      });
      return;
    }
    this.#replacing = true;
    try {
      const planDigest = await this.#world.replace(message.publicKey, Buffer.from(message.payload, "base64"));
      this.#payload = { planDigest };
      this.#report = undefined;
      this.#setState("waiting");
      send({ type: "replaced", planDigest });
    } catch (error) {
      send({ type: "refused", message: messageOf(error) });
    } finally {
      this.#replacing = false;
    }
  }

  #work(): void {
    this.#wipeAt = undefined;
    this.#setState("working");
    this.#workUnderDeadMan().then(
      () => this.#end("done", undefined),
      (error: unknown) => this.#end("failed", error),
    );
  }

  async #workUnderDeadMan(): Promise<void> {
    if (!this.#ponr) this.#world.deadMan.rearm();
    await this.#world.work(this.#sealed, () => this.#cross());
  }

  /** The point of no return. What brings the old system back ends here and not before. */
  async #cross(): Promise<void> {
    if (this.#aborted) throw aborted();
    this.#crossing = true;
    try {
      if (!this.#ponr) await this.#world.deadMan.standDown();
      this.#world.journal.add({ type: "ponr" });
      this.#ponr = true;
    } finally {
      this.#crossing = false;
    }
  }

  #abort(send: (answer: FromRunner) => void): void {
    if (this.#ponr || this.#crossing) {
      const written =
        this.#state === "done" ? "the new system is on the disks" : "the disks are being written";
      send({
        type: "refused",
        message: `${this.#state === "failed" ? "the disks were written" : written} already; there is no old system to return to`,
        hint: "`imgbuild follow` shows how far it is",
      });
      return;
    }
    send({ type: "returning" });
    if (this.#aborted) return;
    this.#aborted = true;
    this.#world.log.info("aborted by the operator: returning to the old system");
    this.#world.stop(aborted());
    this.#world.later(abortAfterMs, () => void this.#restart());
  }

  readonly #restart = (): Promise<never> => this.#world.restart(this.#ponr);

  #restartNow(send: (answer: FromRunner) => void): void {
    if (this.#state === "done" || (this.#state === "failed" && !this.#ponr)) void this.#restart();
    else
      send({
        type: "refused",
        message: `the runner is ${this.#state}; a restart now would leave a half-built system`,
      });
  }

  #end(outcome: "done" | "failed", error: unknown): void {
    const { journal, later } = this.#world;
    this.#report = this.#world.report(outcome, this.#ponr, error);
    if (outcome === "failed" && this.#ponr) this.#wipeLater();
    else this.#wipe();
    this.#setState(outcome, error);
    for (const listener of this.#reportListeners) listener(this.#report);
    if (outcome === "done") later(restartAfterMs, () => void this.#restart());
    else if (!this.#ponr) {
      if (this.#aborted) return;
      journal.add({
        type: "info",
        message: `no disk was written; returning to the old system in ${returnAfterMs / 1000} s`,
      });
      later(returnAfterMs, () => void this.#restart());
    } else journal.add({ type: "info", message: "the base stays up: the disks have no finished system" });
  }

  /** Seconds until the secrets are wiped; of interest only where the build can be resumed. */
  #secretsLeft(): { secretsSeconds?: number } {
    if (this.#sealed.length === 0) return this.#ponr && this.#state !== "done" ? { secretsSeconds: 0 } : {};
    if (this.#wipeAt === undefined) return {};
    return { secretsSeconds: Math.max(0, Math.round((this.#wipeAt - this.#world.now()) / 1000)) };
  }

  #wipeLater(): void {
    if (this.#sealed.length === 0) return;
    const at = this.#world.now() + secretsKeptMs;
    this.#wipeAt = at;
    this.#world.later(secretsKeptMs, () => {
      // It was resumed in the meantime; if that failed too, a later timer wipes them.
      if (this.#wipeAt !== at) return;
      this.#world.journal.add({ type: "info", message: "the secrets that came with GO were wiped" });
      this.#wipe();
      // Copies of the opened secrets may be anywhere in this process.
      this.#world.forget();
    });
  }

  #wipe(): void {
    this.#sealed = [];
    this.#wipeAt = undefined;
    wipeFile(this.#world.goFile);
  }

  #setState(state: RunnerState, error?: unknown): void {
    this.#state = state;
    this.#world.journal.add({
      type: "state",
      state,
      ...(error === undefined ? {} : { message: messageOf(error) }),
      ...(error instanceof Fail && error.hint !== undefined ? { hint: error.hint } : {}),
    });
  }
}

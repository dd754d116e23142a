export interface Program {
  main(argv: readonly string[]): Promise<void>;
  /** Keeps what has been compiled, for the next start. */
  remember(): void;
}
export function loadProgram(top: string): Promise<Program | undefined>;

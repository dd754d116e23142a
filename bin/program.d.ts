export interface Program {
  main(argv: readonly string[]): Promise<void>;
}
export function loadProgram(top: string): Promise<Program | undefined>;

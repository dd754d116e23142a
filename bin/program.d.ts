export interface Program {
  main(argv: readonly string[]): Promise<void>;
}
export function loadProgram(top: string): Promise<Program | undefined>;
export function loadMade(directory: string): Promise<Program>;
export function bundleProgram(
  top: string,
  placeOf: (path: string) => string,
): Promise<Map<string, Uint8Array>>;

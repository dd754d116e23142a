export function programFile(top: string): Promise<string | undefined>;

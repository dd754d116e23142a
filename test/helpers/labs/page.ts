const pageMs = 30_000;

/** The front page of the guest behind a forwarded port, with basic authentication where a user is given. */
export async function fetchPage(
  port: number,
  user?: string,
  password?: string,
): Promise<{ status: number; body: string }> {
  const headers: Record<string, string> =
    user === undefined
      ? {}
      : { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers, signal: AbortSignal.timeout(pageMs) });
  return { status: response.status, body: await response.text() };
}

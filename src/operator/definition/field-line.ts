/**
 * Where in a definition's text a field is said. No compiler: a tolerant reader of object and array literals, calls and constants,
 * which is exact for literals and else answers with the nearest thing around. It only serves messages.
 */

type Kind = "object" | "array" | "call" | "name" | "other";

interface Node {
  readonly kind: Kind;
  readonly start: number;
  /** Of an object. */
  readonly entries: Map<string, Node>;
  /** Items of an array, arguments of a call, or what an object spreads; undefined stands for a spread among items. */
  readonly items: (Node | undefined)[];
  readonly name: string;
}

interface Token {
  readonly text: string;
  readonly start: number;
  readonly kind: "name" | "string" | "other";
}

const closers = new Set(["}", "]", ")"]);
/** Constants that stand for constants are followed this far. */
const maxHops = 10;

/**
 * The line (from 1) that says the value at `path`, or the nearest line around it. Where that is not exact, because a function
 * makes the value, the first string `says` from there on is taken for it.
 */
export function lineOf(text: string, path: readonly (string | number)[], says?: string): number {
  const tokens = tokenize(text);
  const { root, constants } = parse(tokens);
  let node = root;
  for (const key of path) {
    const next: Node | undefined = node && child(node, key, constants, 0);
    if (next !== undefined) node = next;
    // A call may wrap what it is given into more levels; a literal that lacks the key has nothing nearer.
    else if (node?.kind !== "call") break;
  }
  const from = node?.start ?? 0;
  const said = tokens.find(
    ({ kind, start, text: one }) => kind === "string" && start >= from && one === says,
  );
  return text.slice(0, said?.start ?? from).split("\n").length;
}

function child(
  node: Node,
  key: string | number,
  constants: ReadonlyMap<string, Node>,
  hops: number,
): Node | undefined {
  if (hops > maxHops) return undefined;
  if (node.kind === "name") {
    const meant = constants.get(node.name);
    return meant && child(meant, key, constants, hops + 1);
  }
  if (typeof key === "number" && node.kind !== "object") {
    return node.items.slice(0, key).includes(undefined) ? undefined : node.items[key];
  }
  const own = node.entries.get(String(key));
  if (own !== undefined || node.kind === "array") return own;
  for (const item of node.items) {
    const found = item && child(item, key, constants, hops + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

function parse(tokens: readonly Token[]): { root: Node | undefined; constants: Map<string, Node> } {
  const constants = new Map<string, Node>();
  let root: Node | undefined;
  for (let i = 0; i < tokens.length; i += 1) {
    const text = tokens[i]!.text;
    const next = tokens[i + 1];
    if (text === "export" && next?.text === "default") root = expression(tokens, said(tokens, i + 2)).node;
    if (!["const", "let", "var"].includes(text) || next?.kind !== "name") continue;
    let at = i + 2;
    while (at < tokens.length && !["=", ";"].includes(tokens[at]!.text)) at += 1;
    if (tokens[at]?.text === "=" && !constants.has(next.text))
      constants.set(next.text, expression(tokens, at + 1).node);
  }
  return { root, constants };
}

/** Where that begins which an exported expression says: for a function of parameters, what it returns. */
function said(tokens: readonly Token[], from: number): number {
  if (tokens[from]?.text !== "imageWith") return from;
  let open = 0;
  let body: number | undefined;
  for (let at = from + 1; at < tokens.length; at += 1) {
    const { text } = tokens[at]!;
    if (open === 1 && text === "=>") {
      if (tokens[at + 1]?.text !== "{") return at + 1;
      body = at + 1;
    }
    if (open === 2 && body !== undefined && text === "return") return at + 1;
    if (["{", "[", "("].includes(text)) open += 1;
    else if (closers.has(text)) open -= 1;
  }
  return from;
}

/** Reads one expression and gives the index of the `,` or closing token after it. */
function expression(tokens: readonly Token[], from: number): { node: Node; end: number } {
  let at = from;
  while (["await", "("].includes(tokens[at]?.text ?? "")) at += 1;
  const opened = tokens.slice(from, at).filter((token) => token.text === "(").length;
  const first = tokens[at];
  let node = plainNode(first, "other");
  let after = at + 1;
  if (first?.text === "{") ({ node, end: after } = object(tokens, at));
  else if (first?.text === "[") ({ node, end: after } = list(tokens, at, "array"));
  else if (first?.kind === "name") {
    while (tokens[after]?.text === "." && tokens[after + 1]?.kind === "name") after += 2;
    node = { ...plainNode(first, "name"), name: first.text };
    if (tokens[after]?.text === "(") {
      const call = list(tokens, after, "call");
      node = { ...call.node, start: first.start };
      after = call.end;
    }
  } else if (first !== undefined && closers.has(first.text)) after = at;
  const end = skip(tokens, after, opened);
  // Anything chained to it, as `.map(…)` or an arrow, makes another value of it.
  const chained = [".", "?.", "=", "?"].includes(tokens[after]?.text ?? "");
  return { node: chained ? plainNode(first, "other") : node, end };
}

/** The index of the first `,`, `;` or closing token outside any bracket, `depth` brackets being open already. */
function skip(tokens: readonly Token[], from: number, depth: number): number {
  let open = depth;
  for (let at = from; at < tokens.length; at += 1) {
    const { text } = tokens[at]!;
    if (open === 0 && (closers.has(text) || text === "," || text === ";")) return at;
    if (["{", "[", "("].includes(text)) open += 1;
    else if (closers.has(text)) open -= 1;
  }
  return tokens.length;
}

function object(tokens: readonly Token[], from: number): { node: Node; end: number } {
  const node = plainNode(tokens[from], "object");
  let at = from + 1;
  while (at < tokens.length && tokens[at]!.text !== "}") {
    const key = tokens[at]!;
    const colon = tokens[at + 1]?.text === ":";
    const value = key.text === "..." || !colon ? undefined : expression(tokens, at + 2);
    if (key.text === "...") {
      const spread = expression(tokens, at + 1);
      node.items.push(spread.node);
      at = spread.end;
    } else if (value !== undefined) {
      // Known by its key: that is where a person looks, even when the value begins on the next line.
      node.entries.set(key.text, { ...value.node, start: key.start });
      at = value.end;
    } else {
      if (key.kind === "name" && [",", "}"].includes(tokens[at + 1]?.text ?? ""))
        node.entries.set(key.text, { ...plainNode(key, "name"), name: key.text });
      at = skip(tokens, at, 0);
    }
    if (tokens[at]?.text !== "}") at += 1;
  }
  return { node, end: at + 1 };
}

function list(tokens: readonly Token[], from: number, kind: "array" | "call"): { node: Node; end: number } {
  const node = plainNode(tokens[from], kind);
  let at = from + 1;
  while (at < tokens.length && !closers.has(tokens[at]!.text)) {
    const spread = tokens[at]!.text === "...";
    const item = expression(tokens, spread ? at + 1 : at);
    node.items.push(spread ? undefined : item.node);
    at = item.end;
    if (tokens[at]?.text === "," || tokens[at]?.text === ";") at += 1;
  }
  return { node, end: at + 1 };
}

function plainNode(token: Token | undefined, kind: Kind): Node {
  return { kind, start: token?.start ?? 0, entries: new Map(), items: [], name: "" };
}

/** Names, string literals (by their content) and punctuation; comments and white space left out, templates as one token. */
function tokenize(text: string): Token[] {
  const pattern =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|\s+|([A-Za-z_$][\w$]*)|"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|`(?:[^`\\]|\\[\s\S])*`|[\d.][\w.]*(?<!^\.)|\.\.\.|\?\.|=>|[\s\S]/g;
  const tokens: Token[] = [];
  for (const match of text.matchAll(pattern)) {
    const [whole, name, double, single] = match;
    const start = match.index;
    if (/^(\s|\/\/|\/\*)/.test(whole)) continue;
    if (name !== undefined) tokens.push({ text: name, start, kind: "name" });
    else if (double !== undefined || single !== undefined)
      tokens.push({ text: (double ?? single)!, start, kind: "string" });
    else tokens.push({ text: whole, start, kind: "other" });
  }
  return tokens;
}

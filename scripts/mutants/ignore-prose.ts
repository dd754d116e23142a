/** What this needs of a node of the syntax tree: its own shape differs from type to type. */
interface Node {
  readonly type: string;
  readonly callee: Node;
  readonly name?: string;
  readonly property: Node;
  readonly key?: Node;
  readonly properties: readonly Node[];
  readonly arguments: readonly Node[];
}
interface Path {
  readonly node: Node;
  findParent(is: (path: Path) => boolean): Path | null;
}

/** Calls whose words are read by people. A condition among them is changed as anywhere else. */
const speaking = new Set(["Fail", "Error", "TypeError", "during", "task", "note", "warn", "describe"]);
const words = new Set(["StringLiteral", "TemplateLiteral", "TemplateElement"]);
const spoken = new Set(["hint", "doing", "summary", "what", "reason", "cause"]);
const reason = "the words of a message";

/** Leaves the words of messages as they are; a plugin of Stryker's. */
export const ignoreProse = {
  shouldIgnore(path: Path): string | undefined {
    const { node } = path;
    if (node.type === "ObjectExpression" && node.properties.every(({ key }) => isSpoken(key)))
      return node.properties.length > 0 ? reason : undefined;
    if (!words.has(node.type)) return undefined;
    const around = path.findParent((parent) =>
      ["NewExpression", "CallExpression"].includes(parent.node.type),
    );
    if (around !== null && speaking.has(calleeName(around.node.callee) ?? "")) return reason;
    // What a step is doing: `stepData(step, "formatting root", …)`.
    if (around !== null && calleeName(around.node.callee) === "stepData" && around.node.arguments[1] === node)
      return reason;
    const property = path.findParent((parent) => parent.node.type === "ObjectProperty");
    return isSpoken(property?.node.key) ? reason : undefined;
  },
};

function isSpoken(key: Node | undefined): boolean {
  return key?.name !== undefined && spoken.has(key.name);
}

function calleeName(callee: Node): string | undefined {
  return callee.type === "MemberExpression" ? callee.property.name : callee.name;
}

// @ts-nocheck
import { declareClassPlugin, PluginKind } from "@stryker-mutator/api/plugin";

/** Calls whose words are read by people. A condition among them is changed as anywhere else. */
const speaking = new Set(["Fail", "Error", "TypeError", "during", "task", "note", "warn", "describe"]);
const words = new Set(["StringLiteral", "TemplateLiteral", "TemplateElement"]);
const spoken = new Set(["hint", "doing", "summary", "what", "reason", "cause"]);
const reason = "the words of a message";

class IgnoreProse {
  shouldIgnore(path) {
    const { node } = path;
    if (node.type === "ObjectExpression" && node.properties.every(({ key }) => spoken.has(key?.name)))
      return node.properties.length > 0 ? reason : undefined;
    if (!words.has(node.type)) return undefined;
    const around = path.findParent((one) => ["NewExpression", "CallExpression"].includes(one.node.type));
    if (around !== null && speaking.has(nameOf(around.node.callee))) return reason;
    // What a step is doing: `stepData(step, "formatting root", …)`.
    if (around !== null && nameOf(around.node.callee) === "stepData" && around.node.arguments[1] === node)
      return reason;
    const property = path.findParent((one) => one.node.type === "ObjectProperty");
    return spoken.has(property?.node.key?.name) ? reason : undefined;
  }
}

function nameOf(callee) {
  return callee.type === "MemberExpression" ? callee.property.name : callee.name;
}

export const strykerPlugins = [declareClassPlugin(PluginKind.Ignore, "prose", IgnoreProse)];

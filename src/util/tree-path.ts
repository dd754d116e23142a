import { dirname } from "node:path";

/** The path behind the links of the merged /usr. */
export function mergedUsr(path: string): string {
  return path.replace(/^\/(s?bin|lib|lib64)(?=\/|$)/, "/usr/$1");
}

/** The directories in which an absolute path lies, the innermost first, "/" last; "/" itself lies in none. */
export function parentsOf(path: string): string[] {
  const parents: string[] = [];
  for (let at = path; at !== "/"; parents.push(at)) at = dirname(at);
  return parents;
}

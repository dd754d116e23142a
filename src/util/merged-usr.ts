/** The path behind the links of the merged /usr. */
export function mergedUsr(path: string): string {
  return path.replace(/^\/(s?bin|lib|lib64)(?=\/|$)/, "/usr/$1");
}

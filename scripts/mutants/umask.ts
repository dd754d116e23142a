// A thread may not set the process' umask: here it only remembers what it was asked to set.
let mask = 0o022;

process.umask = (next?: number | string): number => {
  const before = mask;
  if (next !== undefined) mask = typeof next === "string" ? Number.parseInt(next, 8) : next;
  return before;
};

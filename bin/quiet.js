const { emitWarning } = process;

/** Older versions of Node 20 call X25519 experimental at every opening of an age file. All other warnings are shown. */
process.emitWarning = (warning, ...rest) => {
  const type = typeof rest[0] === "string" ? rest[0] : rest[0]?.type;
  if (type === "ExperimentalWarning" && /^The X25519 Web Crypto API/.test(String(warning))) return;
  Reflect.apply(emitWarning, process, [warning, ...rest]);
};

// What an import of a YAML file gives. It is checked as part of the definition that uses it.
declare module "*.yaml" {
  // biome-ignore lint/suspicious/noExplicitAny: as an import of JSON, it may be given wherever its data fits
  const data: any;
  export default data;
}
declare module "*.yml" {
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const data: any;
  export default data;
}

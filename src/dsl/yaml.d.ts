// What an import of a YAML file gives. The definition's check says what is wrong with what is made of it.
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

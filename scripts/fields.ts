// Writes docs/FIELDS.md, every field of a definition, from the schema.
import { writeFileSync } from "node:fs";
import { fieldsPage } from "./fields/page.ts";

writeFileSync("docs/FIELDS.md", fieldsPage());

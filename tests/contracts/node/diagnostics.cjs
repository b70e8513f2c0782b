// Prints, as JSON, what AsyncAPI's own parser finds in the document on standard input.
const { Parser } = require("@asyncapi/parser");
const { readFileSync } = require("node:fs");

new Parser().validate(readFileSync(0, "utf-8")).then((found) => process.stdout.write(JSON.stringify(found)));

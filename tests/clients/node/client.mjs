// Embeds with the official client for Node; see ../python_clients.py for what it prints.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [packages, url, model] = process.argv.slice(2);
const require = createRequire(`${packages}/`);
const OpenAI = require("openai");

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "secret", maxRetries: 0 });
const texts = ["a blue mug", "running shoes", "größer & ☕"];
const answer = await client.embeddings.create({ model, input: texts, user: "u1" });
const query = await client.embeddings.create({ model, input: "mug", encoding_format: "float" });
const refusal = await client.embeddings
  .create({ model, input: ["a", ""] })
  .then(() => "none", (error) => (error.status === 400 ? error.type : String(error)));
const models = [];
for await (const listed of client.models.list()) models.push(listed.id);

process.stdout.write(
  JSON.stringify({
    texts: answer.data.map((item) => item.embedding),
    query: query.data[0].embedding,
    refusal,
    models,
    version: JSON.parse(readFileSync(`${packages}/node_modules/openai/package.json`)).version,
  }),
);

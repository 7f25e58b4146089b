// Runs against a server at SHELFSIGHT_URL that has the products of 2.png and 3.png in PHOTOS.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Shelfsight, ShelfsightError } from "../dist/index.js";

const shop = new Shelfsight(process.env.SHELFSIGHT_URL);
const photo = (name) => readFileSync(`${process.env.PHOTOS}/${name}.png`);
const base64 = (name) => photo(name).toString("base64");
const skus = ({ matches }) => matches.map((match) => match.sku);

test("a photo finds its product", async () => {
  const answer = await shop.scan({ images: [{ base64: base64(2) }], limit: 1 });
  assert.deepEqual(skus(answer), ["sku-2"]);
  const [match] = answer.matches;
  assert.equal(match.productUrl, "https://shop.test/sku-2");
  assert.equal(match.combinedScore, match.score);
  assert.equal(answer.results[0].sourceType, "image");
});

test("files are sent as a form, with the other fields", async () => {
  const files = [2, 3].map((name) => new Blob([photo(name)]));
  const answer = await shop.scanFiles(files, { limit: 1, filters: { skus: ["sku-3"] } });
  assert.deepEqual(answer.results.map((result) => result.sourceIndex), [0, 1]);
  assert.deepEqual(skus(answer), ["sku-3"]);
  assert.deepEqual(skus(await shop.scanFiles(files[0], { limit: 1 })), ["sku-2"]);
});

test("the things in a photo have boxes, and each is scanned alone", async () => {
  const images = [{ base64: base64("table") }];
  const boxes = await shop.boxes({ images });
  assert.equal(boxes.length, 2);
  assert.ok(boxes[0].x < boxes[1].x);
  const scans = boxes.map((box) => shop.scan({ images, box, limit: 1, threshold: -1 }));
  assert.deepEqual((await Promise.all(scans)).map(skus).map(({ length }) => length), [1, 1]);
});

test("words find a SKU, and a stored product has similar ones", async () => {
  const [match] = (await shop.scan({ textQuery: "sku-4", limit: 1 })).matches;
  assert.equal(match.sku, "sku-4");
  const similar = await shop.similar(match.ProductVariantId, { limit: 2 });
  assert.equal(similar.matches.length, 2);
  assert.ok(!skus(similar).includes("sku-4"));
});

test("each photo is an event of a stream, and the last one is the whole response", async () => {
  const images = [{ base64: base64(2) }, { base64: base64(3) }, { base64: "aGk=" }];
  const events = [];
  for await (const event of shop.stream({ images, limit: 1 })) events.push(event);
  assert.deepEqual(events[0], { event: "progress", data: { done: 0, total: 3 } });
  const photos = events.filter(({ event }) => event === "photo").map(({ data }) => data);
  assert.equal(photos.filter(({ error }) => error !== null).length, 1);
  const last = events.at(-1);
  assert.equal(last.event, "end");
  assert.deepEqual(last.data.results.flatMap(skus).sort(), ["sku-2", "sku-3"]);
});

test("a stream may be left early", async () => {
  for await (const { event } of shop.stream({ textQuery: "sku-1" })) {
    assert.equal(event, "progress");
    break;
  }
});

test("feedback is stored", async () => {
  const { scanId, matches } = await shop.scan({ textQuery: "sku-4", limit: 1 });
  const productVariantId = matches[0].ProductVariantId;
  const stored = await shop.feedback({ scanId, verdict: "right", productVariantId });
  assert.equal(stored.productVariantId, productVariantId);
});

test("a refusal has its status and kind", async () => {
  const refused = (status, kind) => (error) =>
    error instanceof ShelfsightError && error.status === status && error.kind === kind;
  const broken = { imageBase64: photo("broken").toString("base64") };
  await assert.rejects(shop.scan(broken), refused(415, "not_an_image"));
  await assert.rejects(shop.similar("none"), refused(404, "product_unknown"));
  await assert.rejects(shop.stream({}).next(), refused(422, "bad_request"));
  await assert.rejects(shop.feedback({ scanId: "none", verdict: "none" }), refused(404, "scan_unknown"));
});

test("a server says whether it is ready", async () => {
  assert.deepEqual(await shop.ready(), { ready: true, problems: [], notes: [] });
});

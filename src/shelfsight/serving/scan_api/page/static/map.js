// Draws the map: products by their image vectors in two dimensions, and a scan's photo and matches.

import { ApiError, request } from "./api.js";
import { percent, t } from "./messages.js";
import { showPicture } from "./pictures.js";
import { plainText } from "./plain.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 320;
const HEIGHT = 260;
const MARGIN = 16;
const TIP_DISTANCE = 12; // largest distance of the pointer from a product to show its tip
const NUMBERED = 3; // number of matches that are marked with their rank

const svg = document.getElementById("map");
const plot = document.getElementById("plot");
const tip = document.getElementById("tip");
const label = document.getElementById("map-label");
const note = document.getElementById("map-note");
const details = document.getElementById("map-details");
const layers = {
  products: document.getElementById("map-products"),
  matches: document.getElementById("map-matches"),
  photo: document.getElementById("map-photo"),
};

let map = { version: "", products: [], count: 0, explained: 0 };
let scan = { photo: null, products: [] };
let dots = []; // the drawn products, each with its SVG coordinates `at`
let tipProduct; // the product whose tip is shown

/** Fetch the current map, and draw it. */
export async function load() {
  map = await request("catalogue/map");
  scan = { photo: null, products: [] };
  draw();
}

/** Draw the photo and the matches of a scan on the map. */
export async function showScan(scanId) {
  const path = `catalogue/map/places?scanId=${encodeURIComponent(scanId)}`;
  const located = await request(path);
  if (located.version !== map.version) map = await request("catalogue/map");
  scan = located;
  draw();
}

/** Take the photo and the matches of a scan off the map. */
export function clearScan() {
  scan = { photo: null, products: [] };
  draw();
}

/** Highlight the match with this id; without an id, remove the highlight. */
export function highlight(id) {
  for (const mark of layers.matches.children) {
    mark.classList.toggle("pointed", mark.dataset.id === id);
  }
}

function draw() {
  const shown = new Set(scan.products.map(({ id }) => id));
  const others = map.products.filter(({ id }) => !shown.has(id));
  const photos = scan.photo ? [scan.photo] : [];
  const project = projection([...map.products, ...scan.products, ...photos]);
  dots = [...scan.products, ...others].map((product) => ({ ...product, at: project(product) }));
  const matches = dots.slice(0, scan.products.length);
  layers.products.replaceChildren(...dots.slice(matches.length).map(({ at }) => dot(at, 2.6)));
  layers.matches.replaceChildren(...matches.map(matchMark).reverse());
  layers.photo.replaceChildren(
    ...photos.flatMap((photo) => photoMark(project(photo), matches[0]?.at)),
  );
  document.getElementById("legend").hidden = map.products.length === 0;
  document.getElementById("key-match").hidden = matches.length === 0;
  document.getElementById("key-photo").hidden = scan.photo === null;
  describe(matches);
}

/** Return a function from map to SVG coordinates. Both axes have the same scale. */
function projection(points) {
  const [left, right] = range(points.map(({ x }) => x));
  const [low, high] = range(points.map(({ y }) => y));
  const scale = Math.min(
    (WIDTH - 2 * MARGIN) / (right - left || 1),
    (HEIGHT - 2 * MARGIN) / (high - low || 1),
  );
  return ({ x, y }) => [
    WIDTH / 2 + (x - (left + right) / 2) * scale,
    HEIGHT / 2 - (y - (low + high) / 2) * scale,
  ];
}

function range(values) {
  return [values.reduce((a, b) => Math.min(a, b), 0), values.reduce((a, b) => Math.max(a, b), 0)];
}

function matchMark({ at, id }, index) {
  const group = make("g", { class: "mark" });
  group.dataset.id = id;
  group.append(dot(at, index < NUMBERED ? 7.5 : 4));
  if (index < NUMBERED) {
    const number = make("text", { x: at[0], y: at[1] + 3.4 });
    number.textContent = index + 1;
    group.append(number);
  }
  return group;
}

function photoMark(at, nearest) {
  const line = nearest && make("line", { x1: at[0], y1: at[1], x2: nearest[0], y2: nearest[1] });
  return [...(line ? [line] : []), dot(at, 10), dot(at, 4)];
}

function dot([cx, cy], r) {
  return make("circle", { cx: cx.toFixed(1), cy: cy.toFixed(1), r });
}

function make(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function describe(matches) {
  details.hidden = !map.products.length;
  if (!map.products.length) {
    note.textContent = t("map.later");
    label.textContent = t("map.empty");
    return;
  }
  note.textContent = t("map.note");
  details.querySelector("p").textContent =
    t("map.explained", { share: percent(map.explained), pictures: map.count });
  const near = scan.photo && matches.length
    ? t("map.near", { title: plainText(matches[0].title) }) : "";
  label.textContent = `${t("map.label", { products: map.products.length })} ${near}`.trim();
}

function nearestTo(event) {
  const box = svg.getBoundingClientRect();
  const scale = WIDTH / box.width;
  const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  let best;
  for (const product of dots) {
    const distance = Math.hypot(product.at[0] - x, product.at[1] - y);
    if (distance < (best?.distance ?? TIP_DISTANCE)) best = { product, distance };
  }
  return best?.product;
}

function showTip(product) {
  if (product === tipProduct) return;
  tipProduct = product;
  tip.hidden = !product;
  if (!product) return;
  const { id, imageUrl, title, at: [x, y] } = product;
  tip.querySelector("span").textContent = plainText(title) || t("match.untitled");
  tip.style.setProperty("--x", x / WIDTH);
  tip.style.setProperty("--y", y / HEIGHT);
  tip.classList.toggle("below", y < HEIGHT / 2);
  const image = tip.querySelector("img").cloneNode();
  image.removeAttribute("src");
  tip.querySelector("img").replaceWith(image);
  showPicture(image, { id, address: imageUrl, title: "" });
}

plot.addEventListener("pointermove", (event) => showTip(nearestTo(event)));
plot.addEventListener("pointerdown", (event) => showTip(nearestTo(event)));
plot.addEventListener("pointerleave", () => showTip());

/** Run `work`; if the API returns an error, show it in the note below the map. */
export async function showErrors(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.kind === "offline") return; // the banner says so
    note.textContent = t(`problem.${error.kind}`, { seconds: error.seconds });
  }
}

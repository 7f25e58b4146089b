// One scan: the photo and the words that are looked for, the request, and its answer.

import { askForKey, request } from "./api.js";
import * as box from "./box.js";
import * as map from "./map.js";
import * as matches from "./matches.js";
import { toBase64 } from "./photo.js";

const LIMIT = 10;
const NEAREST = -1; // a threshold that every product reaches

const byId = (id) => document.getElementById(id);
const [form, drop, selected, preview, words] =
  ["scan", "drop", "selected", "preview", "words"].map(byId);

let photo = null; // a File, a Blob, or the URL of a picture
let latestScan = 0; // number of the latest scan; responses to earlier scans are ignored
let productCount = 0;

/** Tell how many products a photo is compared with. */
export function setProductCount(count) {
  productCount = count;
}

/** Show a photo (a File, a Blob or an address), and look for it. */
export function selectPhoto(source) {
  photo = source;
  if (preview.src.startsWith("blob:")) URL.revokeObjectURL(preview.src);
  preview.src = typeof source === "string" ? source : URL.createObjectURL(source);
  box.reset();
  selected.hidden = false;
  drop.classList.add("filled");
  return scan();
}

/** Take the photo away. */
export function removePhoto() {
  photo = null;
  preview.removeAttribute("src");
  selected.hidden = true;
  drop.classList.remove("filled");
  byId("file").focus();
}

/** Look for the photo and the words; `extra` are further fields of the request. */
export async function scan(extra = {}) {
  if (!photo && !words.value.trim()) {
    words.focus();
    return;
  }
  const number = ++latestScan;
  form.classList.add("busy");
  matches.showProgress("reading");
  try {
    const body = { ...await scanRequest(), ...extra };
    matches.showProgress("comparing", productCount);
    const response = await request("products/orchestrate/quick-scan", body);
    if (number !== latestScan) return;
    const photoUrl = photo ? preview.src : "";
    matches.showResponse(response, { photoUrl, onPoint: map.highlight });
    map.showErrors(() => map.showScan(response.scanId));
  } catch (error) {
    if (number !== latestScan) return;
    showProblem(error);
  } finally {
    if (number === latestScan) form.classList.remove("busy");
  }
  matches.focusResults();
}

/** Show a problem, with the button that helps. */
export function showProblem(error) {
  matches.showProblem(error, {
    retry: () => scan(),
    choose: () => byId("file").click(),
    key: enterKey,
  });
}

async function enterKey() {
  try {
    await askForKey("");
  } catch {
    return; // the sentence that asks for the key stays
  }
  document.dispatchEvent(new Event("key"));
  await scan();
}

async function scanRequest() {
  const text = words.value.trim();
  const options = { limit: LIMIT, groupBy: "product", ...(text && { textQuery: text }) };
  if (typeof photo === "string") return { ...options, ...box.field(), imageUrl: photo };
  return photo ? { ...options, ...box.field(), imageBase64: await toBase64(photo) } : options;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  scan();
});
box.watch(() => scan());
byId("remove").addEventListener("click", removePhoto);
byId("absent-nearest").addEventListener("click", () => scan({ threshold: NEAREST }));
byId("absent-words").addEventListener("click", () => words.focus());

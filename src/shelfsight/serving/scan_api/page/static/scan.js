// One scan: the photo and the words that are looked for, the request, and its answer.

import { ApiError, askForKey, request } from "./api.js";
import * as box from "./box.js";
import * as map from "./map.js";
import * as matches from "./matches.js";
import { photoFields, photoParts } from "./photo.js";

const SCAN = "products/orchestrate/quick-scan";
const BOXES = "products/orchestrate/boxes";
const OPTIONS = { limit: 10, groupBy: "product" };
const NEAREST = -1; // a threshold that every product reaches

const byId = (id) => document.getElementById(id);
const [form, drop, selected, preview, words, takeApart] =
  ["scan", "drop", "selected", "preview", "words", "take-apart"].map(byId);

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
  takeApart.hidden = typeof source === "string"; // a page may not read a picture of another site
  drop.classList.add("filled");
  return scan();
}

/** Take the photo away. */
export function removePhoto() {
  photo = null;
  preview.removeAttribute("src");
  selected.hidden = true;
  drop.classList.remove("filled");
}

/** Begin anew: without a photo, and without the answer to the last scan. */
export function clear() {
  cancel();
  removePhoto();
  matches.clear();
  map.clearScan();
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
    const response = await request(SCAN, body);
    if (number !== latestScan) return;
    show(response);
  } catch (error) {
    if (number !== latestScan) return;
    showProblem(error);
  } finally {
    if (number === latestScan) form.classList.remove("busy");
  }
  matches.focusResults();
}

/** Return the things in the photo as Files; null if it was said why not. */
export async function thingsInPhoto() {
  const number = ++latestScan;
  form.classList.add("busy");
  matches.showProgress("separating");
  try {
    const { boxes } = await request(BOXES, await photoFields(photo));
    if (boxes.length < 2) throw new ApiError("single");
    const things = await photoParts(photo, boxes);
    return number === latestScan ? things : null;
  } catch (error) {
    if (number === latestScan) showProblem(error, () => takeApart.click());
    return null;
  } finally {
    if (number === latestScan) form.classList.remove("busy");
  }
}

/** Look for a code. Return what shows its product, or the problem; null if no product has it. */
export async function findCode(code) {
  let showOutcome;
  try {
    const response = await request(SCAN, { ...OPTIONS, textQuery: code });
    if (!response.matches[0]?.exactCode) return null;
    showOutcome = () => show(response);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    showOutcome = () => showProblem(error);
  }
  return () => {
    cancel();
    removePhoto();
    words.value = code;
    showOutcome();
    matches.focusResults();
  };
}

/** Ignore the answer to a scan that is under way. */
function cancel() {
  latestScan += 1;
  form.classList.remove("busy");
}

function show(response) {
  const photoUrl = photo ? preview.src : "";
  matches.showResponse(response, { photoUrl, onPoint: map.highlight });
  map.showErrors(() => map.showScan(response.scanId));
}

/** Show a problem, with the button that helps; `retry` does again what failed. */
export function showProblem(error, retry = () => scan()) {
  matches.showProblem(error, {
    retry,
    choose: () => byId("file").click(),
    mark: () => byId("box-start").click(),
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
  const options = { ...OPTIONS, ...(text && { textQuery: text }) };
  if (!photo) return options;
  const part = box.marked();
  if (typeof photo === "string") return { ...options, imageUrl: photo, ...(part && { box: part }) };
  return { ...options, ...await photoFields(photo, part) };
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  scan();
});
box.watch(() => scan());
byId("absent-nearest").addEventListener("click", () => scan({ threshold: NEAREST }));
byId("absent-words").addEventListener("click", () => words.focus());

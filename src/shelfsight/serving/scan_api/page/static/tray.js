// The tray of a delivery: several photos, each with its best match; confirmed and exported at once.

import { ApiError, request } from "./api.js";
import { likelihood, name } from "./card.js";
import { download, toCsv } from "./csv.js";
import * as feedback from "./feedback.js";
import { t } from "./messages.js";
import { photoFields } from "./photo.js";
import { showPicture } from "./pictures.js";

const OPTIONS = { limit: 10, threshold: -1 }; // also unlikely matches: one of them may be right
const AT_ONCE = 2; // scans at the same time
const MAX_WAITS = 10; // how often a photo waits for its turn when the server is busy
const NONE = ""; // the choice that no match is right

const byId = (id) => document.getElementById(id);
const [section, results, list, note, confirm, exporting] =
  ["tray", "results", "tray-rows", "tray-note", "tray-confirm", "tray-export"].map(byId);
const status = byId("status");

let rows = []; // of { file, item, response, confirmed }

/** Show photos (Files) as a tray, maybe those of the things in one photo, and look for each. */
export async function open(files, { ofOnePhoto = false } = {}) {
  close();
  rows = files.map((file) => ({ file, item: rowElement(file), response: null, confirmed: false }));
  list.replaceChildren(...rows.map(({ item }) => item));
  byId("tray-title").textContent = t(ofOnePhoto ? "tray.things" : "tray.title", {
    count: rows.length,
  });
  section.hidden = false;
  results.hidden = true;
  byId("tray-title").focus();
  await lookForAll(rows);
}

/** Leave the tray; what was found in it is gone. */
export function close() {
  for (const { item } of rows) URL.revokeObjectURL(item.querySelector("img").src);
  rows = [];
  section.hidden = true;
  results.hidden = false;
}

async function lookForAll(these) {
  const queue = [...these];
  updateButtons();
  const work = async () => {
    for (let row = queue.shift(); row && rows.includes(row); row = queue.shift()) await lookFor(row);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  status.textContent = note.textContent;
}

async function lookFor(row) {
  const say = row.item.querySelector(".confidence");
  row.item.querySelector(".again").hidden = true;
  say.textContent = t("progress.reading.unknown");
  try {
    const body = { ...OPTIONS, ...await photoFields(row.file) };
    row.response = await patiently(() => request("products/orchestrate/quick-scan", body));
    showChoices(row);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    say.textContent = t(`problem.${error.kind}`, { seconds: error.seconds });
    row.failed = true;
    row.item.querySelector(".again").hidden = false;
  }
  updateButtons();
}

/** Send a request again when the server says that it was too much at once. */
async function patiently(send) {
  for (let waits = 0; ; waits += 1) {
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof ApiError) || error.kind !== "busy" || waits === MAX_WAITS) throw error;
      await new Promise((resolve) => { setTimeout(resolve, 1000 * error.seconds); });
    }
  }
}

function rowElement(file) {
  const item = byId("tray-template").content.firstElementChild.cloneNode(true);
  const image = item.querySelector(".photo img");
  image.src = URL.createObjectURL(file);
  image.alt = file.name;
  item.querySelector("select").setAttribute("aria-label", t("tray.product", { photo: file.name }));
  item.querySelector(".again").onclick = () => lookFor(rows.find((row) => row.item === item));
  return item;
}

function showChoices(row) {
  const select = row.item.querySelector("select");
  row.failed = false;
  select.replaceChildren(
    ...row.response.matches.map((match) => option(
      match.ProductVariantId,
      match.sku ? `${name(match)} (${match.sku})` : name(match),
    )),
    option(NONE, t("none.button")),
  );
  if (isAbsent(row.response)) select.value = NONE;
  select.disabled = false;
  select.onchange = () => {
    row.confirmed = false;
    showChosen(row);
    updateButtons();
  };
  showChosen(row);
}

/** Whether it is likelier that the catalogue lacks the thing than that the first match is right. */
function isAbsent({ matches, notInCatalog }) {
  return !matches.length || (!matches[0].exactCode && notInCatalog > (matches[0].probability ?? 1));
}

function option(value, text) {
  const element = new Option(text, value);
  element.dir = "auto";
  return element;
}

function chosen({ item, response }) {
  const { value } = item.querySelector("select");
  return response.matches.find(({ ProductVariantId: id }) => id === value) ?? null;
}

function showChosen(row) {
  const match = chosen(row);
  const badge = row.item.querySelector(".confidence");
  badge.className = `confidence ${match?.confidence ?? "low"}`;
  badge.textContent = match ? likelihood(match) : t("found.nothing");
  const old = row.item.querySelector(".found img");
  const image = old.cloneNode();
  image.removeAttribute("src");
  old.replaceWith(image);
  showPicture(image, { id: match?.ProductVariantId, address: match?.imageUrl, title: "" });
}

function updateButtons() {
  const [done, confirmed, failed] = ["response", "confirmed", "failed"]
    .map((state) => rows.filter((row) => row[state]).length);
  confirm.disabled = done + failed < rows.length || done === confirmed;
  exporting.disabled = done + failed < rows.length;
  note.textContent = confirmed && confirmed === done
    ? t("tray.confirmed", { count: confirmed })
    : t("tray.done", { done, all: rows.length });
}

async function confirmAll() {
  confirm.disabled = true;
  for (const row of rows.filter(({ response, confirmed }) => response && !confirmed)) {
    const match = chosen(row);
    const { scanId } = row.response;
    try {
      await patiently(() => feedback.store(
        scanId, match ? "right" : "none", match?.ProductVariantId ?? null,
      ));
      row.confirmed = true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      row.item.querySelector(".confidence").textContent = t("feedback.lost");
    }
  }
  updateButtons();
  status.textContent = note.textContent;
}

function exportRows() {
  const head = ["photo", "sku", "title", "price", "probability", "answer"];
  download(toCsv([head, ...rows.map(csvRow)]), "delivery.csv");
}

function csvRow(row) {
  if (!row.response) return [row.file.name, "", "", "", "", "failed"];
  const match = chosen(row);
  if (!match) return [row.file.name, "", "", "", "", "none"];
  const answer = match === row.response.matches[0] ? "first" : "corrected";
  const { sku, price, probability } = match;
  return [row.file.name, sku, name(match), price, probability, answer];
}

confirm.addEventListener("click", confirmAll);
exporting.addEventListener("click", exportRows);
byId("tray-close").addEventListener("click", () => {
  close();
  byId("file").focus();
});

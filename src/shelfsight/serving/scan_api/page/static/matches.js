// Shows the matches of a scan as cards, with buttons for feedback.

import { ApiError, request } from "./api.js";
import { showPicture } from "./pictures.js";
import { plainText } from "./plain.js";

const list = document.getElementById("matches");
const title = document.getElementById("results-title");
const note = document.getElementById("results-note");
const errorNote = document.getElementById("problem");
const noneRow = document.getElementById("none-row");
const none = document.getElementById("none");
const noneNote = document.getElementById("none-note");
const status = document.getElementById("status");

const CONFIDENCE = { high: "High confidence", medium: "Medium confidence", low: "Low confidence" };
const REASONS = { code: "code", picture: "picture", color: "colour", words: "words" };
const INVITATION = noneNote.textContent;

/** Show that a scan is in progress. */
export function showBusy() {
  list.setAttribute("aria-busy", "true");
  errorNote.hidden = true;
  status.textContent = "Looking …";
}

/** Show a response; call `onPoint` with the id of the match that has the mouse or the focus. */
export function showResponse(response, onPoint) {
  const { matches } = response;
  clearStatus();
  title.textContent = heading(response);
  note.textContent = explanation(response);
  list.replaceChildren(...matches.map((match, index) => card(response, match, index, onPoint)));
  list.classList.toggle("single", response.recommendedAction === "show_single_match");
  noneRow.hidden = matches.length === 0;
  noneNote.textContent = INVITATION;
  setPressed(none, false);
  none.onclick = () => sendVerdict(response, null, "none", [none], noneNote);
  status.textContent = announcement(response);
}

/** Show an error instead of matches. */
export function showError(message) {
  clearStatus();
  title.textContent = "That did not work";
  note.textContent = "";
  errorNote.textContent = message;
  errorNote.hidden = false;
  list.replaceChildren();
  noneRow.hidden = true;
  status.textContent = "";
}

/** Move the focus to the results; scroll only if their heading is out of sight. */
export function focusResults() {
  title.focus({ preventScroll: true });
  const { top, bottom } = title.getBoundingClientRect();
  if (top < 0 || bottom > innerHeight * 0.5) title.scrollIntoView({ block: "start" });
}

function clearStatus() {
  document.getElementById("ghosts").hidden = true;
  list.removeAttribute("aria-busy");
  errorNote.hidden = true;
}

function heading({ matches, recommendedAction, confidence }) {
  if (!matches.length) return "No match";
  if (recommendedAction === "show_single_match") return "This is it";
  return confidence === "low" ? "Perhaps one of these" : "One of these";
}

function explanation({ matches, confidence, notInCatalog, hint, totalProcessingTimeMs }) {
  const time = `${Math.max(1, Math.round(totalProcessingTimeMs))} ms`;
  if (hint) return hint;
  if (!matches.length) {
    return "Nothing in the catalogue is near enough to be shown. Try a closer photo on a plain"
      + " background, or add words: a brand, a colour, a SKU.";
  }
  const advice = confidence === "low" ? " A closer photo or a few words may help." : "";
  return `${CONFIDENCE[confidence]}, ${time}.${chances(matches[0], notInCatalog)}${advice}`;
}

/** Say in words how probable the first match is, and that the catalogue lacks the thing. */
function chances({ probability, exactCode }, notInCatalog) {
  if (probability === null || exactCode) return "";
  const absent = notInCatalog === null ? "" : `, that the catalogue lacks it ${percent(notInCatalog)}`;
  return ` The chance that the first is right is ${percent(probability)}${absent}.`;
}

function percent(share) {
  return share > 0 && share < 0.01 ? "below 1%" : `${Math.round(share * 100)}%`;
}

function announcement({ matches, confidence }) {
  if (!matches.length) return "No match.";
  const count = matches.length === 1 ? "1 match" : `${matches.length} matches`;
  return `${count}, ${CONFIDENCE[confidence].toLowerCase()}. The first is ${name(matches[0])}.`;
}

function name(match) {
  return plainText(match.title) || match.sku || "a product without a title";
}

function card(response, match, index, onPoint) {
  const item = clone("match-template");
  const find = (selector) => item.querySelector(selector);
  const id = match.ProductVariantId;
  find(".rank").textContent = index + 1;
  find(".title").textContent = name(match);
  find(".facts").append(...facts(match));
  find(".description").textContent = plainText(match.description);
  const confidence = find(".confidence");
  confidence.textContent = match.exactCode ? "Exact code" : likelihood(match);
  confidence.classList.add(match.confidence);
  find(".scores").append(...scoreRows(match));
  showPicture(find(".picture img"), { id, address: match.imageUrl, title: name(match) });
  const buttons = [...item.querySelectorAll("[data-verdict]")];
  for (const button of buttons) {
    const { verdict } = button.dataset;
    button.setAttribute("aria-label", `${verdict === "right" ? "Right" : "Wrong"}: ${name(match)}`);
    button.onclick = () => sendVerdict(response, id, verdict, buttons, null, button);
  }
  for (const event of ["pointerenter", "focusin"]) item.addEventListener(event, () => onPoint(id));
  for (const event of ["pointerleave", "focusout"]) item.addEventListener(event, () => onPoint());
  return item;
}

function likelihood({ confidence, probability }) {
  if (probability === null) return CONFIDENCE[confidence];
  return `${CONFIDENCE[confidence]}, ${percent(probability)}`;
}

function facts(match) {
  const price = match.price === null ? "" : match.price.toLocaleString(undefined, {
    minimumFractionDigits: 2,
    maximumFractionDigits: 2,
  });
  const because = match.because.map((reason) => REASONS[reason]).join(", ");
  const reasons = because && `because of ${because}`;
  const parts = [["price", price], ["sku", match.sku], ["because", reasons]];
  return parts.filter(([, text]) => text).map(([kind, text]) => {
    const span = document.createElement("span");
    span.className = kind;
    span.textContent = text;
    return span;
  });
}

/** Return bars for the similarities, and for the total score if it differs from the only one. */
function scoreRows({ score: total, imageSimilarity, textSimilarity }) {
  const parts = [["Photo", imageSimilarity, "image"], ["Words", textSimilarity, "text"]]
    .filter(([, value]) => value !== null);
  const isTotal = parts.length === 1 && parts[0][1] === total;
  const rows = isTotal ? parts : [["Score", total, "total"], ...parts];
  return rows.map((row) => scoreRow(...row));
}

function scoreRow(label, value, kind) {
  const row = clone("score-template");
  row.classList.add(kind);
  row.querySelector("dt").textContent = label;
  row.querySelector(".value").textContent = value.toFixed(2);
  row.querySelector(".bar").style.setProperty("--share", Math.min(1, Math.max(0, value)));
  return row;
}

async function sendVerdict(
  response, productVariantId, verdict, buttons, confirmation, pressed = buttons[0],
) {
  const body = { scanId: response.scanId, verdict, ...(productVariantId && { productVariantId }) };
  try {
    await request("products/feedback", body);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    status.textContent = "";
    errorNote.textContent = `Your answer was not kept: ${error.message}`;
    errorNote.hidden = false;
    errorNote.scrollIntoView({ block: "nearest" });
    return;
  }
  errorNote.hidden = true;
  for (const button of buttons) setPressed(button, button === pressed);
  pressed.closest(".match")?.setAttribute("data-judged", verdict);
  if (confirmation) confirmation.textContent = "Noted: none of these.";
  status.textContent = "Noted, thank you.";
}

function setPressed(button, isPressed) {
  button.setAttribute("aria-pressed", String(isPressed));
}

function clone(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

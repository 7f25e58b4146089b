// What a scan found, as cards with a verdict to give.

import { ask, Problem } from "./api.js";
import { show } from "./pictures.js";
import { plain } from "./plain.js";

const list = document.getElementById("matches");
const title = document.getElementById("results-title");
const note = document.getElementById("results-note");
const problem = document.getElementById("problem");
const noneRow = document.getElementById("none-row");
const none = document.getElementById("none");
const noneNote = document.getElementById("none-note");
const status = document.getElementById("status");

const CONFIDENCE = { high: "High confidence", medium: "Medium confidence", low: "Low confidence" };
const INVITATION = noneNote.textContent;

/** Say that an answer is under way. */
export function busy() {
  list.setAttribute("aria-busy", "true");
  problem.hidden = true;
  status.textContent = "Looking …";
}

/** Show what was found; `pointed` hears of the match that the mouse or the focus is at. */
export function showAnswer(answer, pointed) {
  const { matches } = answer;
  settle();
  title.textContent = heading(answer);
  note.textContent = explanation(answer);
  list.replaceChildren(...matches.map((match, index) => card(answer, match, index, pointed)));
  list.classList.toggle("single", answer.recommendedAction === "show_single_match");
  noneRow.hidden = matches.length === 0;
  noneNote.textContent = INVITATION;
  press(none, false);
  none.onclick = () => judge(answer, null, "none", [none], noneNote);
  status.textContent = spoken(answer);
}

/** Show what went wrong, in the server's words. */
export function showProblem(message) {
  settle();
  title.textContent = "That did not work";
  note.textContent = "";
  problem.textContent = message;
  problem.hidden = false;
  list.replaceChildren();
  noneRow.hidden = true;
  status.textContent = "";
}

/** Let a reader go on with the answer: the page moves only where the heading is out of sight. */
export function toAnswer() {
  title.focus({ preventScroll: true });
  const { top, bottom } = title.getBoundingClientRect();
  if (top < 0 || bottom > innerHeight * 0.5) title.scrollIntoView({ block: "start" });
}

function settle() {
  document.getElementById("ghosts").hidden = true;
  list.removeAttribute("aria-busy");
  problem.hidden = true;
}

function heading({ matches, recommendedAction, confidence }) {
  if (!matches.length) return "No match";
  if (recommendedAction === "show_single_match") return "This is it";
  return confidence === "low" ? "Perhaps one of these" : "One of these";
}

function explanation({ matches, confidence, hint, totalProcessingTimeMs }) {
  const time = `${Math.max(1, Math.round(totalProcessingTimeMs))} ms`;
  if (hint) return hint;
  if (!matches.length) {
    return "Nothing in the catalogue is near enough to be shown. Try a closer photo on a plain"
      + " background, or add words: a brand, a colour, a SKU.";
  }
  const advice = confidence === "low" ? " A closer photo or a few words may help." : "";
  return `${CONFIDENCE[confidence]}, ${time}.${advice}`;
}

function spoken({ matches, confidence }) {
  if (!matches.length) return "No match.";
  const count = matches.length === 1 ? "1 match" : `${matches.length} matches`;
  return `${count}, ${CONFIDENCE[confidence].toLowerCase()}. The first is ${name(matches[0])}.`;
}

function name(match) {
  return plain(match.title) || match.sku || "a product without a title";
}

function card(answer, match, index, pointed) {
  const item = clone("match-template");
  const find = (selector) => item.querySelector(selector);
  const id = match.ProductVariantId;
  find(".rank").textContent = index + 1;
  find(".title").textContent = name(match);
  find(".facts").append(...facts(match));
  find(".description").textContent = plain(match.description);
  const sure = find(".confidence");
  sure.textContent = match.exactCode ? "Exact code" : CONFIDENCE[match.confidence];
  sure.classList.add(match.confidence);
  find(".scores").append(...scores(match));
  show(find(".picture img"), { id, address: match.imageUrl, title: name(match) });
  const buttons = [...item.querySelectorAll("[data-verdict]")];
  for (const button of buttons) {
    const { verdict } = button.dataset;
    button.setAttribute("aria-label", `${verdict === "right" ? "Right" : "Wrong"}: ${name(match)}`);
    button.onclick = () => judge(answer, id, verdict, buttons, null, button);
  }
  for (const event of ["pointerenter", "focusin"]) item.addEventListener(event, () => pointed(id));
  for (const event of ["pointerleave", "focusout"]) item.addEventListener(event, () => pointed());
  return item;
}

function facts(match) {
  const price = match.price === null ? "" : match.price.toLocaleString(undefined, {
    minimumFractionDigits: 2,
    maximumFractionDigits: 2,
  });
  return [["price", price], ["sku", match.sku]].filter(([, text]) => text).map(([kind, text]) => {
    const span = document.createElement("span");
    span.className = kind;
    span.textContent = text;
    return span;
  });
}

/** A bar for each thing that was compared, and for all together where they are several. */
function scores({ score: total, imageSimilarity, textSimilarity }) {
  const parts = [["Photo", imageSimilarity, "image"], ["Words", textSimilarity, "text"]]
    .filter(([, value]) => value !== null);
  const same = parts.length === 1 && parts[0][1] === total;
  const rows = same ? parts : [["Score", total, "total"], ...parts];
  return rows.map((row) => score(...row));
}

function score(label, value, kind) {
  const row = clone("score-template");
  row.classList.add(kind);
  row.querySelector("dt").textContent = label;
  row.querySelector(".value").textContent = value.toFixed(2);
  row.querySelector(".bar").style.setProperty("--share", Math.min(1, Math.max(0, value)));
  return row;
}

async function judge(answer, productVariantId, verdict, buttons, said, pressed = buttons[0]) {
  const body = { scanId: answer.scanId, verdict, ...(productVariantId && { productVariantId }) };
  try {
    await ask("products/feedback", body);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    status.textContent = "";
    problem.textContent = `Your answer was not kept: ${error.message}`;
    problem.hidden = false;
    problem.scrollIntoView({ block: "nearest" });
    return;
  }
  problem.hidden = true;
  for (const button of buttons) press(button, button === pressed);
  pressed.closest(".match")?.setAttribute("data-judged", verdict);
  if (said) said.textContent = "Noted: none of these.";
  status.textContent = "Noted, thank you.";
}

function press(button, is) {
  button.setAttribute("aria-pressed", String(is));
}

function clone(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

// Makes the card of one match: picture, facts, how sure it is, and the buttons for feedback.

import * as feedback from "./feedback.js";
import { money, percent, t } from "./messages.js";
import { showPicture } from "./pictures.js";
import { plainText } from "./plain.js";
import * as zoom from "./zoom.js";

/** Return the card of a match; `context` has the response, the photo's URL and `onPoint`. */
export function card(match, index, { response, photoUrl, onPoint }) {
  const item = clone("match-template");
  const find = (selector) => item.querySelector(selector);
  const id = match.ProductVariantId;
  const picture = { id, address: match.imageUrl, title: name(match) };
  item.dataset.id = id;
  find(".rank").textContent = index + 1;
  find(".title").append(titleElement(match));
  find(".sku").textContent = match.sku ?? "";
  find(".price").textContent = match.price === null ? "" : money(match.price);
  find(".because").textContent = because(match);
  find(".description").textContent = plainText(match.description);
  const confidence = find(".confidence");
  confidence.textContent = match.exactCode ? t("confidence.code") : likelihood(match);
  confidence.classList.add(match.confidence);
  find(".scores").append(...scoreRows(match));
  showPicture(find(".picture img"), picture);
  find(".picture").setAttribute("aria-label", t("zoom.of", { title: name(match) }));
  find(".picture").onclick = () => zoom.open(picture, photoUrl);
  const buttons = [...item.querySelectorAll("[data-verdict]")];
  for (const button of buttons) {
    const { verdict } = button.dataset;
    button.setAttribute("aria-label", t(`verdict.${verdict}.of`, { title: name(match) }));
    button.onclick = async () => {
      const pressed = { buttons, pressed: button };
      const stored = await feedback.send(response.scanId, verdict, id, pressed);
      if (stored) item.dataset.judged = verdict;
    };
  }
  for (const event of ["pointerenter", "focusin"]) item.addEventListener(event, () => onPoint(id));
  for (const event of ["pointerleave", "focusout"]) item.addEventListener(event, () => onPoint());
  return item;
}

/** Return what a match is called. */
export function name(match) {
  return plainText(match.title) || match.sku || t("match.untitled");
}

/** Return how sure a match is, in a word, and its probability if that is known. */
export function likelihood({ confidence, probability }) {
  const word = t(`confidence.${confidence}`);
  return probability === null ? word : `${word}, ${percent(probability)}`;
}

function because(match) {
  if (!match.because.length) return "";
  return t("because", { reasons: match.because.map((kind) => t(`because.${kind}`)).join(", ") });
}

function titleElement(match) {
  if (!/^https?:/i.test(match.productUrl ?? "")) return document.createTextNode(name(match));
  const link = document.createElement("a");
  Object.assign(link, { href: match.productUrl, target: "_blank", rel: "noopener noreferrer" });
  link.textContent = name(match);
  return link;
}

/** Return bars for the similarities, and for the total score if it differs from the only one. */
function scoreRows({ score: total, imageSimilarity, textSimilarity }) {
  const parts = [["image", imageSimilarity], ["text", textSimilarity]]
    .filter(([, value]) => value !== null);
  const isTotal = parts.length === 1 && parts[0][1] === total;
  const rows = isTotal ? parts : [["total", total], ...parts];
  return rows.map((row) => scoreRow(...row));
}

function scoreRow(kind, value) {
  const row = clone("score-template");
  row.classList.add(kind);
  row.querySelector("dt").textContent = t(`score.${kind}`);
  row.querySelector(".value").textContent = value.toFixed(2);
  row.querySelector(".bar").style.setProperty("--share", Math.min(1, Math.max(0, value)));
  return row;
}

function clone(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

// Shows the answer to a scan: what was found, or what can be done if nothing was.

import { card, likelihood, name } from "./card.js";
import * as feedback from "./feedback.js";
import { locale, percent, t } from "./messages.js";
import * as problems from "./problems.js";
import { addChips } from "./variants.js";

const ghosts = document.getElementById("ghosts");
const list = document.getElementById("matches");
const title = document.getElementById("results-title");
const note = document.getElementById("results-note");
const noneRow = document.getElementById("none-row");
const none = document.getElementById("none");
const noneNote = document.getElementById("none-note");
const absent = document.getElementById("absent");
const answerDetails = document.getElementById("answer-details");
const figures = document.getElementById("answer-figures");
const status = document.getElementById("status");

/** Show what a scan is doing now: `step` is "reading", "separating" or "comparing". */
export function showProgress(step, count) {
  list.setAttribute("aria-busy", "true");
  problems.hide();
  absent.hidden = true;
  note.textContent = count ? t(`progress.${step}`, { count }) : t(`progress.${step}.unknown`);
  status.textContent = note.textContent;
}

/** Show a response. `context` has the photo's URL and `onPoint`, called with the pointed match. */
export function showResponse(response, context) {
  const { matches } = response;
  clearStatus();
  title.textContent = t(`found.${outcome(response)}`);
  note.textContent = explanation(response);
  list.replaceChildren(
    ...matches.map((match, index) => card(match, index, { response, ...context })),
  );
  addChips(matches, [...list.children]);
  list.classList.toggle("single", outcome(response) === "single");
  absent.hidden = matches.length > 0 || Boolean(response.hint);
  showFigures(response);
  noneRow.hidden = matches.length === 0;
  noneNote.textContent = t("none.note");
  feedback.setPressed(none, false);
  none.onclick = async () => {
    const pressed = { buttons: [none], pressed: none };
    const stored = await feedback.send(response.scanId, "none", null, pressed);
    if (stored) noneNote.textContent = t("none.noted");
  };
  status.textContent = announcement(response);
}

/** Show a problem instead of matches. */
export function showProblem(error, actions) {
  clear();
  ghosts.hidden = true;
  title.textContent = t("found.problem");
  note.textContent = "";
  problems.show(error, actions);
}

/** Show that nothing is looked for. */
export function clear() {
  clearStatus();
  ghosts.hidden = false;
  title.textContent = t("start.title");
  note.textContent = t("start.note");
  list.replaceChildren();
  noneRow.hidden = true;
  absent.hidden = true;
  answerDetails.hidden = true;
  status.textContent = "";
}

/** Move the focus to the results; scroll only if their heading is out of sight. */
export function focusResults() {
  title.focus({ preventScroll: true });
  const { top, bottom } = title.getBoundingClientRect();
  if (top < 0 || bottom > innerHeight * 0.5) title.scrollIntoView({ block: "start" });
}

function clearStatus() {
  ghosts.hidden = true;
  list.removeAttribute("aria-busy");
  problems.hide();
}

function outcome({ matches, recommendedAction, confidence, hint }) {
  if (hint) return "notyet";
  if (!matches.length) return "nothing";
  if (recommendedAction === "show_single_match") return "single";
  return confidence === "low" ? "perhaps" : "several";
}

function explanation({ matches, confidence, hint }) {
  if (hint) return t("found.empty");
  if (!matches.length) return t("absent.note");
  if (matches[0].exactCode) return t("explain.code");
  return t(`explain.${confidence}`);
}

/** Show the figures of an answer: time, probabilities, and the server's hint. */
function showFigures({ matches, notInCatalog, hint, totalProcessingTimeMs }) {
  const rows = [
    [t("figure.time"), `${Math.max(1, Math.round(totalProcessingTimeMs)).toLocaleString(locale)} ms`],
    matches.length && matches[0].probability !== null
      && [t("figure.first"), percent(matches[0].probability)],
    notInCatalog !== null && [t("figure.absent"), percent(notInCatalog)],
    hint && [t("figure.hint"), hint],
  ].filter(Boolean);
  figures.replaceChildren(...rows.map(([label, value]) => {
    const row = document.createElement("div");
    const [term, text] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = label;
    text.textContent = value;
    row.append(term, text);
    return row;
  }));
  answerDetails.hidden = false;
}

function announcement({ matches }) {
  if (!matches.length) return title.textContent;
  const values = { count: matches.length, sure: likelihood(matches[0]), title: name(matches[0]) };
  return t("announce", values);
}

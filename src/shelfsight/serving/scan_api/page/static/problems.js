// Says what went wrong: one sentence and one thing to do. The server's own words are in Details.

import { ApiError } from "./api.js";
import { t } from "./messages.js";

const box = document.getElementById("problem-box");
const sentence = document.getElementById("problem");
const button = document.getElementById("problem-action");
const details = document.getElementById("problem-details");

const ACTIONS = {
  picture: "choose",
  address: "choose",
  file: "choose",
  key: "key",
  single: "mark",
};

/** Show the sentence of a problem; `actions` are the functions `retry`, `choose`, `mark` and `key`. */
export function show(error, actions) {
  const kind = error instanceof ApiError ? error.kind : "picture";
  const action = ACTIONS[kind] ?? "retry";
  sentence.textContent = t(`problem.${kind}`, { seconds: error.seconds });
  button.textContent = t(`action.${action}`);
  button.onclick = actions[action];
  details.querySelector("p").textContent = error.message;
  details.hidden = !(error instanceof ApiError) || !error.message;
  details.open = false;
  box.hidden = false;
}

/** Show a plain sentence, such as that an answer was not kept, with the way to try it again. */
export function showSentence(text, error, retry) {
  show(error, { retry, choose: retry, key: retry });
  sentence.textContent = text;
  box.scrollIntoView({ block: "nearest" });
}

export function hide() {
  box.hidden = true;
}

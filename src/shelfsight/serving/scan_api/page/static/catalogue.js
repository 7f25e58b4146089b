// Says in sentences how the catalogue stands; the numbers behind them are in Details.

import { ApiError, request } from "./api.js";
import { locale, t } from "./messages.js";

const sentences = document.getElementById("state-sentences");
const details = document.getElementById("state-details");
const counts = document.getElementById("counts");
const failures = document.getElementById("failures");
const failed = document.getElementById("failed");
const add = document.getElementById("absent-add");
const note = document.getElementById("state-note");

/** Fetch the current numbers, show them, and return them; null if they cannot be had. */
export async function load() {
  try {
    const state = await request("catalogue/state");
    showState(state);
    return state;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.kind === "offline") return null; // the banner says so
    sentences.replaceChildren(paragraph(t(`problem.${error.kind}`, { seconds: error.seconds })));
    return null;
  }
}

function showState({ products, embedded, image, text, due, addProductUrl, failures: kinds }) {
  const troubled = kinds.reduce((sum, kind) => sum + kind.products, 0);
  sentences.replaceChildren(...[
    products ? t("state.products", { count: products }) : t("state.empty"),
    products ? t("state.photo", { count: image }) : "",
    products && text < products ? t("state.words", { count: text }) : "",
    due ? t("state.due", { count: due }) : "",
    troubled ? t("state.failed", { count: troubled }) : "",
  ].filter(Boolean).map(paragraph));
  counts.replaceChildren(
    ...countRow(t("count.products"), products),
    ...countRow(t("count.embedded"), embedded),
    ...countRow(t("count.image"), image, "part"),
    ...countRow(t("count.text"), text, "part"),
    ...countRow(t("count.due"), due),
  );
  details.hidden = false;
  add.hidden = !/^https?:/i.test(addProductUrl ?? "");
  if (!add.hidden) add.href = addProductUrl;
  failures.hidden = kinds.length === 0;
  failed.replaceChildren(...kinds.map(failureItem));
  note.textContent = advice(products, due);
}

function paragraph(text) {
  const element = document.createElement("p");
  element.textContent = text;
  return element;
}

function countRow(label, value, kind = "") {
  const row = document.createElement("div");
  const [term, number] = [document.createElement("dt"), document.createElement("dd")];
  row.className = kind;
  term.textContent = label;
  number.textContent = value.toLocaleString(locale);
  row.append(term, number);
  return [row];
}

function failureItem({ kind, products, example }) {
  const item = document.createElement("li");
  const [code, number, why] = ["code", "strong", "p"].map((name) => document.createElement(name));
  code.textContent = kind;
  number.textContent = products.toLocaleString(locale);
  why.textContent = example;
  why.lang = "en";
  item.append(code, number, why);
  return item;
}

function advice(products, due) {
  if (!products) return t("state.import", { command: "shelfsight import products.csv" });
  return due ? t("state.backfill", { command: "shelfsight backfill" }) : "";
}

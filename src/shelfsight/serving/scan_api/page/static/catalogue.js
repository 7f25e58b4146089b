// Shows the numbers of products in the catalogue: all, embedded, due and failed.

import { ApiError, request } from "./api.js";

const counts = document.getElementById("counts");
const failures = document.getElementById("failures");
const failed = document.getElementById("failed");
const note = document.getElementById("state-note");

/** Fetch the current numbers, and show them. */
export async function load() {
  try {
    showState(await request("catalogue/state"));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    note.textContent = error.message;
  }
}

function showState({ products, embedded, image, text, due, failures: kinds }) {
  counts.replaceChildren(
    ...countRow("Products", products),
    ...countRow("Embedded", embedded),
    ...countRow("with a picture", image, "part"),
    ...countRow("with text", text, "part"),
    ...countRow("Due", due),
  );
  failures.hidden = kinds.length === 0;
  failed.replaceChildren(...kinds.map(failureItem));
  note.textContent = advice(products, due);
}

function countRow(label, value, kind = "") {
  const row = document.createElement("div");
  const [term, number] = [document.createElement("dt"), document.createElement("dd")];
  row.className = kind;
  term.textContent = label;
  number.textContent = value.toLocaleString();
  row.append(term, number);
  return [row];
}

function failureItem({ kind, products, example }) {
  const item = document.createElement("li");
  const [code, number, why] = ["code", "strong", "p"].map((name) => document.createElement(name));
  code.textContent = kind;
  number.textContent = products.toLocaleString();
  why.textContent = example;
  item.append(code, number, why);
  return item;
}

function advice(products, due) {
  if (!products) return "There are no products yet. Run: shelfsight import products.csv";
  return due ? "What is due gets its vectors from: shelfsight backfill" : "";
}

// The catalogue's state in numbers.

import { ask, Problem } from "./api.js";

const counts = document.getElementById("counts");
const failures = document.getElementById("failures");
const failed = document.getElementById("failed");
const note = document.getElementById("state-note");

/** Fetch and show the state as it is now. */
export async function load() {
  try {
    showState(await ask("catalogue/state"));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    note.textContent = error.message;
  }
}

function showState({ products, embedded, image, text, due, failures: kinds }) {
  counts.replaceChildren(
    ...count("Products", products),
    ...count("Embedded", embedded),
    ...count("with a picture", image, "part"),
    ...count("with text", text, "part"),
    ...count("Due", due),
  );
  failures.hidden = kinds.length === 0;
  failed.replaceChildren(...kinds.map(failure));
  note.textContent = advice(products, due);
}

function count(label, value, kind = "") {
  const row = document.createElement("div");
  const [term, number] = [document.createElement("dt"), document.createElement("dd")];
  row.className = kind;
  term.textContent = label;
  number.textContent = value.toLocaleString();
  row.append(term, number);
  return [row];
}

function failure({ kind, products, example }) {
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

// Shows the variants of each product as chips; a chip shows the SKU and the price of its variant.

import { ApiError, request } from "./api.js";
import { money, t } from "./messages.js";

/** Add chips to the cards of these matches: products with two or more variants. */
export async function addChips(matches, cards) {
  const ids = [...new Set(matches.map(({ productId }) => productId).filter(Boolean))];
  if (!ids.length) return;
  const query = new URLSearchParams(ids.map((id) => ["productId", id]));
  let found;
  try {
    found = await request(`catalogue/variants?${query}`);
  } catch (error) {
    if (error instanceof ApiError) return; // the matches are complete without chips
    throw error;
  }
  matches.forEach((match, index) => {
    const variants = found.products[match.productId] ?? [];
    showFacts(cards[index], match, found.currency);
    if (variants.length > 1) fill(cards[index], match, variants, found.currency);
  });
}

function fill(card, match, variants, currency) {
  const list = card.querySelector(".chips");
  list.setAttribute("aria-label", t("variants"));
  list.hidden = false;
  list.replaceChildren(...variants.map((variant) => {
    const item = document.createElement("li");
    const chip = document.createElement("button");
    chip.type = "button";
    chip.dir = "auto";
    chip.textContent = Object.values(variant.options).join(" · ") || variant.sku || "–";
    chip.setAttribute("aria-pressed", variant.ProductVariantId === match.ProductVariantId);
    chip.onclick = () => {
      for (const other of list.querySelectorAll("button")) {
        other.setAttribute("aria-pressed", other === chip);
      }
      showFacts(card, variant, currency);
    };
    item.append(chip);
    return item;
  }));
}

function showFacts(card, { sku, price }, currency) {
  card.querySelector(".sku").textContent = sku ?? "";
  card.querySelector(".price").textContent = price === null ? "" : money(price, currency);
}

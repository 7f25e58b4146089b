// Sends what a person says of a match: right, wrong, or none of them.

import { ApiError, request } from "./api.js";
import { t } from "./messages.js";
import * as problems from "./problems.js";

const status = document.getElementById("status");

/** Store a verdict; `productVariantId` is null for the verdict "none". Raises ApiError. */
export function store(scanId, verdict, productVariantId) {
  return request("products/feedback", {
    scanId,
    verdict,
    ...(productVariantId && { productVariantId }),
  });
}

/** Store a verdict and mark the button that was pressed; return whether it was stored. */
export async function send(scanId, verdict, productVariantId, { buttons, pressed }) {
  try {
    await store(scanId, verdict, productVariantId);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    status.textContent = "";
    problems.showSentence(t("feedback.lost"), error, () => pressed.click());
    return false;
  }
  problems.hide();
  for (const button of buttons) setPressed(button, button === pressed);
  status.textContent = t("feedback.noted");
  return true;
}

export function setPressed(button, isPressed) {
  button.setAttribute("aria-pressed", String(isPressed));
}

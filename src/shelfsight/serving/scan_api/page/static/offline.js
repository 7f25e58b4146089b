// Lets the page open without a network, and says when there is none.

import { t } from "./messages.js";

const banner = document.getElementById("offline");

/** Keep the page's files in the browser; say when the network is away, and call `onReturn` after. */
export function watch(onReturn) {
  navigator.serviceWorker?.register("service-worker.js"); // absent over plain HTTP
  addEventListener("offline", say);
  addEventListener("online", () => {
    say();
    onReturn();
  });
  say();
}

function say() {
  banner.textContent = navigator.onLine ? "" : t("offline");
}

// Keeps the files of the page, so that an installed page opens without a network. What the server
// answers about products is never kept. The server puts a line in front of this script:
// const SHELL = { version, files }, the digest and the addresses of the page's files.

/* global SHELL */

const PREFIX = `shelfsight ${registration.scope} `; // several pages may share a host
const CACHE = PREFIX + SHELL.version;
const ADDRESSES = new Set(SHELL.files.map((file) => new URL(file, registration.scope).href));

async function keepFiles() {
  const cache = await caches.open(CACHE);
  await cache.addAll([...ADDRESSES].map((address) => new Request(address, { cache: "no-cache" })));
  await skipWaiting();
}

async function dropOldFiles() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

/** Answer as the server does; from the kept files if it cannot be reached, or is asleep. */
async function respond(request, address) {
  let response;
  try {
    response = await fetch(request);
    if (response.status < 500) return response;
  } catch {
    response = Response.error();
  }
  const cache = await caches.open(CACHE);
  return await cache.match(address) ?? response;
}

addEventListener("install", (event) => event.waitUntil(keepFiles()));
addEventListener("activate", (event) => event.waitUntil(dropOldFiles()));
addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  const address = url.origin + url.pathname;
  if (event.request.method === "GET" && ADDRESSES.has(address)) {
    event.respondWith(respond(event.request, address));
  }
});

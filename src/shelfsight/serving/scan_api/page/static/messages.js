// The page's texts, in the first of the browser's languages that there is a catalogue for.

const LANGUAGES = ["en", "de", "fr", "es", "da"];

const baseOf = (tag) => tag.split("-")[0].toLowerCase();

/** The browser's own tag, such as de-AT: numbers and prices follow the region. */
export const locale =
  navigator.languages.find((tag) => LANGUAGES.includes(baseOf(tag))) ?? LANGUAGES[0];
const language = baseOf(locale);
const plurals = new Intl.PluralRules(language);
const response = await fetch(new URL(`messages-${language}.json`, import.meta.url));
const messages = await response.json();

/** Return a text with its {placeholders} filled in; `count` also chooses singular or plural. */
export function t(key, values = {}) {
  const form = "count" in values ? `${key}.${plurals.select(values.count)}` : key;
  const text = messages[form] ?? messages[`${key}.other`]; // French has "many" for millions
  return text.replace(/\{(\w+)\}/g, (_, name) => shown(values[name]));
}

/** Return a share in [0, 1] as a percentage. */
export function percent(share) {
  const options = { style: "percent", maximumFractionDigits: 0 };
  const isTiny = share > 0 && share < 0.01;
  return (isTiny ? "< " : "") + (isTiny ? 0.01 : share).toLocaleString(locale, options);
}

/** Return a price, with its currency (ISO 4217) if that is known. */
export function money(price, currency) {
  const style = currency ? { style: "currency", currency } : {
    minimumFractionDigits: 2,
    maximumFractionDigits: 2,
  };
  return price.toLocaleString(locale, style);
}

/** Translate the English texts of the page: elements with data-t, labels with data-t-label. */
export function translate(root) {
  for (const element of root.querySelectorAll("[data-t]")) {
    element.textContent = t(element.dataset.t);
  }
  for (const element of root.querySelectorAll("[data-t-label]")) {
    element.setAttribute("aria-label", t(element.dataset.tLabel));
  }
  for (const element of root.querySelectorAll("[data-t-alt]")) {
    element.setAttribute("alt", t(element.dataset.tAlt));
  }
  for (const template of root.querySelectorAll("template")) translate(template.content);
}

function shown(value) {
  return typeof value === "number" ? value.toLocaleString(locale) : value;
}

document.documentElement.lang = language;
translate(document);

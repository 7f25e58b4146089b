// Titles and descriptions as shops keep them: with HTML in them.

const PROGRAMS = /<(script|style)\b.*?<\/\1\s*>/gis;
const WITHIN_WORDS = /<\/?(a|b|em|font|i|small|span|strong|su[bp]|u)\b[^>]*>/gi;
const TAGS = /<\/?[a-z!][^>]*(>|$)/gi;

const parser = new DOMParser();

/** The words of a text that may be HTML; the parser is left with entities such as &amp; only. */
export function plain(text) {
  const words = text.replace(PROGRAMS, " ").replace(WITHIN_WORDS, "").replace(TAGS, " ");
  const { body } = parser.parseFromString(words, "text/html");
  return body.textContent.replace(/\s+/g, " ").trim();
}

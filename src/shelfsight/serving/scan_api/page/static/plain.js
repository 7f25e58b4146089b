// Makes plain text from titles and descriptions, which shops may store as HTML.

const SCRIPTS = /<(script|style)\b.*?<\/\1\s*>/gis;
const INLINE_TAGS = /<\/?(a|b|em|font|i|small|span|strong|su[bp]|u)\b[^>]*>/gi;
const TAGS = /<\/?[a-z!][^>]*(>|$)/gi;

const parser = new DOMParser();

/** Remove HTML from a text: first the tags; then the parser decodes entities such as &amp;. */
export function plainText(text) {
  const stripped = text.replace(SCRIPTS, " ").replace(INLINE_TAGS, "").replace(TAGS, " ");
  const { body } = parser.parseFromString(stripped, "text/html");
  return body.textContent.replace(/\s+/g, " ").trim();
}

// Writes tables as CSV (RFC 4180), which a spreadsheet opens without running what it holds.

const BYTE_ORDER_MARK = "\ufeff"; // Excel takes a file for UTF-8 by it

/** Return rows of texts and numbers as CSV. */
export function toCsv(rows) {
  return BYTE_ORDER_MARK + rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** Let the browser save a text as a file. */
export function download(text, filename) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  link.download = filename;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href));
}

/** A text that a spreadsheet would take for a formula gets a ' in front. */
function cell(value) {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : `${value ?? ""}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

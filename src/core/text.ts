/** Whether a PostgreSQL `text` column stores `text` unchanged: well-formed Unicode without U+0000. */
export function isStorableText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

/** Number of Unicode code points in `text`, as PostgreSQL's `char_length` and the limits of the contract count. */
export function codePointLength(text: string): number {
  let length = text.length;
  for (let index = 0; index < text.length - 1; index += 1) {
    if (text.charCodeAt(index) >> 10 === 0b110110 && text.charCodeAt(index + 1) >> 10 === 0b110111) length -= 1;
  }
  return length;
}

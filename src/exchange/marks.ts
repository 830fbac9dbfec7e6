/** The words of a text that begin with a mark, such as `@home`. */
export interface Marked {
  /** Without the words that were taken out. */
  readonly text: string;
  /** The words, without their mark, in their order. */
  readonly words: readonly { readonly mark: string; readonly word: string }[];
}

/**
 * Finds words that begin with one of `marks`. Those at the beginning and at the end are taken out of the text, unless it
 * has no others; those amid other words stay, since they are part of a sentence.
 */
export function splitMarks(text: string, marks: string): Marked {
  const isMarked = (word: string | undefined) =>
    word !== undefined && word.length > 1 && marks.includes(word[0] ?? ' ');
  const parts = text.trim().split(' ');
  const words = parts.filter(isMarked).map((part) => ({ mark: part[0] ?? '', word: part.slice(1) }));
  let [from, to] = [0, parts.length];
  while (from < to && (parts[from] === '' || isMarked(parts[from]))) from += 1;
  while (to > from && (parts[to - 1] === '' || isMarked(parts[to - 1]))) to -= 1;
  return { text: from === to ? text.trim() : parts.slice(from, to).join(' '), words };
}

/*
 * The words of texts, by which tasks are found and, by those of their titles, sorted. They are made here and not by the
 * database, so that they are the same on every one.
 */

/** Changes whenever words or keys of tags do; tasks of an older one are indexed again (`words-sql.ts`). */
export const WORDS_REVISION = 1;

const MAX_WORD_LENGTH = 40;
/** Of one text: a description of ideographs has up to 2000. */
const MAX_WORDS = 500;

/** Accents and points. Not the marks that make another letter: of kana, and the vowels of Indic scripts, Thai and others. */
const ACCENT = /(?![\u3099\u309a])(?=\p{Mn})[\p{Script=Inherited}\p{Script=Arabic}\p{Script=Hebrew}]/gu;

/**
 * @returns `text` without differences of case: full case folding as far as the case mappings give it (`ẞ` is `ss`), which
 *   make a `ς` of a capital at the end of a word.
 */
export const foldCase = (text: string) => text.toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ');

const withoutAccents = (text: string) => text.normalize('NFKD').replace(ACCENT, '');

/** @returns `text` without differences of case, accents and width; what is folded stays as it is. */
const fold = (text: string) => withoutAccents(foldCase(withoutAccents(text))).normalize('NFKC');

/** Scripts that are written without spaces between words. */
const UNSPACED = ['Han', 'Hira', 'Kana', 'Thai', 'Lao', 'Khmr', 'Mymr'].map((script) => `\\p{scx=${script}}`).join('');
const LETTER = '(?=[\\p{L}\\p{N}\\p{M}])';
/** Runs of letters, numbers and marks, of such a script or not. */
const RUN = new RegExp(`((?:${LETTER}[${UNSPACED}])+)|(?:${LETTER}[^${UNSPACED}])+`, 'gu');

/** @returns the words of `text`, folded; of a run without spaces what `split` gives of its code points. */
function* runs(text: string, split: (characters: readonly string[]) => readonly string[]): Generator<string> {
  for (const [run, unspaced] of fold(text).matchAll(RUN)) {
    const characters = [...run];
    if (unspaced === undefined) yield characters.slice(0, MAX_WORD_LENGTH).join('');
    else yield* split(characters);
  }
}

/**
 * @returns the words under which `text` is found, folded, each once: of its first 500 words, at most 40 code points each,
 *   without spaces. Of Chinese, Japanese, Thai and other scripts without spaces, each character with the one after it.
 */
export function wordsOf(text: string): readonly string[] {
  const words: string[] = [];
  for (const word of runs(text, (run) => run.map((first, index) => first + (run[index + 1] ?? '')))) {
    if (words.push(word) === MAX_WORDS) break;
  }
  return [...new Set(words)];
}

/**
 * @returns the words that a text must have, or words that begin with them, to be found by `query`: none that another of
 *   them begins with. Everything but letters and numbers is space between them.
 */
export function wantedWords(query: string): readonly string[] {
  const pairs = (run: readonly string[]) =>
    run.length === 1 ? run : run.slice(1).map((second, index) => (run[index] ?? '') + second);
  const words = [...new Set(runs(query, pairs))];
  return words.filter((word) => !words.some((other) => other !== word && other.startsWith(word)));
}

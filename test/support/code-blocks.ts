import { readFileSync } from 'node:fs';

const FENCED = /^```(\w+)\n([\s\S]*?)^```$/gm;

export interface CodeBlock {
  readonly language: string;
  /** The path that its first line names in a comment, or null. */
  readonly path: string | null;
  readonly text: string;
}

/** The code blocks of a page of docs/, in its order. */
export function codeBlocks(page = 'clients.md'): CodeBlock[] {
  const text = readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8');
  return [...text.matchAll(FENCED)].map(([, language = '', text = '']) => ({
    language,
    path: /^\/\/ (\S+\.ts)\b/.exec(text)?.[1] ?? null,
    text,
  }));
}

/** The text of the only block in `language` that has `part`. @throws unless there is exactly one. */
export function codeBlock(language: string, part: string, page = 'clients.md'): string {
  const found = codeBlocks(page).filter((block) => block.language === language && block.text.includes(part));
  const [block, ...more] = found;
  if (block === undefined || more.length > 0) throw new Error(`${found.length} ${language} blocks have ${part}`);
  return block.text;
}

/** `text` with `from`, which stands in it exactly once, replaced by `to`. */
export function replaceOnce(text: string, from: string, to: string): string {
  if (text.split(from).length !== 2) throw new Error(`${from} does not stand once in ${text}`);
  return text.replace(from, () => to);
}

import { foldCase } from './words.ts';

/** @returns what `tag` is compared by: two tags with the same key are one. */
export const tagKey = (tag: string): string => foldCase(tag.normalize('NFC')).normalize('NFC');

/** @returns what stands for a tag among words: two keys that differ only in their spaces have the same. */
export const tagEntry = (key: string): string => `#${key.replace(/\s/g, '_')}`;

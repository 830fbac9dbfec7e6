import { foldCase } from './words.ts';

/** @returns what `tag` is compared by: two tags with the same key are one. */
export const tagKey = (tag: string): string => foldCase(tag.normalize('NFC')).normalize('NFC');

/** @returns what `tag` is compared by: two tags with the same key are one. */
export const tagKey = (tag: string): string => tag.normalize('NFC').toLowerCase();

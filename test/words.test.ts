import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { tagKey } from '../dist/tasks/tag.js';
import { WORDS_REVISION, wantedWords, wordsOf } from '../dist/tasks/words.js';

/** Whether a text with the title `title` is found by `query`, as the database decides it. */
const finds = (query: string, title: string) =>
  wantedWords(query).every((wanted) => wordsOf(title).some((word) => word.startsWith(wanted)));

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ unit: fc.constantFrom(...'aÄßſΣςİıéё가水道คำがーｶﾞ👍 -_%\'"\\٣2½'), maxLength: 30 }),
);

test('a task is found by its words, in any case, with and without accents, and by how they begin', () => {
  const found: [string, string][] = [
    ['milk', 'Buy Milk!'],
    ['MIL bu', 'Buy milk'],
    ['strasse', 'Große Straße'],
    ['STRAẞE', 'Straße'],
    ['arger', 'Ärger'],
    ['ärger', 'Arger'],
    ['οδος', 'ΟΔΟΣ'],
    ['οδοσ', 'ὁδός'],
    ['istanbul', 'İSTANBUL'],
    ['viet nam', 'Việt Nam'],
    ['naïve', 'nai\u0308ve'],
    ['wide', 'Ｗｉｄｅ'],
    ['елка', 'Ёлка'],
    ['한', '한국어'],
    ['محمد', 'مُحَمَّد'],
    ['3', 'Room ٣, 3rd floor'],
    ["o'brien", "O'Brien"],
    ['e-mail', 'Send e-mail'],
    ['snake_case', 'snake case'],
    ['100%', '100 %'],
    ['x'.repeat(60), 'x'.repeat(60)],
  ];
  for (const [query, title] of found) assert.ok(finds(query, title), `${query} in ${title}`);
  assert.ok(!finds('milk', 'Buy milch'));
  assert.ok(!finds('ilk', 'Buy milk'));
  assert.ok(!finds('milk bread', 'Buy milk'));
  assert.ok(!finds('か', 'が'), 'another letter');
  assert.ok(!finds('कु', 'कि'), 'another vowel');
});

test('a word of Chinese, Japanese, Thai, Lao, Khmer or Burmese is found within a sentence, one character too', () => {
  const found: [string, string][] = [
    ['牛奶', '明天去买牛奶和面包'],
    ['奶', '明天去买牛奶'],
    ['天', '明天去买牛奶'],
    ['牛乳', '明日、牛乳を買う'],
    ['ラーメン', '東京でラーメンを食べる'],
    ['ﾗｰﾒﾝ', '東京でラーメンを食べる'],
    ['นม', 'ซื้อนมพรุ่งนี้'],
    ['ນົມ', 'ຊື້ນົມມື້ອື່ນ'],
    ['ទឹក', 'ទិញទឹកដោះគោ'],
    ['နို့', 'မနက်ဖြန်နို့ဝယ်'],
    ['iphone充電', '新しいiPhone充電器'],
    ['𠮷野', '𠮷野家'],
  ];
  for (const [query, title] of found) assert.ok(finds(query, title), `${query} in ${title}`);
  assert.ok(!finds('奶牛', '明天去买牛奶'));
});

test('whatever is written is found by itself, by each of its words, and in capitals', () => {
  fc.assert(
    fc.property(anyText, anyText, (text, more) => {
      assert.ok(finds(text, text));
      for (const word of wordsOf(text)) assert.ok(wordsOf(word).includes(word) && finds(word, `${text} ${more}`), word);
      const plain = text.normalize('NFD').replaceAll('\u0345', ''); // the subscript that becomes a letter in capitals
      assert.ok(finds(plain.toUpperCase(), plain) && finds(plain, plain.toUpperCase()));
      assert.ok(finds(plain, plain.normalize('NFKC')) && finds(plain.normalize('NFKC'), plain));
    }),
    { numRuns: 2_000 },
  );
});

test('words are letters, numbers and marks, at most 500 of at most 40 characters', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      for (const word of [...wordsOf(text), ...wantedWords(text)]) assert.match(word, /^[\p{L}\p{N}\p{M}]{1,40}$/u);
    }),
    { numRuns: 2_000 },
  );
  assert.deepEqual(wordsOf('x'.repeat(2_000)), ['x'.repeat(40)]);
  assert.equal(wordsOf(Array.from({ length: 1_000 }, (_, index) => `w${index}`).join(' ')).length, 500);
  assert.deepEqual(wantedWords('%"\\\' & | ! <-> :* 👍'), []);
  assert.deepEqual(wantedWords('to do todo'), ['do', 'todo'], 'what begins with todo begins with to');
});

test('tags are compared without case, and with accents, however these are encoded', () => {
  assert.equal(tagKey('STRASSE'), tagKey('straße'));
  assert.equal(tagKey('Cafe\u0301'), tagKey('CAFÉ'));
  assert.notEqual(tagKey('café'), tagKey('cafe'));
  fc.assert(
    fc.property(anyText, (text) => {
      assert.equal(tagKey(tagKey(text)), tagKey(text));
      assert.equal(tagKey(text.toUpperCase()), tagKey(text));
    }),
    { numRuns: 2_000 },
  );
});

/** Blocks in which Unicode has assigned, long ago, all that it will, and a block each of scripts without spaces. */
const BLOCKS = [
  [0x20, 0x377],
  [0x38e, 0x3a1],
  [0x3a3, 0x52f],
  [0xe01, 0xe3a],
  [0x1e00, 0x1eff],
  [0x3041, 0x3096],
  [0x30a1, 0x30fa],
  [0x4e00, 0x9fa5],
  [0xac00, 0xd7a3],
  [0xfb00, 0xfb06],
  [0xff01, 0xffbe],
] as const;

test('words and keys of tags are those of their revision: whoever changes them changes it too', () => {
  const digest = createHash('sha256');
  for (const [first, last] of BLOCKS) {
    for (let code = first; code <= last; code += 1) {
      const text = `a${String.fromCodePoint(code)}b ${String.fromCodePoint(code, code)}`;
      digest.update(JSON.stringify([wordsOf(text), tagKey(text)]));
    }
  }
  assert.deepEqual([WORDS_REVISION, digest.digest('hex').slice(0, 16)], [1, 'fce554ced6113c1c']);
});

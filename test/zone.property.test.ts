import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addDays, dateIn, instantOf, isTimeZone } from '../dist/core/zone.js';

const MINUTE = 60_000;
const DAY = 86_400_000;
const START = Date.UTC(1970, 0, 1);
const END = Date.UTC(2100, 0, 1);

/** Names in the IANA database that `Intl.supportedValuesOf` leaves out in some runtime or other. */
const LINKS = [
  'Africa/Asmara',
  'America/Argentina/ComodRivadavia',
  'America/Indiana/Indianapolis',
  'Antarctica/DumontDUrville',
  'Asia/Calcutta',
  'Asia/Kolkata',
  'Brazil/DeNoronha',
  'CET',
  'CST6CDT',
  'Cuba',
  'EST',
  'EST5EDT',
  'Etc/GMT+12',
  'Etc/GMT-14',
  'Etc/UTC',
  'Europe/Kiev',
  'Europe/Kyiv',
  'GB-Eire',
  'GMT',
  'GMT+0',
  'GMT0',
  'HST',
  'MET',
  'NZ-CHAT',
  'PRC',
  'PST8PDT',
  'ROC',
  'US/East-Indiana',
  'UTC',
  'W-SU',
  'Zulu',
];
const ZONES = [...new Set([...Intl.supportedValuesOf('timeZone'), ...LINKS])];

const formatters = new Map<string, Intl.DateTimeFormat>();

/** What the clocks of `zone` show, `YYYY-MM-DD HH:MM:SS`, in a form of its own of `Intl`. */
function shownAt(zone: string, instant: number): string {
  let formatter = formatters.get(zone);
  if (formatter === undefined) {
    formatter = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' });
    formatters.set(zone, formatter);
  }
  return formatter.format(instant);
}

const minutesOf = (shown: string) => shown.slice(0, 16);
const pad = (number: number) => String(number).padStart(2, '0');
const timeOf = (minute: number) => `${pad(Math.floor(minute / 60))}:${pad(minute % 60)}`;

const ofZone = fc.constantFrom(...ZONES);
const ofInstant = fc.integer({ min: START / MINUTE, max: END / MINUTE }).map((minute) => minute * MINUTE);
const ofDate = fc
  .integer({ min: START / DAY, max: END / DAY })
  .map((day) => new Date(day * DAY).toISOString().slice(0, 10));

/** Asserts that `instantOf` gives the first instant that shows the time, or the first after all that are before it. */
function assertFirst(zone: string, date: string, time: string): void {
  const instant = instantOf(date, time, zone);
  const wanted = `${date} ${time}:00`;
  const what = `${zone} ${wanted}: ${new Date(instant).toISOString()} shows ${shownAt(zone, instant)}`;
  assert.ok(shownAt(zone, instant) >= wanted, what);
  assert.ok(shownAt(zone, instant - 1_000) < wanted, `${what}, and is not the first`);
  for (let hours = 1; hours <= 48; hours += 1) {
    assert.ok(shownAt(zone, instant - hours * 30 * MINUTE) < wanted, `${what}, and so does an earlier one`);
  }
}

/** The instants between `from` and `to` at which the clocks of `zone` are moved, to the minute. */
function transitionsOf(zone: string, from: number, to: number): number[] {
  const offset = (instant: number) => Date.parse(`${shownAt(zone, instant).replace(' ', 'T')}Z`) - instant;
  const found: number[] = [];
  const STEP = 20 * DAY;
  for (let at = from; at < to; at += STEP) {
    if (offset(at) === offset(at + STEP)) continue;
    let [low, high] = [at, at + STEP];
    while (high - low > MINUTE) {
      const middle = low + Math.floor((high - low) / 2 / MINUTE) * MINUTE;
      if (offset(middle) === offset(low)) low = middle;
      else high = middle;
    }
    found.push(high);
  }
  return found;
}

test('the zones and links of the IANA database are time zones, in any case', () => {
  for (const zone of ZONES) {
    for (const name of [zone, zone.toLowerCase(), zone.toUpperCase()]) assert.ok(isTimeZone(name), name);
  }
});

test('offsets, abbreviations of ICU and other text are not', () => {
  const texts = [
    '',
    ' ',
    'Z',
    '+02:00',
    '-0800',
    '+02',
    'UTC+1',
    'GMT+1',
    'Etc/Unknown',
    'SystemV/PST8',
    'Mars/Olympus',
  ];
  const abbreviations = ['PST', 'IST', 'CST', 'BST', 'AST', 'JST', 'ACT', 'MIT'];
  const odd = [
    'Europe/Berlin ',
    'Europe//Berlin',
    '/Europe/Berlin',
    'Europe/Berlin/',
    'Europe/Bérlin',
    '../UTC',
    'UTC\0',
  ];
  for (const text of [...texts, ...abbreviations, ...odd, 'x'.repeat(10_000)]) assert.ok(!isTimeZone(text), text);
});

test('the date in a zone is the one that its clocks show, at any instant from 1970 to 2100', () => {
  for (const zone of ZONES) {
    fc.assert(
      fc.property(ofInstant, (instant) => {
        assert.equal(dateIn(zone, instant), shownAt(zone, instant).slice(0, 10));
        assert.equal(dateIn(zone.toLowerCase(), instant + 59_999), shownAt(zone, instant + 59_999).slice(0, 10));
      }),
      { numRuns: 4 },
    );
  }
});

test('a time on a date is the first instant at which the clocks of the zone show it, or the next time that they show', () => {
  fc.assert(
    fc.property(ofZone, ofDate, fc.integer({ min: 0, max: 1439 }), (zone, date, minute) => {
      assertFirst(zone, date, timeOf(minute));
    }),
    { numRuns: 3000 },
  );
});

test('so it is on both sides of transitions, of days that are skipped, and of offsets in seconds', () => {
  const known: [string, string, string, string][] = [
    ['Europe/Berlin', '2026-03-29', '02:30', '2026-03-29T01:00:00.000Z'], // skipped
    ['Europe/Berlin', '2026-10-25', '02:30', '2026-10-25T00:30:00.000Z'], // twice
    ['Australia/Lord_Howe', '2026-10-04', '02:15', '2026-10-03T15:30:00.000Z'], // half an hour is skipped
    ['Pacific/Apia', '2011-12-30', '12:00', '2011-12-30T10:00:00.000Z'], // the day is skipped
    ['America/Sao_Paulo', '2018-11-04', '00:00', '2018-11-04T03:00:00.000Z'], // midnight is skipped
    ['Africa/Monrovia', '1971-06-01', '00:00', '1971-06-01T00:44:30.000Z'],
    ['Africa/Monrovia', '1972-01-07', '00:20', '1972-01-07T00:44:30.000Z'],
    ['Asia/Kathmandu', '2026-01-01', '00:00', '2025-12-31T18:15:00.000Z'],
  ];
  for (const [zone, date, time, instant] of known) {
    assert.equal(new Date(instantOf(date, time, zone)).toISOString(), instant, `${zone} ${date} ${time}`);
  }
  fc.assert(
    fc.property(
      ofZone,
      fc.integer({ min: 1970, max: 2095 }),
      fc.integer({ min: -130, max: 130 }),
      (zone, year, minutes) => {
        for (const transition of transitionsOf(zone, Date.UTC(year, 0, 1), Date.UTC(year + 2, 0, 1))) {
          for (const instant of [transition - MINUTE, transition + minutes * MINUTE]) {
            const [date = '', time = ''] = minutesOf(shownAt(zone, instant)).split(' ');
            assertFirst(zone, date, time);
            const [hour = 0, minute = 0] = time.split(':').map(Number);
            assertFirst(zone, date, timeOf((hour * 60 + minute + 30) % 1440));
          }
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('days are added to a date across months, leap years and centuries', () => {
  fc.assert(
    fc.property(ofDate, fc.integer({ min: -40_000, max: 40_000 }), (date, days) => {
      assert.equal(addDays(addDays(date, days), -days), date);
      assert.equal((Date.parse(addDays(date, days)) - Date.parse(date)) / DAY, days);
    }),
  );
  assert.equal(addDays('2028-02-28', 1), '2028-02-29');
  assert.equal(addDays('2100-02-28', 1), '2100-03-01');
  assert.equal(addDays('1999-12-31', 7), '2000-01-07');
});

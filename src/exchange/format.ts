import { readCsv } from './csv.ts';
import { csvWriter } from './csv-own.ts';
import { readDocument } from './document.ts';
import { readICalendar } from './icalendar.ts';
import { iCalendarWriter } from './icalendar-writer.ts';
import { type FormatWriter, type Reader, SyntaxFault } from './record.ts';
import { readTodoTxt, todoTxtWriter } from './todo-txt.ts';

/** The formats of `GET /api/export?format=`, beside our JSON document. */
export const WRITERS = {
  csv: { mediaType: 'text/csv', extension: 'csv', writer: csvWriter },
  ics: { mediaType: 'text/calendar', extension: 'ics', writer: iCalendarWriter },
  todotxt: { mediaType: 'text/plain', extension: 'txt', writer: todoTxtWriter },
} as const satisfies Readonly<
  Record<string, { readonly mediaType: string; readonly extension: string; readonly writer: () => FormatWriter }>
>;

/** Of one file: as many ids are remembered while it is read. */
const MAX_RECORDS = 250_000;

const limited = (read: Reader): Reader =>
  async function* (source) {
    let count = 0;
    for await (const entry of read(source)) {
      count += 1;
      if (count > MAX_RECORDS) throw new SyntaxFault(entry.line, `A file may have ${MAX_RECORDS} records: divide it`);
      yield entry;
    }
  };

/** The readers, by media type. */
export const READERS: ReadonlyMap<string, Reader> = new Map([
  ['application/json', limited(readDocument)],
  ['text/csv', limited(readCsv)],
  ['text/calendar', limited(readICalendar)],
  ['text/plain', limited(readTodoTxt)],
]);

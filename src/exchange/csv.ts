import { pipeline } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { OwnRows } from './csv-own.ts';
import { TodoistRows } from './csv-todoist.ts';
import { type Entry, type RowReader, SyntaxFault } from './record.ts';
import { readText } from './text.ts';

/** The longest task of ours, with every character a quote, has less. */
const MAX_ROW_BYTES = 65_536;

/** A row, with the line that it begins on. */
interface Row {
  readonly line: number;
  readonly cells: readonly string[];
}

/** What is wrong, by the code of csv-parse. */
const FAULTS: Readonly<Partial<Record<string, string>>> = {
  CSV_QUOTE_NOT_CLOSED: 'A quote is opened in the row that begins here, and never closed',
  CSV_MAX_RECORD_SIZE: 'A row is longer than 64 KiB',
  CSV_INVALID_CLOSING_QUOTE: 'A closing quote must be followed by a comma: quotes within a cell are doubled',
  INVALID_OPENING_QUOTE: 'A cell with a quote must be in quotes, and the quote within it doubled',
};

/** The rows of a CSV file (RFC 4180), empty ones left out. */
async function* readRows(source: AsyncIterable<Buffer>): AsyncGenerator<Row> {
  let nextLine = 1;
  /** Of the rows that have been parsed and not been taken; csv-parse counts a CRLF in quotes twice. */
  const firstLines: number[] = [];
  const parser = parse({
    max_record_size: MAX_ROW_BYTES,
    relax_column_count: true,
    record_delimiter: ['\r\n', '\n'],
    on_record: (cells) => {
      firstLines.push(nextLine);
      nextLine += cells.reduce((sum, cell) => sum + cell.split('\n').length - 1, 1);
      return cells;
    },
  });
  pipeline(readText(source), parser, () => undefined);
  try {
    const rows: AsyncIterable<readonly string[]> = parser;
    for await (const cells of rows) {
      const line = firstLines.shift() ?? 0;
      if (cells.some((cell) => cell !== '')) yield { line, cells };
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new SyntaxFault(nextLine, FAULTS[error.code] ?? `The row is not valid CSV: ${error.code}`);
  } finally {
    parser.destroy();
  }
}

const UNKNOWN_HEADER =
  'The first line is no header that is known: it must name a column "title", or be that of Todoist (TYPE,CONTENT,…)';

function readerFor(header: readonly string[]): RowReader {
  const names = header.map((name) => name.trim());
  if (names.includes('TYPE') && names.includes('CONTENT')) return new TodoistRows(names);
  if (names.includes('title')) return new OwnRows(names);
  throw new SyntaxFault(1, UNKNOWN_HEADER);
}

/** Reads our CSV or that of Todoist, told apart by the header. @throws {SyntaxFault} */
export async function* readCsv(source: AsyncIterable<Buffer>): AsyncGenerator<Entry> {
  let reader: RowReader | null = null;
  for await (const { line, cells } of readRows(source)) {
    if (reader === null) reader = readerFor(cells);
    else yield* reader.row(line, cells);
  }
  if (reader === null) throw new SyntaxFault(1, UNKNOWN_HEADER);
  yield* reader.end();
}

import { z } from 'zod';
import type { FieldError } from '../core/errors.ts';
import type { OutcomeKind } from '../writes/outcome.ts';

/** Refused records that are named one by one. */
const MAX_LISTED = 1_000;

const count = (description: string, example: number) =>
  z
    .int()
    .nonnegative()
    .meta({ description, examples: [example] });

const RefusedRecord = z
  .object({
    line: z
      .int()
      .positive()
      .meta({ description: 'Where it begins; in JSON where it ends.', examples: [17] }),
    message: z.string().meta({ examples: ['title: Title cannot be empty'] }),
  })
  .meta({
    id: 'RefusedRecord',
    description: 'A record of a file that was refused.',
    examples: [{ line: 17, message: 'title: Title cannot be empty' }],
  });

export const REPORT_EXAMPLE = {
  created: 41,
  restored: 1,
  unchanged: 0,
  refused_count: 1,
  refused: [{ line: 17, message: 'title: Title cannot be empty' }],
};

export const ImportReport = z
  .object({
    created: count('Tasks that were made or came back.', 41),
    restored: count('Of these, those that had been deleted and came back.', 1),
    unchanged: count('Tasks that were there, and were kept as they are.', 0),
    refused_count: count('Records that were refused.', 1),
    refused: z
      .array(RefusedRecord)
      .max(MAX_LISTED)
      .meta({ description: `The first ${MAX_LISTED} of them, in the order of the lines.` }),
  })
  .meta({
    id: 'ImportReport',
    description: 'What became of the records of a file, or would.',
    examples: [REPORT_EXAMPLE],
  });

export type ImportReport = z.output<typeof ImportReport>;

const Details = z.array(z.object({ field: z.string(), message: z.string() }));

/** What is wrong, from JSON of an outcome `invalid`. */
function faultsIn(json: string | null): string {
  const details: readonly FieldError[] = Details.parse(JSON.parse(json ?? '[]'));
  return details.map(({ field, message }) => `${field}: ${message}`).join('; ');
}

/** Counts what becomes of records. */
export class ReportBuilder {
  #created = 0;
  #restored = 0;
  #unchanged = 0;
  #refusedCount = 0;
  readonly #refused: { readonly line: number; readonly message: string }[] = [];

  /** @param text of `limit` the message, of `invalid` the JSON of what is wrong. */
  count(line: number, kind: OutcomeKind, text: string | null): void {
    if (kind === 'created') this.#created += 1;
    else if (kind === 'changed') {
      this.#created += 1;
      this.#restored += 1;
    } else if (kind === 'exists') this.#unchanged += 1;
    else this.refuse(line, kind === 'invalid' ? faultsIn(text) : (text ?? 'It could not be made'));
  }

  refuse(line: number, message: string): void {
    this.#refusedCount += 1;
    if (this.#refused.length < MAX_LISTED) this.#refused.push({ line, message });
  }

  build(): ImportReport {
    return {
      created: this.#created,
      restored: this.#restored,
      unchanged: this.#unchanged,
      refused_count: this.#refusedCount,
      refused: this.#refused.toSorted((a, b) => a.line - b.line),
    };
  }
}

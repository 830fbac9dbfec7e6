/** One event of an event stream (WHATWG HTML, section 9.2). */
export interface StreamEvent {
  readonly event: string;
  readonly data: string;
  /** The last id seen so far, or null. */
  readonly id: string | null;
}

/** Parses an event stream that arrives in pieces. */
export class EventStreamParser {
  /** What `retry:` asked to wait before the next connection, or null. */
  retryMs: number | null = null;
  #rest = '';
  #id: string | null = null;
  #event = '';
  #data: string[] = [];

  /** @returns the events that `text` completes. */
  parse(text: string): StreamEvent[] {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    return lines.flatMap((line) => this.#line(line));
  }

  #line(line: string): StreamEvent[] {
    if (line === '') return this.#dispatch();
    const [, field = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (field === 'event') this.#event = value;
    if (field === 'data') this.#data.push(value);
    if (field === 'id') this.#id = value;
    if (field === 'retry' && /^\d+$/.test(value)) this.retryMs = Number(value);
    return [];
  }

  #dispatch(): StreamEvent[] {
    const [event, data] = [this.#event, this.#data];
    this.#event = '';
    this.#data = [];
    return data.length === 0 ? [] : [{ event, data: data.join('\n'), id: this.#id }];
  }
}

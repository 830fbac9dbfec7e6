/** A promise that others settle. */
export function gate<T = void>() {
  let open: (value: T) => void = () => {};
  const opened = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

export interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

type Fault = (sent: Sent, go: () => Promise<Response>) => Promise<Response>;

const lost = () => new TypeError('fetch failed');

/** What lies between a client and the service: a `fetch` that can be cut, and that records what was sent. */
export class Network {
  readonly sent: Sent[] = [];
  readonly #faults: { readonly matches: (sent: Sent) => boolean; readonly fault: Fault; left: number }[] = [];
  readonly #streams = new Set<AbortController>();
  #isCut = false;

  readonly fetch = async (url: string, init: RequestInit): Promise<Response> => {
    const { pathname, search } = new URL(url);
    const headers = Object.fromEntries(new Headers(init.headers));
    const body = typeof init.body === 'string' ? init.body : null;
    const sent: Sent = { method: init.method ?? 'GET', path: pathname + search, headers, body };
    init.signal?.throwIfAborted();
    this.sent.push(sent);
    if (this.#isCut) throw lost();
    const connection = new AbortController();
    this.#streams.add(connection);
    const { signal } = connection;
    init.signal?.addEventListener('abort', () => connection.abort(init.signal?.reason));
    const go = () => fetch(url, { ...init, signal });
    const fault = this.#faults.find(({ left, matches }) => left > 0 && matches(sent));
    if (fault === undefined) return go();
    fault.left -= 1;
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
    return Promise.race([fault.fault(sent, go), aborted]);
  };

  /** Ends all connections and refuses new ones. */
  cut(): void {
    this.#isCut = true;
    for (const stream of this.#streams) stream.abort(lost());
    this.#streams.clear();
  }

  restore(): void {
    this.#isCut = false;
  }

  /** Does `fault` to the next `times` requests of `method` whose path begins so. */
  next(method: string, path: string, fault: Fault, times = 1): void {
    const matches = (sent: Sent) => sent.method === method && sent.path.startsWith(path);
    this.#faults.push({ matches, fault, left: times });
  }

  /** Lets the service execute the next such requests and loses their answers. */
  loseAnswers(method: string, path: string, times = 1): void {
    const fault: Fault = async (_, go) => {
      const response = await go();
      await response.text();
      throw lost();
    };
    this.next(method, path, fault, times);
  }

  /** Answers the next such requests itself, as a proxy would. */
  answer(method: string, path: string, status: number, headers: Record<string, string> = {}, times = 1): void {
    this.next(method, path, async () => new Response('<h1>Proxy</h1>', { status, headers }), times);
  }

  /** The requests of `method` whose path begins so. */
  of(method: string, path: string): Sent[] {
    return this.sent.filter((sent) => sent.method === method && sent.path.startsWith(path));
  }
}

import assert from 'node:assert/strict';

/** A response, injected or received. */
export interface Answered {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

export interface Fault {
  readonly field: string;
  readonly message: string;
}

/** Asserts that `answer` is exactly this error in the contract's form, and carries a request id. */
export function assertError(
  answer: Answered,
  status: number,
  code: string,
  error: string,
  details?: readonly Fault[],
): void {
  const body = JSON.stringify({ error, code, ...(details === undefined ? {} : { details }) });
  assert.deepEqual([answer.statusCode, answer.body], [status, body]);
  assertErrorHeaders(answer);
}

function assertErrorHeaders({ headers, body }: Answered): void {
  assert.equal(headers['content-type'], 'application/json; charset=utf-8');
  assert.equal(headers['content-length'], String(Buffer.byteLength(body)));
  assert.equal(headers.vary, 'Origin');
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.match(String(headers['x-request-id']), /^[\w.:-]{1,128}$/);
}
